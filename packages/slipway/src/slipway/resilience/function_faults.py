"""The faults that AWS FIS puts into functions, as the templates and the step that starts them name them.

FIS has three actions on functions, and none on what they use here: its errors of AWS's own APIs are for EC2 and Kinesis
alone, and its one action on DynamoDB pauses the replication of global tables
(https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AROUND_SECONDS = 300
"""What an experiment takes besides its own minutes at the most: its start and end, and the service's recovery."""


@dataclass(frozen=True)
class FunctionFault:
    """One experiment.

    Attributes:
        name: as the command line calls it.
        says: what breaks.
        absorbed: whether the service answers as ever. Else the gateway may refuse in its place.
        delays: whether the functions are late. Else they fail.
    """

    name: str
    says: str
    absorbed: bool = True
    delays: bool = False

    @property
    def output(self) -> str:
        """Name of the stack's output with the template's id."""
        return f"{self.construct_id}Experiment"

    @property
    def construct_id(self) -> str:
        """Id of the template in its stack."""
        return "".join(part.title() for part in self.name.split("-"))


SLOW_FUNCTIONS: Final = FunctionFault("slow-functions", "every invocation begins late", delays=True)
FAILING_READERS: Final = FunctionFault(
    "failing-readers", "some invocations behind queues, streams and events do their work and are counted as failed"
)
FAILING_API: Final = FunctionFault("failing-api", "some invocations behind the API fail at once", absorbed=False)

FUNCTION_FAULTS: Final = (SLOW_FUNCTIONS, FAILING_READERS, FAILING_API)
"""In the order in which they are injected."""
