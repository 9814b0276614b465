"""Third-party clients: generated from a service's OpenAPI document, curl, the AWS CLI, a page in a browser."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx

from slipway.emulator.server import Credentials, Emulator
from slipway.process import Completed, run
from slipway.project import ROOT
from slipway.testing.browser import Browser, browser

DOCUMENTS = ROOT / "services"


@dataclass(frozen=True)
class GeneratedClient:
    """A package that openapi-python-client wrote.

    Args:
        package: Its module.
    """

    package: ModuleType

    def model(self, name: str) -> Any:
        """Return a model of the document, such as `Problem`."""
        return getattr(importlib.import_module(f"{self.package.__name__}.models"), name)

    def call(self, operation: str, http: httpx.Client, base_url: str, **arguments: Any) -> Any:
        """Call an operation, and parse its answer by the document.

        Args:
            operation: The operation's id in snake case, such as `create_item`.
            http: HTTP client.
            base_url: Address of the API, without a trailing slash.
            arguments: Arguments of the operation.

        Returns:
            `status_code`, `headers`, `content`, and `parsed`, an instance of the model in the document.
        """
        # An undocumented answer raises an error.
        client = self.package.Client(base_url=base_url, raise_on_unexpected_status=True)
        with httpx.Client(base_url=base_url, transport=_Through(http)) as sending:
            client.set_httpx_client(sending)
            module = importlib.import_module(f"{self.package.__name__}.api.default.{operation}")
            return module.sync_detailed(client=client, **arguments)


class _Through(httpx.BaseTransport):
    """Sends requests with a client that has its own certificates, signature and headers."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = [(name, value) for name, value in request.headers.items() if name not in {"host", "user-agent"}]
        answer = self._http.request(request.method, request.url, headers=headers, content=request.read())
        headers = [(name, value) for name, value in answer.headers.items() if name != "content-encoding"]
        return httpx.Response(answer.status_code, headers=headers, content=answer.content, request=request)


def generate(service: str, folder: Path) -> GeneratedClient:
    """Generate a client of a service, and import it.

    Args:
        service: Its name.
        folder: Folder for the package `<service>_client`.

    Raises:
        AssertionError: The generator failed, or warned about something that it could not read.
    """
    name, config = f"{service}_client", folder / "config.yml"
    # The generated code is not read by people, so it needs no formatting.
    config.write_text("post_hooks: []\n", encoding="utf-8")
    document = DOCUMENTS / service / "openapi.json"
    # In a separate process, because the generator's imports are slow.
    done = run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--path", str(document), "--meta", "none"),
            *("--output-path", str(folder / name), "--config", str(config), "--fail-on-warning"),
        ],
    )
    assert done.returncode == 0, f"{service}: {done.stdout}{done.stderr}"
    package = folder / name
    spec = importlib.util.spec_from_file_location(
        name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return GeneratedClient(module)


def curl(emulator: Emulator, caller: Credentials, folder: Path, address: str, *arguments: str) -> tuple[int, Any]:
    """Send a request with `curl --aws-sigv4`, as AWS documents it, and return status and content.

    Args:
        emulator: Gives certificate and region.
        caller: Credentials for the signature.
        folder: An empty folder.
        address: Address of the route.
        arguments: Additional arguments of curl.
    """
    # Not on the command line, where others could read the key.
    config = folder / "curl"
    config.write_text(f'user = "{caller.access_key_id}:{caller.secret_access_key}"\n', encoding="utf-8")
    command = [
        *("curl", "--silent", "--config", str(config), "--cacert", str(emulator.ca)),
        *("--aws-sigv4", f"aws:amz:{emulator.region}:execute-api", "--write-out", "\\n%{http_code}"),
        *arguments,
        address,
    ]
    done = run(command, check=True)
    content, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(content) if content else {}


def aws_cli(emulator: Emulator, folder: Path, *arguments: str, who: Credentials | None = None) -> Completed:
    """Run the AWS CLI on the emulator's account, as its root or with other credentials."""
    credentials = who or emulator.root
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_DEFAULT_REGION": emulator.region,
        "AWS_CA_BUNDLE": str(emulator.ca),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = ["aws", "--endpoint-url", emulator.endpoint, "--output", "json", *arguments]
    return run(command, environment=environment)


@contextmanager
def page_elsewhere(emulator: Emulator, folder: Path, hosts: Collection[str]) -> Iterator[Browser]:
    """Yield a page of another origin in a real browser, which sends preflight requests.

    Args:
        emulator: The emulator that the host names resolve to.
        folder: Folder for the page.
        hosts: Host names that the page can reach.
    """
    empty = folder / "empty.html"
    empty.write_text("<!doctype html><title>another origin</title>", encoding="utf-8")
    with browser(width=800, height=600, reaches=hosts, at=emulator.port) as window:
        window.open(empty)
        yield window


def fetch(page: Browser, address: str, **options: Any) -> dict[str, Any]:
    """Return what a script of the page sees of an answer; only `error` if the browser refuses it."""
    script = """
        return fetch(arguments[0], arguments[1]).then(
            answer => answer.text().then(text => ({
                status: answer.status, text, etag: answer.headers.get("etag"), location: answer.headers.get("location"),
            })),
            error => ({ error: String(error) }),
        );
    """
    answer: dict[str, Any] = page.run(script, address, options)
    return answer
