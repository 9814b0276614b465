"""RFC 9457 problem details: the only format of an error, with the request's id and the fields at fault."""

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any, Final, NamedTuple

from slipway_runtime.exact_json import dumps, printable

CONTENT_TYPE: Final = "application/problem+json"

MAX_ERRORS: Final = 1000
"""Maximum number of faults in an answer, which also states the total. An answer with every fault could be too large."""

# RFC 9110's own names; those of `http.HTTPStatus` differ between Python's versions.
_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    428: "Precondition Required",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class FieldError(NamedTuple):
    """An error in one field: its name as the client wrote it, and a sentence about it."""

    field: str
    message: str


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """A request that ends with an error document.

    Args:
        status: HTTP status, one that has a title here.
        detail: A sentence for the client that reveals nothing internal. Default: none.
        errors: The fields at fault. Every 4xx about fields names at least one.
        headers: Headers of the answer besides those that every answer has.
    """

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {_TITLES[status]}")
        self.status = status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def document(self, *, instance: str, request_id: str) -> str:
        """Return the error document as JSON.

        Args:
            instance: Path of the request, a URI reference.
            request_id: API Gateway's id of the request, as in its access log.
        """
        members: dict[str, Any] = {"type": "about:blank", "title": _TITLES[self.status], "status": self.status}
        if self.detail is not None:
            members["detail"] = self.detail
        members["instance"] = instance
        members["request_id"] = request_id
        members["errors"] = [error._asdict() for error in self.errors]
        return dumps(members)


def pointer(*parts: str | int) -> str:
    """Return a JSON pointer (RFC 6901), fit for an error document."""
    return "".join(f"/{printable(str(part)).replace('~', '~0').replace('/', '~1')}" for part in parts)


def known_fields(problem: Problem, known: Container[str]) -> list[str]:
    """Return the service's own fields at fault, for the log.

    A name that the client made up can be anything, personal data included, and must not be logged.

    Args:
        problem: The problem that the client gets.
        known: Names of the service's own fields, parameters and headers.
    """
    tops = (re.split(r"[./]", error.field.lstrip("/"), maxsplit=1)[0] for error in problem.errors)
    return sorted({top if top in known else "unknown" for top in tops})
