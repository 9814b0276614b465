"""Faults of a service's dependencies on this machine, and the service's promises under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from slipway.emulator.extensions.faults import EdgeFault


@dataclass(frozen=True)
class PlantedFault:
    """One fault.

    Attributes:
        name: Its name on the command line.
        says: Description of the fault.
        edge: How requests of functions fail. None: they don't.
        kills: True if working execution environments are killed.
        absorbed: True if the service must answer as usual. Otherwise it may refuse as its document allows.
    """

    name: str
    says: str
    edge: EdgeFault | None = None
    kills: bool = False
    absorbed: bool = False


_THROTTLED = "ProvisionedThroughputExceededException"
_MESSAGES = ("sqs", "sns", "events")

FAULTS: Final = (
    PlantedFault(
        "throttled-table",
        "DynamoDB throttles every third request",
        EdgeFault(("dynamodb",), share=0.34, status=400, code=_THROTTLED),
        absorbed=True,
    ),
    PlantedFault(
        "table-out", "DynamoDB throttles every request", EdgeFault(("dynamodb",), status=400, code=_THROTTLED)
    ),
    PlantedFault("slow-bucket", "S3 answers half a second late", EdgeFault(("s3",), seconds=0.5), absorbed=True),
    PlantedFault(
        "lost-event",
        "SQS, SNS and EventBridge fail every second request",
        EdgeFault(_MESSAGES, share=0.5, status=503, code="ServiceUnavailable"),
        absorbed=True,
    ),
    PlantedFault("killed-function", "execution environments are killed while they work", kills=True),
)
"""Faults in the order in which they are planted."""
