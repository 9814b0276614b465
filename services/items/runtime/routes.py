"""The routes of the items API: what a request must look like, and which answer each outcome gets."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyPersistenceLayerError
from botocore.exceptions import BotoCoreError, ClientError

from services.items.runtime import cursor as cursors
from services.items.runtime import schemas
from services.items.runtime.errors import (
    CreationInProgressError,
    InvalidCursorError,
    ItemNotFoundError,
    KeyReusedError,
    VersionMismatchError,
)
from services.items.runtime.logic import ItemService
from services.items.runtime.model import Item
from services.items.runtime.schemas import STATUS_PATTERN, ItemReplacement, NewItem
from services.items.runtime.storage import MAX_VERSIONS, HealthProbe
from slipway_runtime import contract
from slipway_runtime.api import (
    DATA_LIMITS,
    Problems,
    check_body,
    error_name,
    json_response,
    parse_object,
    problem_of,
    refused,
)
from slipway_runtime.contract import IdempotencyKey
from slipway_runtime.exact_json import dumps
from slipway_runtime.http import (
    CONTENT_ENCODING,
    CONTENT_TYPE,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    NO_STORE,
    Cors,
    as_get,
    header,
    join_lines,
    location,
    method_of,
    proxy_answer,
)
from slipway_runtime.problems import FieldError, Problem
from slipway_runtime.secrets import CachedSecret, SecretUnavailableError
from slipway_runtime.telemetry import logger, metrics

# Longer than a burst, shorter than anyone minds: a write invalidates nothing at the edge.
READ_CACHE: Final = "public, max-age=10"
ORIGIN_HEADER: Final = "X-Origin-Verify"

_FIELDS: Final = frozenset(
    {"body", "cursor", "data", "description", "id", "limit", "name", "path", "status"}
    | {CONTENT_ENCODING, CONTENT_TYPE, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, ORIGIN_HEADER}
)

_ETAG: Final = re.compile(r'(?:W/)?"([^"]*)"')
_ETAGS: Final = re.compile(rf"{_ETAG.pattern}(?:[ \t]*,[ \t]*{_ETAG.pattern})*")
_WITH_BODY: Final = frozenset({"POST", "PUT"})


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What the routes work with.

    Attributes:
        items: The logic.
        probe: Tells whether the table answers.
        origin_secret: What the distribution puts into `X-Origin-Verify`.
        cors: CORS headers for the configured origins.
        environment: Name of the environment, for the health check.
    """

    items: ItemService
    probe: HealthProbe
    origin_secret: CachedSecret
    cors: Cors
    environment: str


class _Bound:
    """The wiring of this process: `api` binds the real one once, tests bind theirs."""

    wiring: Wiring


def bind(wiring: Wiring) -> None:
    """Gives the routes what they work with."""
    _Bound.wiring = wiring


app = APIGatewayRestResolver(enable_validation=True, json_body_deserializer=parse_object, serializer=dumps)


