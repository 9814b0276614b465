"""The routes of the items API: the format of requests, and the answer to each outcome."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from aws_lambda_powertools.metrics import MetricUnit

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
from services.items.runtime.storage import MAX_VERSIONS
from slipway_runtime import api as shell
from slipway_runtime import contract
from slipway_runtime.api import json_response
from slipway_runtime.contract import IdempotencyKey
from slipway_runtime.http import IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, NO_STORE
from slipway_runtime.problems import FieldError, Problem
from slipway_runtime.secrets import CachedSecret
from slipway_runtime.telemetry import logger, metrics

# Long enough for bursts, and short enough for stale answers, because writes do not invalidate the edge.
READ_CACHE: Final = "public, max-age=10"
ORIGIN_HEADER: Final = "X-Origin-Verify"

_ETAG: Final = re.compile(r'(?:W/)?"([^"]*)"')
_ETAGS: Final = re.compile(rf"{_ETAG.pattern}(?:[ \t]*,[ \t]*{_ETAG.pattern})*")


@dataclass(frozen=True, kw_only=True)
class Wiring(shell.Wiring):
    """Dependencies of the routes.

    Attributes:
        items: The logic.
        origin_secret: Value that the distribution sends in `X-Origin-Verify`.
    """

    items: ItemService
    origin_secret: CachedSecret


api: Final = shell.RestApi[Wiring](
    known={
        ItemNotFoundError: Problem(404, "The item does not exist.", errors=[FieldError("id", "is unknown")]),
        InvalidCursorError: Problem(
            400, "The request is not valid.", errors=[FieldError("cursor", "is not a cursor of this listing")]
        ),
        VersionMismatchError: Problem(
            412, "The item was written since you read it.", errors=[FieldError(IF_MATCH, "is not the current version")]
        ),
        KeyReusedError: Problem(
            422, "The key was used before.", errors=[FieldError(IDEMPOTENCY_KEY, "was used for another request")]
        ),
        CreationInProgressError: Problem(
            409,
            "The first request with this key has not ended.",
            errors=[FieldError(IDEMPOTENCY_KEY, "is still in progress")],
            headers={"Retry-After": "1"},
        ),
    },
    fields=(
        *("cursor", "data", "description", "id", "limit", "name", "status"),
        *(IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, ORIGIN_HEADER),
    ),
    says={
        403: "A read bypassed the distribution, or a write is not signed by an authorized caller.",
        404: "The item does not exist.",
        409: "Another request with this `Idempotency-Key` is in progress; try again.",
        412: "The item has been written since: read it again.",
        422: "The `Idempotency-Key` was used for another request.",
        428: "`If-Match` is missing.",
    },
    always=(403,),
    lists=(IF_MATCH, IF_NONE_MATCH),
)
app: Final = api.app


def _through_edge(app: APIGatewayRestResolver, next_middleware: Callable[..., Response[str]]) -> Response[str]:
    """Refuse reads that bypassed the distribution."""
    given = (app.current_event.headers.get(ORIGIN_HEADER) or "").encode("utf-8", "replace")
    if not api.wiring.origin_secret.matches(lambda secret: compare_digest(secret.encode(), given)):
        errors = [FieldError(ORIGIN_HEADER, "is not the distribution's")]
        raise Problem(403, "Reads go through the distribution.", errors=errors)
    return next_middleware(app)


_HEADERS: Final = {
    "ETag": "Version of the answer's content.",
    "Location": "Address of the item, relative to the request's.",
    "Cache-Control": "How long the edge may cache the answer.",
}
_SIGNED: Final[list[dict[str, list[str]]]] = [{"sigv4": []}]


def _model(description: str, model: type, *headers: str) -> dict[str, Any]:
    return contract.success(description, model, {name: _HEADERS[name] for name in headers})


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
        description="`ETag` of the version to overwrite, or several. `*` is refused: it would lose updates.",
    ),
]


@app.post(
    "/items",
    summary="Create an item",
    description="With an `Idempotency-Key`, one caller's requests with one key create one item and get one answer, for "
    "24 hours.",
    operation_id="createItem",
    security=_SIGNED,
    responses=api.responses({201: _model("The item.", schemas.Item, "ETag", "Location")}, 400, 409, 413, 415, 422),
)
def create_item(
    item: NewItem,
    idempotency_key: IdempotencyKey = None,
) -> Response[str]:
    """Handle `POST /items`."""
    service = api.wiring.items
    if idempotency_key is None:
        created = service.create(item.fields())
    else:
        created = service.create_once(item.fields(), caller=_caller(), key=idempotency_key, context=app.lambda_context)
    metrics.add_metric("ItemsCreated", MetricUnit.Count, 1)
    logger.info("item created", extra={"item_id": created.id})
    place = api.location(f"items/{created.id}")
    return json_response(created.document(), 201, ETag=_etag(created.version), Location=place)


@app.get(
    "/items",
    summary="List items, newest first",
    description="A page can be shorter than `limit`; only `next_cursor` says whether more follow.",
    operation_id="listItems",
    middlewares=[_through_edge],
    responses=api.responses(
        {200: _model("A page.", schemas.ItemPage, "ETag", "Cache-Control"), 304: {"description": "As before."}},
        400,
    ),
)
def list_items(
    limit: contract.Limit = 20,
    cursor: Annotated[
        str | None,
        Query(min_length=1, max_length=cursors.MAX_LENGTH, description="`next_cursor` of the previous page."),
    ] = None,
    status: Annotated[str | None, Query(pattern=STATUS_PATTERN, description="Only items of this status.")] = None,
    if_none_match: IfNoneMatch = None,
) -> Response[str]:
    """Handle `GET /items`."""
    body = api.wiring.items.newest(limit=limit, cursor=cursor, status=status)
    return _readable(body, f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"', if_none_match)


@app.get(
    "/items/<id>",
    summary="Read an item",
    operation_id="getItem",
    middlewares=[_through_edge],
    responses=api.responses(
        {200: _model("The item.", schemas.Item, "ETag", "Cache-Control"), 304: {"description": "As before."}},
        400,
        404,
    ),
)
def get_item(id: ItemId, if_none_match: IfNoneMatch = None) -> Response[str]:  # noqa: A002 - the path's own name
    """Handle `GET /items/{id}`."""
    item = api.wiring.items.get(id)
    return _readable(item.document(), _etag(item.version), if_none_match)


@app.put(
    "/items/<id>",
    summary="Replace an item",
    operation_id="replaceItem",
    security=_SIGNED,
    responses=api.responses({200: _model("The item.", schemas.Item, "ETag")}, 400, 404, 412, 413, 415, 428),
)
def replace_item(id: ItemId, item: ItemReplacement, if_match: IfMatch) -> Response[str]:  # noqa: A002
    """Handle `PUT /items/{id}`."""
    replaced: Item = api.wiring.items.replace(id, item.fields(), versions=_versions(if_match))
    metrics.add_metric("ItemsReplaced", MetricUnit.Count, 1)
    logger.info("item replaced", extra={"item_id": id, "item_version": replaced.version})
    return json_response(replaced.document(), 200, ETag=_etag(replaced.version))


@app.delete(
    "/items/<id>",
    summary="Delete an item",
    operation_id="deleteItem",
    security=_SIGNED,
    responses=api.responses({204: {"description": "It is deleted."}}, 400, 404, 412, 428),
)
def delete_item(id: ItemId, if_match: IfMatch) -> Response[str]:  # noqa: A002
    """Handle `DELETE /items/{id}`."""
    api.wiring.items.delete(id, versions=_versions(if_match))
    metrics.add_metric("ItemsDeleted", MetricUnit.Count, 1)
    logger.info("item deleted", extra={"item_id": id})
    return Response(status_code=204, body="", headers={"Cache-Control": NO_STORE})


api.add_health()


def _readable(body: str, etag: str, if_none_match: str | None) -> Response[str]:
    """Return the answer to a read: 304 if the client has the current version."""
    headers = {"ETag": etag, "Cache-Control": READ_CACHE}
    # RFC 9110, 13.1.2: weak comparison. The edge makes ETags weak when it compresses.
    if if_none_match and (if_none_match.strip() == "*" or etag[1:-1] in _ETAG.findall(if_none_match)):
        return Response(status_code=304, body="", headers=headers)
    return json_response(body, 200, **headers)


def _etag(version: int) -> str:
    return f'"{version}"'


def _versions(if_match: str) -> tuple[int, ...]:
    """Return the versions in an `If-Match` header, one of which the item must have.

    `W/"3"` counts like `"3"`, against RFC 9110: the number names a version, whatever the edge's compression did to the
    tag.
    """
    if not _ETAGS.fullmatch(if_match.strip()):
        errors = [FieldError(IF_MATCH, 'is not an ETag, like "3", or a list of them')]
        raise Problem(400, "The request is not valid.", errors=errors)
    # Other tags are well formed, but not versions of this service.
    tags = {tag for tag in _ETAG.findall(if_match) if tag.isascii() and tag.isdigit() and len(tag) < 16}
    if not tags:
        raise VersionMismatchError
    if len(tags) > MAX_VERSIONS:
        errors = [FieldError(IF_MATCH, f"names more than {MAX_VERSIONS} versions")]
        raise Problem(400, "The request is not valid.", errors=errors)
    return tuple(sorted(map(int, tags)))


def _caller() -> str:
    """Return the caller: for an assumed role the role, so that a retry from another container is the same caller."""
    identity = app.current_event.request_context.identity
    arn = identity.user_arn or ""
    if ":assumed-role/" in arn:
        return arn.rsplit("/", 1)[0]
    return arn or identity.get("accountId") or "anonymous"
