"""Contract with other people's clients: a generated one, curl, a page in a browser.

The app subclasses `ClientContract` in its own local tests.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.emulator.routes import RouteTarget, target
from slipway.emulator.server import Credentials
from slipway.testing.browser import Browser, why_not
from slipway.testing.clients import GeneratedClient, curl, fetch, generate, page_elsewhere
from slipway.testing.contract.callers import Callers
from slipway.testing.contract.http import JSON, NOBODY, OPERATIONS, OfOperations, Operation, each

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])|-")


class ClientContract(OfOperations):
    """The suite. Subclass it in a module of the app's local tests, under a name that pytest collects."""

    @pytest.fixture(scope="class")
    @classmethod
    def generated(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], GeneratedClient]:
        """Return a function that returns a service's generated client, written at its first test."""
        made: dict[str, GeneratedClient] = {}

        def of(service: str) -> GeneratedClient:
            if service not in made:
                made[service] = generate(service, tmp_path_factory.mktemp(service))
            return made[service]

        return of

    @pytest.fixture(scope="class")
    @classmethod
    def page(
        cls, local: LocalEnvironment, outputs: Outputs, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Browser]:
        """Yield a page of another origin, which reaches the services."""
        if missing := why_not():
            pytest.skip(missing)
        found = [outputs[operation.service] for operation in OPERATIONS]
        hosts = {urlsplit(values["ApiEndpoint"]).hostname or "" for values in found}
        hosts |= {values["DistributionDomain"] for values in found if "DistributionDomain" in values}
        with page_elsewhere(local.emulator, tmp_path_factory.mktemp("page"), hosts) as window:
            yield window

    @each()
    def test_generated_client_reads_each_answer(
        self,
        local: LocalEnvironment,
        outputs: Outputs,
        callers: Callable[[str], Callers],
        generated: Callable[[str], GeneratedClient],
        operation: Operation,
    ) -> None:
        client, where = generated(operation.service), _target(operation, outputs)
        base = where.url.removesuffix(operation.path)
        with local.emulator.http() as http:
            http.headers.update({"Host": where.host} if where.host else {})
            # When it calls an operation as the good caller, and as nobody
            good = callers(operation.service).good
            for auth in (good, None) if operation.restricted else (None,):
                http.auth = auth or httpx.Auth()
                answer = client.call(_snake(operation.operation_id), http, base, **_arguments(operation, client))
                # Then it reads the answer as what the document says
                assert answer.status_code in operation.statuses
                assert (answer.parsed is not None) is (answer.status_code not in {204, 304}), answer.content

    @each(lambda operation: operation.route.signed)
    def test_curl_signs_what_it_sends(
        self, local: LocalEnvironment, outputs: Outputs, caller: Credentials, tmp_path: Path, operation: Operation
    ) -> None:
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        words = ["--request", operation.route.method]
        for name, value in _headers(operation).items():
            words += ["--header", f"{name}: {value}"]
        if operation.route.body is not None:
            words += ["--data", operation.route.body]
        status, _ = curl(local.emulator, caller, tmp_path, _target(operation, outputs).url, *words)
        assert status in operation.statuses - {403}

    @each()
    def test_a_page_of_another_origin_reads_each_answer(
        self, page: Browser, outputs: Outputs, callers: Callable[[str], Callers], operation: Operation
    ) -> None:
        where = _target(operation, outputs)
        address = f"https://{where.host}{operation.path}" if where.host else where.url
        headers, body = _headers(operation), operation.route.body
        if operation.restricted:
            sent = httpx.Request(operation.route.method, address, headers=headers, content=body)
            signed = next(callers(operation.service).good.auth_flow(sent)).headers
            # A browser sets these itself.
            headers = {name: value for name, value in signed.items() if name not in {"host", "content-length"}}
        answer = fetch(page, address, method=operation.route.method, headers=headers, body=body)
        assert answer.get("status") in operation.statuses - {401, 403}, answer
        if operation.route.body is not None:
            assert json.loads(answer["text"])


def _target(operation: Operation, outputs: Outputs) -> RouteTarget:
    query = "&".join(f"{name}={value}" for name, value in operation.route.query)
    path = f"{operation.path}?{query}" if query else operation.path
    return target(outputs[operation.service], path, edge=not operation.restricted)


def _headers(operation: Operation) -> dict[str, str]:
    return {**dict(operation.route.headers), **(JSON if operation.route.body is not None else {})}


def _arguments(operation: Operation, client: GeneratedClient) -> dict[str, Any]:
    """Return the arguments of an operation of a generated client."""
    found: dict[str, Any] = {_snake(name): value for name, value in (*operation.route.headers, *operation.route.query)}
    found |= {_snake(name): NOBODY for name, _ in operation.parameters("path")}
    if operation.route.body is not None:
        found["body"] = client.model(operation.body_name).from_dict(json.loads(operation.route.body))
    return found


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()