def respond(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers a proxy event: refuses what no route should read, routes the rest, adds the headers all answers have."""
    event = as_get(event)
    join_lines(event, IF_MATCH, IF_NONE_MATCH)
    try:
        if method_of(event) in _WITH_BODY:
            check_body(event, DATA_LIMITS)
    except Problem as problem:
        answer = proxy_answer(refused(problem, event, _FIELDS), event)
    else:
        answer = app.resolve(event, context)
    added = _Bound.wiring.cors.headers(header(event, "origin"))
    answer["multiValueHeaders"].update({name: [value] for name, value in added.items()})
    return answer


def _through_edge(app: APIGatewayRestResolver, next_middleware: Callable[..., Response[str]]) -> Response[str]:
    """Refuses reads that came past the distribution."""
    given = (app.current_event.headers.get(ORIGIN_HEADER) or "").encode("utf-8", "replace")
    if not _Bound.wiring.origin_secret.matches(lambda secret: compare_digest(secret.encode(), given)):
        errors = [FieldError(ORIGIN_HEADER, "is not the distribution's")]
        raise Problem(403, "Reads go through the distribution.", errors=errors)
    return next_middleware(app)


_PROBLEMS: Final = {
    400: "The request is not valid; `errors` names the fields.",
    403: "A read came past the distribution, or a write is not signed by somebody who may.",
    404: "There is no such item.",
    409: "Another request with this `Idempotency-Key` is being worked on; try again.",
    412: "The item was written since: read it again.",
    413: "The body is too large, or holds too many values.",
    415: "The body is not JSON, or it is compressed.",
    422: "The `Idempotency-Key` was used for another request.",
    428: "`If-Match` is missing.",
    429: "Too many requests; try again later.",
    500: "The service failed.",
    502: "The service did not answer; try again.",
    503: "The service cannot do this right now; try again.",
    504: "The service did not answer in time; try again.",
}
_ALWAYS: Final = (403, 429, 500, 502, 503, 504)
"""What the gateway or the service may answer on every route."""


def _responses(success: dict[int, dict[str, Any]], *errors: int) -> dict[Any, Any]:
    """The responses of an operation for the OpenAPI document."""
    return success | contract.problems({status: _PROBLEMS[status] for status in {*errors, *_ALWAYS}})


def _model(description: str, model: type, *headers: str) -> dict[str, Any]:
    return contract.success(description, model, {name: _HEADERS[name] for name in headers})


_HEADERS: Final = {
    "ETag": "Version of what is answered.",
    "Location": "Where the item is, relative to the address of the request.",
    "Cache-Control": "How long the edge may keep it.",
}
_SIGNED: Final[list[dict[str, list[str]]]] = [{"sigv4": []}]

ItemId = Annotated[str, Path(min_length=1, max_length=64, description="The item's id.")]
IfNoneMatch = Annotated[
    str | None,
    Header(alias=IF_NONE_MATCH, description="`ETag`s the client has; if one is current, the answer is 304."),
]
IfMatch = Annotated[
    str,
    Header(
        alias=IF_MATCH,
        min_length=1,
        examples=['"1"'],
        description="`ETag` of the version to write over, or several. `*` is refused: it would lose updates.",
    ),
]


@app.post(
    "/items",
    summary="Create an item",
    description="With an `Idempotency-Key`, requests of one caller under one key make one item and get one answer, for "
    "24 hours.",
    operation_id="createItem",
    security=_SIGNED,
    responses=_responses({201: _model("The item.", schemas.Item, "ETag", "Location")}, 400, 409, 413, 415, 422),
)
def create_item(
    item: NewItem,
    idempotency_key: IdempotencyKey = None,
) -> Response[str]:
    """`POST /items`."""
    service = _Bound.wiring.items
    if idempotency_key is None:
        created = service.create(item.fields())
    else:
        created = service.create_once(item.fields(), caller=_caller(), key=idempotency_key, context=app.lambda_context)
    metrics.add_metric("ItemsCreated", MetricUnit.Count, 1)
    logger.info("item created", extra={"item_id": created.id})
    place = location(app.current_event.raw_event, f"items/{created.id}")
    return json_response(created.document(), 201, ETag=_etag(created.version), Location=place)


@app.get(
    "/items",
    summary="List items, newest first",
    description="A page can be shorter than `limit`; only `next_cursor` tells whether more follow.",
    operation_id="listItems",
    middlewares=[_through_edge],
    responses=_responses(
        {200: _model("A page.", schemas.ItemPage, "ETag", "Cache-Control"), 304: {"description": "As before."}},
        400,
    ),
)
def list_items(
    limit: contract.Limit = 20,
    cursor: Annotated[
        str | None,
        Query(min_length=1, max_length=cursors.MAX_LENGTH, description="`next_cursor` of the page before."),
    ] = None,
    status: Annotated[str | None, Query(pattern=STATUS_PATTERN, description="Only items of this status.")] = None,
    if_none_match: IfNoneMatch = None,
) -> Response[str]:
    """`GET /items`."""
    body = _Bound.wiring.items.newest(limit=limit, cursor=cursor, status=status)
    return _readable(body, f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"', if_none_match)


@app.get(
    "/items/<id>",
    summary="Read an item",
    operation_id="getItem",
    middlewares=[_through_edge],
    responses=_responses(
        {200: _model("The item.", schemas.Item, "ETag", "Cache-Control"), 304: {"description": "As before."}},
        400,
        404,
    ),
)
def get_item(id: ItemId, if_none_match: IfNoneMatch = None) -> Response[str]:  # noqa: A002 - the path's own name
    """`GET /items/{id}`."""
    item = _Bound.wiring.items.get(id)
    return _readable(item.document(), _etag(item.version), if_none_match)


@app.put(
    "/items/<id>",
    summary="Replace an item",
    operation_id="replaceItem",
    security=_SIGNED,
    responses=_responses({200: _model("The item.", schemas.Item, "ETag")}, 400, 404, 412, 413, 415, 428),
)
def replace_item(id: ItemId, item: ItemReplacement, if_match: IfMatch) -> Response[str]:  # noqa: A002
    """`PUT /items/{id}`."""
    replaced: Item = _Bound.wiring.items.replace(id, item.fields(), versions=_versions(if_match))
    metrics.add_metric("ItemsReplaced", MetricUnit.Count, 1)
    logger.info("item replaced", extra={"item_id": id, "item_version": replaced.version})
    return json_response(replaced.document(), 200, ETag=_etag(replaced.version))


@app.delete(
    "/items/<id>",
    summary="Delete an item",
    operation_id="deleteItem",
    security=_SIGNED,
    responses=_responses({204: {"description": "It is gone."}}, 400, 404, 412, 428),
)
def delete_item(id: ItemId, if_match: IfMatch) -> Response[str]:  # noqa: A002
    """`DELETE /items/{id}`."""
    _Bound.wiring.items.delete(id, versions=_versions(if_match))
    metrics.add_metric("ItemsDeleted", MetricUnit.Count, 1)
    logger.info("item deleted", extra={"item_id": id})
    return Response(status_code=204, body="", headers={"Cache-Control": NO_STORE})


@app.get(
    "/health",
    summary="Tell whether the service works",
    operation_id="getHealth",
    responses=_responses({200: _model("It works.", contract.Health)}),
)
def get_health() -> Response[str]:
    """`GET /health`."""
    try:
        _Bound.wiring.probe.check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the table is away
        logger.error("table away", extra={"error": error_name(error)})
        raise Problem(503) from None
    health = {
        "status": "ok",
        "environment": _Bound.wiring.environment,
        "function_version": app.lambda_context.function_version,
        "remaining_time_ms": app.lambda_context.get_remaining_time_in_millis(),
    }
    return json_response(dumps(health), 200)


def _readable(body: str, etag: str, if_none_match: str | None) -> Response[str]:
    """The answer to a read: 304 where the client has it already."""
    headers = {"ETag": etag, "Cache-Control": READ_CACHE}
    # RFC 9110, 13.1.2: weak comparison. The edge makes ETags weak when it compresses.
    if if_none_match and (if_none_match.strip() == "*" or etag[1:-1] in _ETAG.findall(if_none_match)):
        return Response(status_code=304, body="", headers=headers)
    return json_response(body, 200, **headers)


def _etag(version: int) -> str:
    return f'"{version}"'


def _versions(if_match: str) -> tuple[int, ...]:
    """The versions in an `If-Match` header, of which the item has to be one.

    `W/"3"` counts like `"3"`, against RFC 9110: the number names a version, whatever the edge's compression did to the
    tag.
    """
    if not _ETAGS.fullmatch(if_match.strip()):
        errors = [FieldError(IF_MATCH, 'is not an ETag, like "3", or a list of them')]
        raise Problem(400, "The request is not valid.", errors=errors)
    # Others are well formed, but no versions of ours.
    tags = {tag for tag in _ETAG.findall(if_match) if tag.isascii() and tag.isdigit() and len(tag) < 16}
    if not tags:
        raise VersionMismatchError
    if len(tags) > MAX_VERSIONS:
        errors = [FieldError(IF_MATCH, f"names more than {MAX_VERSIONS} versions")]
        raise Problem(400, "The request is not valid.", errors=errors)
    return tuple(sorted(map(int, tags)))


def _caller() -> str:
    """Who asks. Of an assumed role the role, not its session: a retry from another container is the same caller."""
    identity = app.current_event.request_context.identity
    arn = identity.user_arn or ""
    if ":assumed-role/" in arn:
        return arn.rsplit("/", 1)[0]
    return arn or identity.get("accountId") or "anonymous"


def _answer(problem: Problem) -> Response[str]:
    return refused(problem, app.current_event.raw_event, _FIELDS)


def _on_error(error: Exception) -> Response[str]:
    """The one way from an exception to an answer; nothing of an exception's text goes out."""
    return _answer(_problem_of(error))


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, IdempotencyPersistenceLayerError):
        # Powertools says what it could not do; the error of botocore in it says why.
        error = next((cause for cause in error.args if isinstance(cause, BotoCoreError | ClientError)), error)
    problem = problem_of(error, _EXPECTED, unavailable=_UNAVAILABLE)
    if isinstance(error, RequestValidationError) and _lacks_if_match(error):
        return Problem(428, "Say which version you write over.", errors=problem.errors)
    return problem


_EXPECTED: Final[Problems] = {
    ItemNotFoundError: lambda: Problem(404, "There is no such item.", errors=[FieldError("id", "names no item")]),
    InvalidCursorError: lambda: Problem(
        400, "The request is not valid.", errors=[FieldError("cursor", "is not a cursor of this listing")]
    ),
    VersionMismatchError: lambda: Problem(
        412, "The item was written since you read it.", errors=[FieldError(IF_MATCH, "is not the current version")]
    ),
    KeyReusedError: lambda: Problem(
        422, "A key names one request.", errors=[FieldError(IDEMPOTENCY_KEY, "was used for another request")]
    ),
    CreationInProgressError: lambda: Problem(
        409,
        "The first request with this key has not ended.",
        errors=[FieldError(IDEMPOTENCY_KEY, "is being worked on")],
        headers={"Retry-After": "1"},
    ),
}
_UNAVAILABLE: Final = (SecretUnavailableError, IdempotencyPersistenceLayerError)


def _lacks_if_match(error: RequestValidationError) -> bool:
    """Tell whether nothing else is wrong."""
    return [(fault["type"], *fault["loc"]) for fault in error.errors()] == [("missing", "header", IF_MATCH.lower())]


app.exception_handler(Exception)(_on_error)
