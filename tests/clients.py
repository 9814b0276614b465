"""Clients as strangers have them: made from a service's OpenAPI document, without a look at its code."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx

DOCUMENTS = Path(__file__).parents[1] / "services"


@dataclass(frozen=True)
class GeneratedClient:
    """A package that openapi-python-client wrote.

    Args:
        package: its module.
    """

    package: ModuleType

    def model(self, name: str) -> Any:
        """A model of the document, such as `Problem`."""
        return getattr(importlib.import_module(f"{self.package.__name__}.models"), name)

    def call(self, operation: str, http: httpx.Client, base_url: str, **arguments: Any) -> Any:
        """Call an operation, and read its answer by the document.

        Args:
            operation: the operation's id in snake case, such as `create_item`.
            http: what to send it with.
            base_url: where the API is, without a slash at its end.
            arguments: of the operation.

        Returns:
            `status_code`, `headers`, `content`, and `parsed`, the model that the document says it is.
        """
        # Whatever the document does not describe raises.
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
    """Write a client of a service, and import it.

    Args:
        service: its name.
        folder: where the package goes, as `<service>_client`.

    Raises:
        AssertionError: the generator failed, or warned of something that it could not read.
    """
    name, config = f"{service}_client", folder / "config.yml"
    # Nobody reads the code: it need not be pretty.
    config.write_text("post_hooks: []\n", encoding="utf-8")
    document = DOCUMENTS / service / "openapi.json"
    # The generator imports much: one process for each spares the tests that it does.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--path", str(document), "--meta", "none"),
            *("--output-path", str(folder / name), "--config", str(config), "--fail-on-warning"),
        ],
        capture_output=True,
        text=True,
        check=False,
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
