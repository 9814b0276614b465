"""Target of an attack: a deployed service, its document, and the credentials of its tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.emulator.routes import Route, routes
from slipway.project import ROOT
from slipway.testing.sign_in import access_token, has_test_user

if TYPE_CHECKING:
    import boto3
    from botocore.credentials import ReadOnlyCredentials


@dataclass(frozen=True)
class AttackTarget:
    """A deployed service.

    Attributes:
        service: Its name.
        document: Its OpenAPI document.
        routes: The operations in it.
        outputs: Outputs of its stacks.
        region: Region of the API.
        headers: Headers that authenticate its tests, besides signatures: an API key, a token.
        credentials: Credentials for signatures.
    """

    service: str
    document: Mapping[str, Any]
    routes: tuple[Route, ...]
    outputs: Mapping[str, str]
    region: str
    headers: Mapping[str, str]
    credentials: ReadOnlyCredentials

    @property
    def api(self) -> str:
        """The API's address, with a slash at its end."""
        return f"{self.outputs['ApiEndpoint'].rstrip('/')}/"

    @property
    def edge(self) -> str | None:
        """The address of the edge that answers open reads, with a slash at its end; None without one."""
        found = self.outputs.get("EdgeEndpoint")
        return f"{found.rstrip('/')}/" if found else None

    def lets_in(self, route: Route) -> bool:
        """Return True if the credentials suffice for an operation."""
        return not (route.keyed and "x-api-key" not in self.headers) and not (
            route.bearer and "Authorization" not in self.headers
        )

    @property
    def reached(self) -> list[Route]:
        """The operations that the credentials allow."""
        return [route for route in self.routes if self.lets_in(route)]

    def narrowed(self) -> dict[str, Any]:
        """Return the document without the operations that the caller cannot reach."""
        kept = {(route.path, route.method.lower()) for route in self.reached}
        paths = {
            path: {method: said for method, said in item.items() if method not in _METHODS or (path, method) in kept}
            for path, item in self.document["paths"].items()
        }
        return {**self.document, "paths": {path: item for path, item in paths.items() if _METHODS & item.keys()}}


_METHODS = frozenset({"get", "head", "post", "put", "patch", "delete"})


def find_target(service: str, session: boto3.Session, outputs: Mapping[str, str]) -> AttackTarget | None:
    """Return a deployed service as its tests may call it; None if it has no API.

    Args:
        service: Its name.
        session: Session of the role of its tests.
        outputs: Outputs of its stacks.
    """
    file = ROOT / "services" / service / "openapi.json"
    credentials = session.get_credentials()
    if not file.is_file() or "ApiEndpoint" not in outputs or credentials is None:
        return None
    return AttackTarget(
        service=service,
        document=json.loads(file.read_text(encoding="utf-8")),
        routes=routes(service, services=ROOT / "services"),
        outputs=outputs,
        region=session.region_name,
        headers=_headers(routes(service, services=ROOT / "services"), session, outputs),
        credentials=credentials.get_frozen_credentials(),
    )


def _headers(found: Iterable[Route], session: boto3.Session, outputs: Mapping[str, str]) -> dict[str, str]:
    headers, wanted = {}, list(found)
    if "ApiKeyId" in outputs and any(route.keyed for route in wanted):
        key = session.client("apigateway").get_api_key(apiKey=outputs["ApiKeyId"], includeValue=True)
        headers["x-api-key"] = key["value"]
    if has_test_user(outputs) and any(route.bearer for route in wanted):
        headers["Authorization"] = f"Bearer {access_token(session.client, outputs)}"
    return headers
