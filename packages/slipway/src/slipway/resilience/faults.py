"""What is broken around a service on this machine, and what the service promises meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from slipway.emulator.extensions.faults import EdgeFault


@dataclass(frozen=True)
class PlantedFault:
    """One fault.

    Attributes:
        name: as the command line calls it.
        says: what breaks.
        edge: How requests of functions fail. None: they don't.
        kills: whether execution environments are killed at work.
        absorbed: whether the service answers as ever. Else it may refuse, in the words of its document.
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
    PlantedFault("killed-function", "execution environments are killed at work", kills=True),
)
"""In the order in which they are planted."""
