"""The routes of the processing API: the format of requests, and the answer to each outcome."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.metrics import MetricUnit

from services.processing.runtime import schemas
from services.processing.runtime.errors import InvalidCursorError, KeyReusedError, RecordNotFoundError
from services.processing.runtime.logic import Processing
from services.processing.runtime.model import Status
from services.processing.runtime.schemas import Submission, UploadRequest
from slipway_runtime import api as shell
from slipway_runtime import contract
from slipway_runtime.api import json_response
from slipway_runtime.bodies import DATA_LIMITS, BodyLimits, canonical
from slipway_runtime.exact_json import dumps
from slipway_runtime.http import AUTHORIZATION, IDEMPOTENCY_KEY, method_of, path_of
from slipway_runtime.problems import FieldError, Problem
from slipway_runtime.telemetry import logger, metrics
from slipway_runtime.uploads import FORM_SECONDS

_OPERATIONS: Final = {"/validate": "Validate", "/process": "Process"}
"""Routes whose outcomes are counted, with the prefix of their metrics' names."""


@dataclass(frozen=True, kw_only=True)
class Wiring(shell.Wiring):
    """Dependencies of the routes.

    Attributes:
        processing: The logic.
    """

    processing: Processing


def _admit(event: dict[str, Any]) -> BodyLimits | None:
    if method_of(event) != "POST":
        return None
    # The caller is checked before the request.
    shell.token_subject(event)
    return DATA_LIMITS


class ProcessingApi(shell.HttpApi[Wiring]):
    """The routes, whose outcomes are counted."""

    def respond(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer a proxy event, and count its outcome."""
        answer = super().respond(event, context)
        operation = _OPERATIONS.get(path_of(event)) if method_of(event) == "POST" else None
        if operation is not None:
            metrics.add_metric(f"{operation}Requests", MetricUnit.Count, 1)
            if answer["statusCode"] >= 400:
                metrics.add_metric(f"{operation}Failures", MetricUnit.Count, 1)
            elif operation == "Validate":
                # A job has succeeded when the worker has done it, and the worker counts that.
                metrics.add_metric("ValidateSuccesses", MetricUnit.Count, 1)
        return answer


api: Final = ProcessingApi(
    known={
        RecordNotFoundError: Problem(404, "You have no job with this id.", errors=[FieldError("id", "is unknown")]),
        InvalidCursorError: Problem(
            400, "The request is not valid.", errors=[FieldError("cursor", "is not a cursor of this listing")]
        ),
        KeyReusedError: Problem(
            422, "The key was used before.", errors=[FieldError(IDEMPOTENCY_KEY, "was used for other data")]
        ),
    },
    fields=("content_type", "cursor", "data", "id", "limit", "status", AUTHORIZATION, IDEMPOTENCY_KEY),
    says={
        400: "The request is not valid; `errors` names every error.",
        401: "The token is missing or invalid, or is not an access token.",
        404: "The caller has no job with this id.",
        422: "The `Idempotency-Key` was used for other data.",
    },
    admit=_admit,
)
app: Final = api.app


_HEADERS: Final = {"Location": "Address of the job, relative to the request's."}
_BEARER: Final[list[dict[str, list[str]]]] = [{"bearer": []}]


def _model(description: str, model: type, *headers: str) -> dict[str, Any]:
    return contract.success(description, model, {name: _HEADERS[name] for name in headers})


@app.post(
    "/validate",
    summary="Validate data",
    description="Names every error with its path; valid data is recorded with the status `validated`.",
    operation_id="validate",
    security=_BEARER,
    responses=api.responses({200: _model("It is valid.", schemas.Record)}, 400, 413, 415, 401),
)
def validate(submission: Submission) -> Response[str]:
    """Handle `POST /validate`."""
    record = api.wiring.processing.validated(_caller(), canonical(submission.data, DATA_LIMITS))
    logger.info("validated", extra={"record_id": record.id})
    return json_response(dumps(record.document()), 200)


@app.post(
    "/process",
    summary="Process data",
    description=(
        "Accepts a job that puts the data's strings in upper case; `Location` is the address of its result. With an "
        "`Idempotency-Key`, a caller's requests with the same key are one job, so a request without an answer can "
        "be repeated."
    ),
    operation_id="process",
    security=_BEARER,
    responses=api.responses({202: _model("The job is accepted.", schemas.Record, "Location")}, 400, 413, 415, 422, 401),
)
def process(
    submission: Submission,
    idempotency_key: contract.IdempotencyKey = None,
) -> Response[str]:
    """Handle `POST /process`."""
    data = canonical(submission.data, DATA_LIMITS)
    record = api.wiring.processing.accept(_caller(), data, key=idempotency_key)
    logger.info("job accepted", extra={"record_id": record.id})
    place = api.location(f"process/{record.id}")
    return json_response(dumps(record.document()), 202, Location=place)


@app.get(
    "/process/<id>",
    summary="Read a job and its result",
    description="While it is `pending` there is no result yet: ask again. It is `failed` if its result was lost.",
    operation_id="getJob",
    security=_BEARER,
    responses=api.responses({200: _model("The job.", schemas.Job)}, 400, 404, 401),
)
def get_job(
    id: Annotated[str, Path(min_length=1, max_length=64, description="The job's id.")],  # noqa: A002 - the path's name
) -> Response[str]:
    """Handle `GET /process/{id}`."""
    state = api.wiring.processing.job(_caller(), id)
    if state.result_lost:
        logger.error("result lost", extra={"record_id": id})
        metrics.add_metric("ResultsLost", MetricUnit.Count, 1)
    return json_response(state.document, 200)


@app.get(
    "/results",
    summary="List the caller's own records, newest first",
    operation_id="listResults",
    security=_BEARER,
    responses=api.responses({200: _model("A page.", schemas.RecordPage)}, 400, 401),
)
def list_results(
    status: Annotated[Status, Query(description="Only records of this status.")] = Status.PROCESSED,
    limit: contract.Limit = 20,
    cursor: Annotated[
        str | None, Query(min_length=1, max_length=128, description="`next_cursor` of the previous page.")
    ] = None,
) -> Response[str]:
    """Handle `GET /results`."""
    return json_response(api.wiring.processing.newest(_caller(), status, limit=limit, cursor=cursor), 200)


@app.post(
    "/uploads",
    summary="Get a form for uploading a file",
    description="The form is valid for ten minutes and for one object of the given media type, with a limited size.",
    operation_id="createUpload",
    security=_BEARER,
    responses=api.responses({200: _model("The form.", schemas.Upload)}, 400, 413, 415, 401),
)
def create_upload(request: UploadRequest) -> Response[str]:
    """Handle `POST /uploads`."""
    processing = api.wiring.processing
    if request.content_type not in processing.content_types:
        errors = [FieldError("/content_type", f"is not one of {', '.join(processing.content_types)}")]
        raise Problem(400, "The request is not valid.", errors=errors)
    upload = processing.upload(_caller(), request.content_type)
    logger.info("upload form made", extra={"upload_id": upload.id})
    document = {
        "id": upload.id,
        **upload.form._asdict(),
        "max_bytes": processing.max_upload_bytes,
        "expires_in_seconds": FORM_SECONDS,
    }
    return json_response(dumps(document), 200)


api.add_health()


def _caller() -> str:
    return shell.token_subject(api.event)
