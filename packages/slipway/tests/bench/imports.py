"""How long a function takes to start, compared with any function that uses DynamoDB."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from bench.rows import Row
from slipway.testing.shipped import LambdaFolder

GOAL = 1.3

BASELINE = "import boto3; boto3.client('dynamodb')"

# The interpreter's own start is excluded from both; including it would make the ratio look better
_SCRIPT = """
import sys, time
started = time.perf_counter()
exec(sys.argv[1])
sys.stderr.write("\\n" + repr(time.perf_counter() - started))
"""


def measure(
    folder: LambdaFolder,
    handlers: Sequence[str],
    *,
    runs: int,
    variables: Mapping[str, str],
    note: str = "",
    goal: float | None = GOAL,
) -> list[Row]:
    """Import each handler in new processes, alternating with the baseline.

    Args:
        folder: The unpacked function.
        handlers: Modules, such as `services.<name>.runtime.api`.
        runs: Number of processes for each.
        variables: The functions' environment variables.
        note: Text added to each row's name.
        goal: The desired ratio.
    """
    statements = {"baseline": BASELINE} | {handler: f"import {handler}" for handler in handlers}
    seconds: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(runs):
        for name, statement in statements.items():
            said = folder.run(_SCRIPT, statement, variables=variables)
            seconds[name].append(float(said.rpartition("\n")[2]))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    baseline = medians.pop("baseline")
    return [
        Row(
            name=f"import {handler}{note}",
            value=median / baseline,
            unit="x",
            goal=goal,
            detail=f"{median * 1000:.0f} ms against {baseline * 1000:.0f} ms for boto3 and a DynamoDB client",
        )
        for handler, median in medians.items()
    ]
