"""The routes of the ingest API: the format of requests, and the answer to each outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import Response
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
from slipway_runtime import api as shell
from slipway_runtime import contract
from slipway_runtime.api import json_response
from slipway_runtime.bodies import BodyLimits
from slipway_runtime.exact_json import dumps
from slipway_runtime.http import API_KEY, header, method_of, path_of
from slipway_runtime.problems import FieldError, Problem
from slipway_runtime.telemetry import logger, metrics

LIMITS: Final = BodyLimits(size=6 * 1024 * 1024, values=100)
"""Lambda accepts 6 MB in total; API Gateway rejects larger requests before they reach the function. A record consists
of two values; a body of millions of tiny values would take more memory than the function has."""


@dataclass(frozen=True, kw_only=True)
class Wiring(shell.Wiring):
    """Dependencies of the routes.

    Attributes:
        records: Stores records and returns them.
        jobs: Starts jobs and reports their progress.
    """

    records: Records
    jobs: Jobs


def _owner(event: Mapping[str, Any]) -> str:
    """Return the owner of the records, the API key that the gateway has checked, or raise `Problem`."""
    key = header(event, API_KEY)
    if not key:
        raise Problem(403, "The API key is missing.", errors=[FieldError(API_KEY, "is missing")])
    return owner_of(key)


def _admit(event: dict[str, Any]) -> BodyLimits | None:
    _owner(event)
    return LIMITS if method_of(event) == "POST" and path_of(event) == "/data" else None


api: Final = shell.RestApi[Wiring](
    known={
        RecordNotFoundError: Problem(404, "The record does not exist.", errors=[FieldError("id", "is unknown")]),
        JobNotFoundError: Problem(404, "The job does not exist.", errors=[FieldError("job", "is unknown")]),
        PayloadTooLargeError: Problem(
            413,
            "The payload is too large.",
            errors=[FieldError("payload", f"takes more than {PAYLOAD_BYTES} bytes")],
        ),
        TimeoutError: Problem(503, headers={"Retry-After": "1"}),
    },
    fields=("id", "job", "payload", API_KEY),
    says={
        403: "The API key is missing or unknown.",
        404: "The caller has no record or job with this id.",
        413: "The payload is too large.",
        429: "The rate or the quota of the usage plan is used up.",
    },
    always=(403,),
    admit=_admit,
)
app: Final = api.app


def _responses(success: int, description: str, model: type, errors: tuple[int, ...], *headers: str) -> dict[Any, Any]:
    answer = contract.success(description, model, {name: _HEADERS[name] for name in headers})
    return api.responses({success: answer}, *errors)


_HEADERS: Final = {
    "Location": "Its address, relative to the request's.",
    "Retry-After": "Seconds to wait before asking again.",
}
_KEYED: Final[list[dict[str, list[str]]]] = [{"api_key": []}]
_POLL_SECONDS: Final = "2"

RecordId = Annotated[str, Query(min_length=1, max_length=64, description="The record's id.")]
JobId = Annotated[str, Path(min_length=1, max_length=64, description="The job's id.")]


@app.post(
    "/data",
    summary="Send a record",
    description="It is pending until a job processes it, and is kept for a day in any case.",
    operation_id="createRecord",
    security=_KEYED,
    responses=_responses(201, "The record.", schemas.Record, (400, 413, 415), "Location"),
)
def create_record(record: schemas.NewRecord) -> Response[str]:
    """Handle `POST /data`."""
    created = api.wiring.records.create(_caller(), record.payload)
    metrics.add_metric("RecordsCreated", MetricUnit.Count, 1)
    logger.info("record created", extra={"record": created.id, "size": created.size})
    place = api.location(f"data?id={created.id}")
    return json_response(dumps(created.document()), 201, Location=place)


@app.get(
    "/data",
    summary="Read a record",
    description="If the stage has a cache, an answer may be as old as the cache's TTL.",
    operation_id="getRecord",
    security=_KEYED,
    responses=_responses(200, "The record.", schemas.RecordWithPayload, (400, 404)),
)
def get_record(id: RecordId) -> Response[str]:  # noqa: A002 - the parameter's own name
    """Handle `GET /data`."""
    record, payload = api.wiring.records.get(_caller(), id)
    if payload is None:
        logger.error("payload lost", extra={"record": record.id})
        metrics.add_metric("PayloadsLost", MetricUnit.Count, 1)
    return json_response(dumps(record.document() | {"payload": payload}), 200)


@app.post(
    "/process",
    summary="Process the pending records",
    description="The job covers the caller's records that are pending when it is planned, a moment after this request.",
    operation_id="startJob",
    security=_KEYED,
    responses=_responses(202, "The job.", schemas.Job, (), "Location", "Retry-After"),
)
def start_job() -> Response[str]:
    """Handle `POST /process`."""
    jobs = api.wiring.jobs
    job = jobs.start(_caller())
    metrics.add_metric("JobsStarted", MetricUnit.Count, 1)
    logger.info("job started", extra={"job": job.id})
    place = api.location(f"process/{job.id}")
    headers = {"Location": place, "Retry-After": _POLL_SECONDS}
    return json_response(dumps(job.document(jobs.second())), 202, **headers)


@app.get(
    "/process/<job>",
    summary="Read the progress of a job",
    operation_id="getJob",
    security=_KEYED,
    responses=_responses(200, "The job.", schemas.Job, (400, 404)),
)
def get_job(job: JobId) -> Response[str]:
    """Handle `GET /process/{job}`."""
    jobs = api.wiring.jobs
    return json_response(dumps(jobs.get(_caller(), job).document(jobs.second())), 200)


def _caller() -> str:
    return _owner(api.event)
