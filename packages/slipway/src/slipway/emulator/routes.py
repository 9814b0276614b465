"""Routes of a service, from its OpenAPI document, and requests to them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningCredentials

from slipway.emulator.server import Credentials
from slipway.errors import RehearsalError
from slipway.files import read_json
from slipway.project import ROOT

KEPT_PATHS = frozenset({"/health"})
"""Paths that the emulator answers itself, whatever the `Host`: they are called at the API, never at the edge."""

TOKEN = "$TOKEN"  # noqa: S105  # nosec B105  # the name of a shell variable, not a token
"""Shell variable with the token, if no command prints one."""

_METHODS = ("get", "head", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Route:
    """One operation of the document."""

    method: str
    path: str
    signed: bool
    """True if it requires an IAM signature (SigV4)."""
    body: str | None = None
    """An example of a request's body, as JSON."""
    bearer: bool = False
    """True if it requires a token of the service's users."""
    keyed: bool = False
    """True if it requires an API key."""
    headers: tuple[tuple[str, str], ...] = ()
    """Required headers, each with an example."""
    query: tuple[tuple[str, str], ...] = ()
    """Required query parameters, each with an example."""

    def matches(self, method: str, path: str) -> bool:
        """Return True if a request matches this route."""
        pattern = "/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in self.path.split("/"))
        return method.upper() == self.method and re.fullmatch(pattern, urlsplit(path).path) is not None


def routes(service: str, *, services: Path = ROOT / "services") -> tuple[Route, ...]:
    """Return the routes that a service documents in `services/<name>/openapi.json`.

    Args:
        service: Its name.
        services: The folder of services. Default: the repository's.

    Raises:
        RehearsalError: The document is missing or invalid.
    """
    document = read_json(services / service / "openapi.json")
    if not isinstance(document, dict):
        raise RehearsalError(f"services/{service}/openapi.json is missing or not JSON; run `make openapi`")
    schemes = document.get("components", {}).get("securitySchemes", {})
    return tuple(
        Route(
            method=method.upper(),
            path=path,
            signed=_is_signed(operation.get("security", document.get("security", [])), schemes),
            body=_body(operation, document),
            bearer=_has_scheme(operation, document, "scheme", "bearer"),
            keyed=_has_scheme(operation, document, "name", "x-api-key"),
            headers=tuple(_wanted(operation, document, "header")),
            query=tuple(_wanted(operation, document, "query")),
        )
        for path, operations in document.get("paths", {}).items()
        for method in _METHODS
        if (operation := operations.get(method)) is not None
    )


def _has_scheme(operation: dict[str, Any], document: dict[str, Any], key: str, value: str) -> bool:
    schemes = document.get("components", {}).get("securitySchemes", {})
    requirements = operation.get("security", document.get("security", []))
    found = (schemes.get(name, {}).get(key, "") for requirement in requirements for name in requirement)
    return value in (str(text).lower() for text in found)


