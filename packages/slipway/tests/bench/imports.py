"""How long a function takes to start, against what any function pays that uses DynamoDB."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from bench.rows import Row
from slipway.testing.shipped import LambdaFolder

GOAL = 1.3

BASELINE = "import boto3; boto3.client('dynamodb')"

# The interpreter's own start is left out of both sides: the ratio would look better with it.
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
    """Import each handler in fresh processes, the baseline in between.

    Args:
        folder: the unpacked function.
        handlers: modules, such as `services.<name>.runtime.api`.
        runs: processes for each.
        variables: the functions' environment variables.
        note: added to each row's name.
        goal: the ratio aimed at.
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
