"""The routes of the processing API: what a request must look like, and which answer each outcome gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from aws_lambda_powertools.metrics import MetricUnit

from services.common import api
from services.common.exact_json import dumps
from services.common.problems import FieldError, Problem
from services.common.telemetry import logger, metrics
from services.processing.runtime import schemas
from services.processing.runtime.errors import (
    DataTooLargeError,
    InvalidCursorError,
    KeyReusedError,
    RecordNotFoundError,
)
from services.processing.runtime.logic import MAX_DATA_BYTES, Processing
from services.processing.runtime.model import Status
from services.processing.runtime.schemas import Submission, UploadRequest
from services.processing.runtime.storage import HealthProbe
from services.processing.runtime.uploads import FORM_SECONDS

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
# Powertools writes names of headers in lower case; people know them like this.
HEADER_NAMES: Final = {IDEMPOTENCY_KEY.lower(): IDEMPOTENCY_KEY}

_OPERATIONS: Final = {"/validate": "Validate", "/process": "Process"}
"""Routes whose outcomes are counted, with the head of the metrics' names."""


_FIELDS: Final = frozenset(
    {"Authorization", "Content-Type", "Idempotency-Key"}
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
    answer = _answer_to(event, context)
    http = (event.get("requestContext") or {}).get("http") or {}
    operation = _OPERATIONS.get(event.get("rawPath", "")) if http.get("method") == "POST" else None
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
        if ((event.get("requestContext") or {}).get("http") or {}).get("method") == "POST":
            # Who asks comes before what they ask.
            _owner(event)
            api.check_body(event, max_bytes=MAX_DATA_BYTES)
    except Problem as problem:
        response = api.refused(problem, event, _FIELDS)
        return {
            "statusCode": response.status_code,
            "body": response.body,
            "isBase64Encoded": False,
            "headers": {"Content-Type": response.content_type, **response.headers},
            "cookies": [],
        }
    return app.resolve(event, context)


def _owner(event: Mapping[str, Any]) -> str:
    """Subject of the access token that the gateway has checked.

    An id token says who somebody is to the client; the gateway takes it like an access token, and this service does
    not.
    """
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    claims = (authorizer.get("jwt") or {}).get("claims") or {}
    if claims.get("token_use") != "access" or not claims.get("sub"):
        errors = [FieldError("Authorization", "is not `Bearer` with an access token of this service's users")]
        raise Problem(401, "Sign in first.", errors=errors, headers={"WWW-Authenticate": "Bearer"})
    return str(claims["sub"])


_PROBLEMS: Final = {
    400: "The request is not valid; `errors` names every fault.",
    404: "The caller has no such job.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The `Idempotency-Key` was used for other data.",
    500: "The service failed.",
    503: "The service cannot do this right now; try again.",
}
_UNAUTHORIZED: Final = {
    "description": "No valid token. API Gateway answers this itself, before the service, as `message`; for a token "
    "that is valid but no access token, the service answers with a problem.",
    "content": {"application/problem+json": {"model": schemas.Problem}},
}
_HEADERS: Final = {"Location": "Path of the job."}
_BEARER: Final[list[dict[str, list[str]]]] = [{"bearer": []}]


def _responses(success: dict[int, dict[str, Any]], *errors: int, signed_in: bool = True) -> dict[Any, Any]:
    """The responses of an operation for the OpenAPI document."""
    problem = {"application/problem+json": {"model": schemas.Problem}}
    answers = success | {status: {"description": _PROBLEMS[status], "content": problem} for status in errors}
    return answers | {401: _UNAUTHORIZED} if signed_in else answers


def _model(description: str, model: type, *headers: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"model": model}},
        "headers": {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in headers},
    }


@app.post(
    "/validate",
    summary="Validate data",
    description="Names every fault with its path; that the data was valid is recorded with status `validated`.",
    operation_id="validate",
    security=_BEARER,
    responses=_responses({200: _model("It is valid.", schemas.Record)}, 400, 413, 415, 500, 503),
)
def validate(submission: Submission) -> Response[str]:
    """`POST /validate`."""
    record = _Bound.wiring.processing.validated(_caller(), submission.data)
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
    responses=_responses({202: _model("It will be done.", schemas.Record, "Location")}, 400, 413, 415, 422, 500, 503),
)
def process(
    submission: Submission,
    idempotency_key: Annotated[
        str | None,
        Header(
            alias=IDEMPOTENCY_KEY,
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="A name the caller gives to this request, such as a UUID.",
        ),
    ] = None,
) -> Response[str]:
    """`POST /process`."""
    record = _Bound.wiring.processing.accept(_caller(), submission.data, key=idempotency_key)
    logger.info("job accepted", extra={"record_id": record.id})
    return api.json_response(dumps(record.document()), 202, Location=f"/process/{record.id}")


@app.get(
    "/process/<id>",
    summary="Read a job and its result",
    description="While it is `pending` there is no result yet: ask again.",
    operation_id="getJob",
    security=_BEARER,
    responses=_responses({200: _model("The job.", schemas.Job)}, 400, 404, 500, 503),
)
def get_job(
    id: Annotated[str, Path(min_length=1, max_length=64, description="The job's id.")],  # noqa: A002 - the path's name
) -> Response[str]:
    """`GET /process/{id}`."""
    return api.json_response(_Bound.wiring.processing.job(_caller(), id), 200)


@app.get(
    "/results",
    summary="List one's own records, newest first",
    operation_id="listResults",
    security=_BEARER,
    responses=_responses({200: _model("A page.", schemas.RecordPage)}, 400, 500, 503),
)
def list_results(
    status: Annotated[Status, Query(description="Only records of this status.")] = Status.PROCESSED,
    limit: Annotated[int, Query(ge=1, le=100, description="Records on a page, at most.")] = 20,
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
    responses=_responses({200: _model("The form.", schemas.Upload)}, 400, 413, 415, 500, 503),
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
    responses=_responses({200: _model("It works.", schemas.Health)}, 500, 503, signed_in=False),
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
    DataTooLargeError: lambda: Problem(
        413,
        "The data is too large.",
        errors=[FieldError("/data", f"is larger than {MAX_DATA_BYTES // 1024} KiB with its numbers written out")],
    ),
}


def _caller() -> str:
    return _owner(app.current_event.raw_event)


def _on_error(error: Exception) -> Response[str]:
    return api.refused(api.problem_of(error, _EXPECTED), app.current_event.raw_event, _FIELDS)


app.exception_handler(Exception)(_on_error)
