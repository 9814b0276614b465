"""The routes of the ingest API: what a request must look like, and which answer each outcome gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.metrics import MetricUnit

from services.ingest.runtime import schemas
from services.ingest.runtime.errors import (
    JobNotFoundError,
    PayloadTooLargeError,
    RecordNotFoundError,
)
from services.ingest.runtime.logic import Jobs, Records
from services.ingest.runtime.model import PAYLOAD_BYTES, owner_of
from slipway_runtime import contract
from slipway_runtime.api import BodyLimits, Problems, check_body, json_response, parse_object, problem_of, refused
from slipway_runtime.exact_json import dumps
from slipway_runtime.http import (
    API_KEY,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    Cors,
    as_get,
    header,
    location,
    method_of,
    path_of,
    proxy_answer,
)
from slipway_runtime.problems import FieldError, Problem
from slipway_runtime.telemetry import logger, metrics

LIMITS: Final = BodyLimits(size=6 * 1024 * 1024, values=100)
"""Lambda takes 6 MB in all; API Gateway refuses more before it reaches the function. A record is two values: millions
of them, as short as they can be written, would take more memory than the function has."""

_FIELDS: Final = frozenset({"body", "id", "job", "path", "payload", API_KEY, CONTENT_ENCODING, CONTENT_TYPE})


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What the routes work with.

    Attributes:
        records: Takes records and gives them back.
        jobs: Takes jobs and tells how far they are.
        cors: CORS headers for the configured origins.
    """

    records: Records
    jobs: Jobs
    cors: Cors


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
    try:
        _owner(event)
        if method_of(event) == "POST" and path_of(event) == "/data":
            check_body(event, LIMITS)
    except Problem as problem:
        answer = proxy_answer(refused(problem, event, _FIELDS), event)
    else:
        answer = app.resolve(event, context)
    added = _Bound.wiring.cors.headers(header(event, "origin"))
    answer["multiValueHeaders"].update({name: [value] for name, value in added.items()})
    return answer


def _owner(event: Mapping[str, Any]) -> str:
    """Whose records these are: the API key's, which the gateway has checked; raises `Problem`."""
    key = header(event, API_KEY)
    if not key:
        raise Problem(403, "The API key is missing.", errors=[FieldError(API_KEY, "is missing")])
    return owner_of(key)


_PROBLEMS: Final = {
    400: "The request is not valid; `errors` names the fields.",
    403: "The API key is missing or not known.",
    404: "The caller has no such record or job.",
    413: "The payload is too large.",
    415: "The body is not JSON, or it is compressed.",
    429: "The rate or the quota of the usage plan is used up.",
    500: "The service failed.",
    502: "The service did not answer; try again.",
    503: "The service cannot do this right now; try again.",
    504: "The service did not answer in time; try again.",
}
_ALWAYS: Final = (403, 429, 500, 502, 503, 504)
"""What the gateway or the service may answer on every route."""


def _responses(success: int, description: str, model: type, errors: tuple[int, ...], *headers: str) -> dict[Any, Any]:
    """The responses of an operation for the OpenAPI document."""
    answer = contract.success(description, model, {name: _HEADERS[name] for name in headers})
    return {success: answer} | contract.problems({status: _PROBLEMS[status] for status in {*errors, *_ALWAYS}})


_HEADERS: Final = {
    "Location": "Where it is, relative to the address of the request.",
    "Retry-After": "Seconds to wait before the next look.",
}
_KEYED: Final[list[dict[str, list[str]]]] = [{"api_key": []}]
_POLL_SECONDS: Final = "2"

RecordId = Annotated[str, Query(min_length=1, max_length=64, description="The record's id.")]
JobId = Annotated[str, Path(min_length=1, max_length=64, description="The job's id.")]


@app.post(
    "/data",
    summary="Send a record",
    description="It is pending until a job works it off, and lives for a day either way.",
    operation_id="createRecord",
    security=_KEYED,
    responses=_responses(201, "The record.", schemas.Record, (400, 413, 415), "Location"),
)
def create_record(record: schemas.NewRecord) -> Response[str]:
    """`POST /data`."""
    created = _Bound.wiring.records.create(_caller(), record.payload)
    metrics.add_metric("RecordsCreated", MetricUnit.Count, 1)
    logger.info("record created", extra={"record": created.id, "size": created.size})
    place = location(app.current_event.raw_event, f"data?id={created.id}")
    return json_response(dumps(created.document()), 201, Location=place)


@app.get(
    "/data",
    summary="Read a record",
    description="Where the stage has a cache, an answer may be as old as that keeps it.",
    operation_id="getRecord",
    security=_KEYED,
    responses=_responses(200, "The record.", schemas.RecordWithPayload, (400, 404)),
)
def get_record(id: RecordId) -> Response[str]:  # noqa: A002 - the parameter's own name
    """`GET /data`."""
    record, payload = _Bound.wiring.records.get(_caller(), id)
    if payload is None:
        logger.error("payload lost", extra={"record": record.id})
        metrics.add_metric("PayloadsLost", MetricUnit.Count, 1)
    return json_response(dumps(record.document() | {"payload": payload}), 200)


@app.post(
    "/process",
    summary="Work off the pending records",
    description="The job holds the caller's records that are pending when it is planned, which is a moment later.",
    operation_id="startJob",
    security=_KEYED,
    responses=_responses(202, "The job.", schemas.Job, (), "Location", "Retry-After"),
)
def start_job() -> Response[str]:
    """`POST /process`."""
    jobs = _Bound.wiring.jobs
    job = jobs.start(_caller())
    metrics.add_metric("JobsStarted", MetricUnit.Count, 1)
    logger.info("job started", extra={"job": job.id})
    place = location(app.current_event.raw_event, f"process/{job.id}")
    headers = {"Location": place, "Retry-After": _POLL_SECONDS}
    return json_response(dumps(job.document(jobs.second())), 202, **headers)


@app.get(
    "/process/<job>",
    summary="Tell how far a job is",
    operation_id="getJob",
    security=_KEYED,
    responses=_responses(200, "The job.", schemas.Job, (400, 404)),
)
def get_job(job: JobId) -> Response[str]:
    """`GET /process/{job}`."""
    jobs = _Bound.wiring.jobs
    return json_response(dumps(jobs.get(_caller(), job).document(jobs.second())), 200)


def _caller() -> str:
    return _owner(app.current_event.raw_event)


def _too_large() -> Problem:
    fault = FieldError("payload", f"takes more than {PAYLOAD_BYTES} bytes")
    return Problem(413, "The payload is too large.", errors=[fault])


_EXPECTED: Final[Problems] = {
    RecordNotFoundError: lambda: Problem(404, "There is no such record.", errors=[FieldError("id", "names no record")]),
    JobNotFoundError: lambda: Problem(404, "There is no such job.", errors=[FieldError("job", "names no job")]),
    PayloadTooLargeError: _too_large,
    TimeoutError: lambda: Problem(503, headers={"Retry-After": "1"}),
}


def _on_error(error: Exception) -> Response[str]:
    return refused(problem_of(error, _EXPECTED), app.current_event.raw_event, _FIELDS)


app.exception_handler(Exception)(_on_error)
