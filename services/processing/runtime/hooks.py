"""Contract checks of new versions, before traffic goes to them. They write nothing that lasts."""

from slipway_runtime.startup import finished

from typing import Final

from services.processing.runtime.model import Outcome
from slipway_runtime.checks import healthy, http_request, is_equal_to, is_problem, is_refused, well
from slipway_runtime.hook import Check, before_traffic
from slipway_runtime.outside import PublicCheck, probe

_CLAIMS: Final = {"token_use": "access", "sub": "contract-check"}  # nosec B105  # a kind of token

API_CHECKS: Final = (
    Check("health", http_request("GET", "/health"), healthy),
    Check("a request without a token is refused", http_request("POST", "/process", body="{}"), is_problem(401)),
    Check(
        "invalid data is refused",
        http_request("POST", "/validate", body='{"data": []}', claims=_CLAIMS),
        is_problem(400),
    ),
    Check("a job that nobody has", http_request("GET", "/process/contract-check", claims=_CLAIMS), is_problem(404)),
)
WORKER_CHECKS: Final = (
    Check(
        "a job without a record",
        {"owner": "contract-check", "id": "none", "data": "{}"},
        is_equal_to({"outcome": Outcome.UNKNOWN.value}, "an unknown job was not recognised"),
    ),
)
PUBLIC_CHECKS: Final = (
    PublicCheck(Check("health", http_request("GET", "/health"), well)),
    PublicCheck(Check("without a token nobody is admitted", http_request("GET", "/results"), is_refused(401))),
)

api_handler = before_traffic(API_CHECKS)
worker_handler = before_traffic(WORKER_CHECKS)
probe_handler = probe(PUBLIC_CHECKS)

finished()
