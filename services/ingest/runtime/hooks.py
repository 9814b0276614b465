"""Contract checks of new versions, before traffic goes to them. They write nothing."""

from slipway_runtime.startup import finished

from typing import Final

from slipway_runtime.checks import EMPTY_BATCH, is_problem, no_failures, rest_request, well
from slipway_runtime.hook import Check, before_traffic
from slipway_runtime.outside import PublicCheck, probe

_NOBODY: Final = "00000000-0000-4000-8000-000000000000"
"""An id that no record and no job has."""
_KEY: Final = {"x-api-key": "contract-check"}
"""A key that is not in the usage plan."""

API_CHECKS: Final = (
    Check(
        "a record that nobody sent is read from the table",
        rest_request("GET", "/data", query={"id": _NOBODY}, headers=_KEY),
        is_problem(404),
    ),
    Check(
        "a job that nobody started is read from the table",
        rest_request("GET", f"/process/{_NOBODY}", headers=_KEY),
        is_problem(404),
    ),
    Check(
        "a record without a payload is refused",
        rest_request("POST", "/data", body='{"payload": ""}', headers=_KEY),
        is_problem(400),
    ),
)
QUEUE_CHECKS: Final = (Check("an empty batch", EMPTY_BATCH, no_failures),)
PUBLIC_CHECKS: Final = (
    PublicCheck(Check("health", rest_request("GET", "/health"), well)),
    PublicCheck(
        Check("without a key nothing is read", rest_request("GET", "/data", query={"id": _NOBODY}), is_problem(403))
    ),
    PublicCheck(
        Check("a job that nobody started", rest_request("GET", f"/process/{_NOBODY}"), is_problem(404)), keyed=True
    ),
)

api_handler = before_traffic(API_CHECKS)
queue_handler = before_traffic(QUEUE_CHECKS)
probe_handler = probe(PUBLIC_CHECKS)

finished()
