"""Contract checks of new versions, before traffic goes to them. They write nothing that lasts."""

from slipway_runtime.startup import finished

import os
from typing import Any, Final

from slipway_runtime import aws
from slipway_runtime.checks import EMPTY_BATCH, healthy, is_problem, lists, no_failures, rest_request, well
from slipway_runtime.comparison import Read
from slipway_runtime.hook import Check, before_traffic
from slipway_runtime.outside import PublicCheck, probe
from slipway_runtime.secrets import CachedSecret

API_CHECKS: Final = (
    Check("health", rest_request("GET", "/health"), healthy),
    Check(
        "a read past the distribution is refused",
        rest_request("GET", "/items/contract-check", headers={"X-Origin-Verify": "contract-check"}),
        is_problem(403),
    ),
    Check("an invalid item is refused", rest_request("POST", "/items", body='{"name": ""}'), is_problem(400)),
)
_origin: Final = CachedSecret(lambda: aws.client("secretsmanager"), os.environ.get("ORIGIN_SECRET_ARN", ""), "header")


def _newest() -> dict[str, Any]:
    return rest_request("GET", "/items", query={"limit": "20"}, headers={"X-Origin-Verify": _origin.current()})


API_READS: Final = (Read("the newest items", _newest),)
STREAM_CHECKS: Final = (Check("an empty batch", EMPTY_BATCH, no_failures),)
PUBLIC_CHECKS: Final = (
    PublicCheck(Check("health", rest_request("GET", "/health"), well)),
    PublicCheck(API_CHECKS[1]),
    PublicCheck(
        Check(
            "a list is read through the distribution",
            rest_request("GET", "/items", query={"limit": "5"}),
            lists("items", "id", "name", "version"),
        ),
        edge=True,
    ),
)

api_handler = before_traffic(API_CHECKS, reads=API_READS)
stream_handler = before_traffic(STREAM_CHECKS)
probe_handler = probe(PUBLIC_CHECKS)

finished()
