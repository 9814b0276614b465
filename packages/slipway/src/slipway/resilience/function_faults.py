"""Faults that AWS FIS injects into functions, for the templates and for the step that starts the experiments.

FIS has three actions on functions, but none on the services that the functions use here: its actions that inject errors
into AWS's APIs cover only EC2 and Kinesis, and its one action on DynamoDB pauses the replication of global tables
(https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AROUND_SECONDS = 300
"""Maximum duration of an experiment's start and end and of the service's recovery, seconds."""


@dataclass(frozen=True)
class FunctionFault:
    """One experiment.

    Attributes:
        name: Its name on the command line.
        says: Description of the fault.
        absorbed: True if the service must answer as usual. Otherwise the gateway may refuse in its place.
        delays: True if the fault delays invocations. Otherwise it makes them fail.
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
    "failing-readers", "some invocations behind queues, streams and events do their work but are reported as failed"
)
FAILING_API: Final = FunctionFault("failing-api", "some invocations behind the API fail at once", absorbed=False)

FUNCTION_FAULTS: Final = (SLOW_FUNCTIONS, FAILING_READERS, FAILING_API)
"""Faults in the order in which they are injected."""
