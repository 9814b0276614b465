"""The routes of the processing API: what a request must look like, and which answer each outcome gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.metrics import MetricUnit

from services.processing.runtime import schemas
from services.processing.runtime.errors import InvalidCursorError, KeyReusedError, RecordNotFoundError
from services.processing.runtime.logic import Processing
from services.processing.runtime.model import Status
from services.processing.runtime.schemas import Submission, UploadRequest
from services.processing.runtime.storage import HealthProbe
from services.processing.runtime.uploads import FORM_SECONDS
from slipway_runtime import api, contract
from slipway_runtime.exact_json import dumps
from slipway_runtime.http import (
    AUTHORIZATION,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    IDEMPOTENCY_KEY,
    as_get,
    location,
    method_of,
    path_of,
    proxy_answer,
)
from slipway_runtime.problems import FieldError, Problem
from slipway_runtime.telemetry import logger, metrics

_OPERATIONS: Final = {"/validate": "Validate", "/process": "Process"}
"""Routes whose outcomes are counted, with the head of the metrics' names."""


_FIELDS: Final = frozenset(
    {AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, IDEMPOTENCY_KEY}
    | {"body", "content_type", "cursor", "data", "id", "limit", "path", "status"}
)


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What the routes work with.

    Attributes:
        processing: The logic.
        probe: Tells whether the table answers.
        environment: Name of the environment, for the health check.
    """

    processing: Processing
    probe: HealthProbe
    environment: str


class _Bound:
    """The wiring of this process: `api` binds the real one once, tests bind theirs."""

    wiring: Wiring


def bind(wiring: Wiring) -> None:
    """Gives the routes what they work with."""
    _Bound.wiring = wiring


app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=api.parse_object, serializer=dumps)


def respond(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers an HTTP API's proxy event of format 2.0, and counts what is to be counted."""
    event = as_get(event)
    answer = _answer_to(event, context)
    operation = _OPERATIONS.get(path_of(event)) if method_of(event) == "POST" else None
    if operation is not None:
        metrics.add_metric(f"{operation}Requests", MetricUnit.Count, 1)
        if answer["statusCode"] >= 400:
            metrics.add_metric(f"{operation}Failures", MetricUnit.Count, 1)
        elif operation == "Validate":
            # A job has succeeded when the worker has done it, and the worker counts that.
            metrics.add_metric("ValidateSuccesses", MetricUnit.Count, 1)
    return answer


def _answer_to(event: dict[str, Any], context: Any) -> dict[str, Any]:
    try:
        if method_of(event) == "POST":
            # Who asks comes before what they ask.
            _owner(event)
            api.check_body(event, api.DATA_LIMITS)
    except Problem as problem:
        return proxy_answer(api.refused(problem, event, _FIELDS), event)
    return app.resolve(event, context)


def _owner(event: Mapping[str, Any]) -> str:
    """Subject of the access token that the gateway has checked.

    An id token says who somebody is to the client; the gateway takes it like an access token, and this service does
    not.
    """
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    claims = (authorizer.get("jwt") or {}).get("claims") or {}
    if claims.get("token_use") != "access" or not claims.get("sub"):
        errors = [FieldError(AUTHORIZATION, "is not `Bearer` with an access token of this service's users")]
        raise Problem(401, "Sign in first.", errors=errors, headers={"WWW-Authenticate": "Bearer"})
    return str(claims["sub"])


_PROBLEMS: Final = {
    400: "The request is not valid; `errors` names every fault.",
    401: "No valid token; or it is valid, but no access token.",
    404: "The caller has no such job.",
    413: "The body is too large, or holds too many values.",
    415: "The body is not JSON, or it is compressed.",
    422: "The `Idempotency-Key` was used for other data.",
    429: "Too many requests; try again later.",
    500: "The service failed.",
    503: "The service cannot do this right now, or did not answer in time; try again.",
}
_ALWAYS: Final = (429, 500, 503)
"""What the gateway or the service may answer on every route."""
_HEADERS: Final = {"Location": "Where the job is, relative to the address of the request."}
_BEARER: Final[list[dict[str, list[str]]]] = [{"bearer": []}]


def _responses(success: dict[int, dict[str, Any]], *errors: int, signed_in: bool = True) -> dict[Any, Any]:
    """The responses of an operation for the OpenAPI document."""
    statuses = {*errors, *_ALWAYS, *((401,) if signed_in else ())}
    return success | contract.problems({status: _PROBLEMS[status] for status in statuses})


def _model(description: str, model: type, *headers: str) -> dict[str, Any]:
    return contract.success(description, model, {name: _HEADERS[name] for name in headers})


@app.post(
    "/validate",
    summary="Validate data",
    description="Names every fault with its path; that the data was valid is recorded with status `validated`.",
    operation_id="validate",
    security=_BEARER,
    responses=_responses({200: _model("It is valid.", schemas.Record)}, 400, 413, 415),
)
def validate(submission: Submission) -> Response[str]:
    """`POST /validate`."""
    record = _Bound.wiring.processing.validated(_caller(), api.canonical(submission.data, api.DATA_LIMITS))
    logger.info("validated", extra={"record_id": record.id})
    return api.json_response(dumps(record.document()), 200)


