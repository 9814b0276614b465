"""Parse requests to AWS as far as needed to find their account and operation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

_CREDENTIAL = re.compile(
    r"Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[\w-]+)/(?P<service>[\w-]+)/aws4_request"
)
_ROLE = re.compile(r"arn:[\w-]+:iam::(?P<account>\d{12}):role/(?P<path>.+)")


class ApiError(Exception):
    """An error answer of an API.

    Args:
        code: AWS's code, such as `AccessDeniedException`.
        message: Message to the caller.
        status: HTTP status. Default: 400.
    """

    def __init__(self, code: str, message: str, *, status: int = HTTPStatus.BAD_REQUEST) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(message)


@dataclass(frozen=True)
class Requester:
    """The caller."""

    account: str
    access_key_id: str
    role: str | None = None
    """Name of a session's role; None for the account's root and for sessions of another process."""


@dataclass(frozen=True)
class HttpRequest:
    """A complete HTTP request."""

    method: str
    path: bytes
    """The path as it was sent, still escaped."""
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        """Return a header's value, or an empty string."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == wanted), "")

    @property
    def host(self) -> str:
        """The requested host, without its port."""
        return self.header("host").rpartition(":")[0] or self.header("host")

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of AWS's query protocol, in the body or the URL; for a JSON body, its strings."""
        found = {name: values[0] for name, values in parse_qs(self.query.decode("latin-1")).items()}
        kind = self.header("content-type")
        if "json" in kind:
            return found | {name: value for name, value in self.json.items() if isinstance(value, str)}
        if self.method == "POST" and "urlencoded" in kind:
            found |= {name: values[0] for name, values in parse_qs(self.body.decode("utf-8", "replace")).items()}
        return found

    @property
    def json(self) -> dict[str, object]:
        """Return the body as a JSON object; empty for any other body."""
        try:
            content = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def operation(self) -> str:
        """The requested operation, if the protocol names it."""
        return self.header("x-amz-target").rpartition(".")[2] or self.parameters.get("Action", "")

    @property
    def signature(self) -> tuple[str, str] | None:
        """Access key and service of the signature (SigV4), in a header or the URL; None if unsigned."""
        match = _CREDENTIAL.search(self.header("authorization"))
        if match is None:
            signed = parse_qs(self.query.decode("latin-1")).get("X-Amz-Credential", [""])[0]
            match = _CREDENTIAL.search(f"Credential={unquote(signed)}")
        return (match["key"], match["service"]) if match else None


@dataclass(frozen=True)
class Role:
    """A role, by its ARN."""

    account: str
    name: str

    @classmethod
    def of(cls, arn: str) -> Role | None:
        """Return the role of an ARN; None for any other ARN."""
        match = _ROLE.fullmatch(arn)
        return cls(match["account"], match["path"].rpartition("/")[2]) if match else None