def _wanted(operation: dict[str, Any], document: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    for parameter in operation.get("parameters", []):
        if parameter.get("in") == place and parameter.get("required"):
            example = parameter.get("example", _example(parameter.get("schema", {}), document))
            yield parameter["name"], str(example)


def _is_signed(requirements: Iterable[dict[str, Any]], schemes: dict[str, Any]) -> bool:
    names = {name for requirement in requirements for name in requirement}
    return any(
        name.lower() == "sigv4" or schemes.get(name, {}).get("x-amazon-apigateway-authtype") == "awsSigv4"
        for name in names
    )


def _body(operation: dict[str, Any], document: dict[str, Any]) -> str | None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    if "example" in content:
        return json.dumps(content["example"])
    return json.dumps(_example(content.get("schema", {}), document))


def _example(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """Return the schema's own example, or a minimal valid value."""
    if reference := schema.get("$ref"):
        named: Any = document
        for part in reference.removeprefix("#/").split("/"):
            named = named[part]
        return _example(named, document)
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    if examples := schema.get("examples") or schema.get("enum"):
        return examples[0]
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            return _example(schema[key][0], document)
    if "properties" in schema:
        wanted = schema.get("required") or list(schema["properties"])[:1]
        return {name: _example(schema["properties"][name], document) for name in wanted}
    return {"string": "example", "integer": 1, "number": 1, "boolean": True, "array": []}.get(
        schema.get("type", ""), {}
    )


class SigV4(httpx.Auth):
    """Signs requests to API Gateway as AWS's own clients do.

    Args:
        credentials: Credentials for the signature.
        region: The API's region.
    """

    requires_request_body = True

    def __init__(self, credentials: Credentials, region: str) -> None:
        key = SigningCredentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
        self._signer = SigV4Auth(key, "execute-api", region)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the signature's headers."""
        names = ("host", "content-type")
        signed = AWSRequest(
            method=request.method,
            url=str(request.url),
            data=request.content,
            headers={name: request.headers[name] for name in names if name in request.headers},
        )
        self._signer.add_auth(signed)
        for name, value in signed.headers.items():
            request.headers[name] = value
        yield request


@dataclass(frozen=True)
class RouteTarget:
    """Address of a route, and its region."""

    url: str
    host: str | None = None
    """The `Host` by which the edge recognises its distribution."""


def target(outputs: dict[str, str], path: str, *, edge: bool) -> RouteTarget:
    """Return the address of a path.

    Args:
        outputs: Outputs of the service, from `build/local/outputs.json`.
        path: Path from the API's root, with its query string.
        edge: True to go through CloudFront, if the service has it and the emulator supports the path.

    Raises:
        RehearsalError: The service has no API here.
    """
    relative = path.removeprefix("/")
    if edge and "EdgeEndpoint" in outputs and urlsplit(path).path not in KEPT_PATHS:
        return RouteTarget(outputs["EdgeEndpoint"] + relative, outputs["DistributionDomain"])
    if "ApiEndpoint" not in outputs:
        raise RehearsalError("the service has no output ApiEndpoint; is it deployed? run `make up`")
    return RouteTarget(outputs["ApiEndpoint"] + relative)


def curl(
    route: Route,
    outputs: dict[str, str],
    credentials: Credentials,
    region: str,
    ca: str,
    *,
    token: str = TOKEN,
    api_key: str | None = None,
) -> str:
    """Return a command line that calls the route. A resource's id in the path is the shell variable ID.

    Args:
        route: The route.
        outputs: Outputs of the service.
        credentials: Credentials, if the route requires a signature.
        region: The API's region.
        ca: The certificate to trust.
        token: Shell expression for the token, if the route requires one. Default: the variable TOKEN.
        api_key: The API key, if the route requires one.
    """
    query = f"?{urlencode(route.query)}" if route.query else ""
    where = target(outputs, route.path + query, edge=not route.signed and route.method in {"GET", "HEAD"})
    words = ["curl", "--cacert", ca]
    if route.method != "GET":
        words += ["-X", route.method]
    if where.host:
        words += ["-H", f"Host: {where.host}"]
    if route.signed:
        words += ["--aws-sigv4", f"aws:amz:{region}:execute-api"]
        words += ["--user", f"{credentials.access_key_id}:{credentials.secret_access_key}"]
    if route.keyed and api_key:
        words += ["-H", f"x-api-key: {api_key}"]
    for name, value in route.headers:
        words += ["-H", f"{name}: {value}"]
    if route.body is not None:
        words += ["-H", "Content-Type: application/json", "-d", route.body]
    # In double quotes, so that the shell inserts the token and the id.
    bearer = f' -H "Authorization: Bearer {token}"' if route.bearer else ""
    address = re.sub(r"{[^}]*}", "$ID", where.url)
    return f"{shlex.join(words)}{bearer} " + (f'"{address}"' if "$ID" in address else shlex.quote(address))