@app.post(
    "/process",
    summary="Process data",
    description=(
        "Accepts a job that turns the data's strings to upper case; `Location` is where its result will be. With an "
        "`Idempotency-Key`, requests of one caller under one key are one job: who got no answer asks again."
    ),
    operation_id="process",
    security=_BEARER,
    responses=_responses({202: _model("It will be done.", schemas.Record, "Location")}, 400, 413, 415, 422),
)
def process(
    submission: Submission,
    idempotency_key: contract.IdempotencyKey = None,
) -> Response[str]:
    """`POST /process`."""
    data = api.canonical(submission.data, api.DATA_LIMITS)
    record = _Bound.wiring.processing.accept(_caller(), data, key=idempotency_key)
    logger.info("job accepted", extra={"record_id": record.id})
    place = location(app.current_event.raw_event, f"process/{record.id}")
    return api.json_response(dumps(record.document()), 202, Location=place)


@app.get(
    "/process/<id>",
    summary="Read a job and its result",
    description="While it is `pending` there is no result yet: ask again. It is `failed` when its result was lost.",
    operation_id="getJob",
    security=_BEARER,
    responses=_responses({200: _model("The job.", schemas.Job)}, 400, 404),
)
def get_job(
    id: Annotated[str, Path(min_length=1, max_length=64, description="The job's id.")],  # noqa: A002 - the path's name
) -> Response[str]:
    """`GET /process/{id}`."""
    state = _Bound.wiring.processing.job(_caller(), id)
    if state.result_lost:
        logger.error("result lost", extra={"record_id": id})
        metrics.add_metric("ResultsLost", MetricUnit.Count, 1)
    return api.json_response(state.document, 200)


@app.get(
    "/results",
    summary="List one's own records, newest first",
    operation_id="listResults",
    security=_BEARER,
    responses=_responses({200: _model("A page.", schemas.RecordPage)}, 400),
)
def list_results(
    status: Annotated[Status, Query(description="Only records of this status.")] = Status.PROCESSED,
    limit: contract.Limit = 20,
    cursor: Annotated[
        str | None, Query(min_length=1, max_length=128, description="`next_cursor` of the page before.")
    ] = None,
) -> Response[str]:
    """`GET /results`."""
    return api.json_response(_Bound.wiring.processing.newest(_caller(), status, limit=limit, cursor=cursor), 200)


@app.post(
    "/uploads",
    summary="Get a form to upload a file with",
    description="The form is good for ten minutes, for one object of the given media type and of limited size.",
    operation_id="createUpload",
    security=_BEARER,
    responses=_responses({200: _model("The form.", schemas.Upload)}, 400, 413, 415),
)
def create_upload(request: UploadRequest) -> Response[str]:
    """`POST /uploads`."""
    processing = _Bound.wiring.processing
    if request.content_type not in processing.content_types:
        errors = [FieldError("/content_type", f"is none of {', '.join(processing.content_types)}")]
        raise Problem(400, "The request is not valid.", errors=errors)
    upload = processing.upload(_caller(), request.content_type)
    logger.info("upload form made", extra={"upload_id": upload.id})
    document = {
        "id": upload.id,
        **upload.form._asdict(),
        "max_bytes": processing.max_upload_bytes,
        "expires_in_seconds": FORM_SECONDS,
    }
    return api.json_response(dumps(document), 200)


@app.get(
    "/health",
    summary="Tell whether the service works",
    operation_id="getHealth",
    responses=_responses({200: _model("It works.", contract.Health)}, signed_in=False),
)
def get_health() -> Response[str]:
    """`GET /health`."""
    try:
        _Bound.wiring.probe.check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the table is away
        logger.error("table away", extra={"error": api.error_name(error)})
        raise Problem(503) from None
    health = {
        "status": "ok",
        "environment": _Bound.wiring.environment,
        "function_version": app.lambda_context.function_version,
        "remaining_time_ms": app.lambda_context.get_remaining_time_in_millis(),
    }
    return api.json_response(dumps(health), 200)


_EXPECTED: Final[api.Problems] = {
    RecordNotFoundError: lambda: Problem(404, "You have no such job.", errors=[FieldError("id", "names no job")]),
    InvalidCursorError: lambda: Problem(
        400, "The request is not valid.", errors=[FieldError("cursor", "is not a cursor of this listing")]
    ),
    KeyReusedError: lambda: Problem(
        422, "A key names one request.", errors=[FieldError(IDEMPOTENCY_KEY, "was used for other data")]
    ),
}


def _caller() -> str:
    return _owner(app.current_event.raw_event)


def _on_error(error: Exception) -> Response[str]:
    return api.refused(api.problem_of(error, _EXPECTED), app.current_event.raw_event, _FIELDS)


app.exception_handler(Exception)(_on_error)
