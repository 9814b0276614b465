"""Effects of a pipeline's change on its running executions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from slipway.review.checks.registry import CheckContext, both, on
from slipway.review.findings import ChangeFinding, found
from slipway.review.resources import Pair

RESTARTED: Final = "pipeline-restarted"
"""Kind of the finding, which the build checks before it accepts such a change."""

_APART: Final = frozenset({"Tags"})
"""Properties that CloudFormation changes without an update of the pipeline."""


@on("AWS::CodePipeline::Pipeline")
def restart(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Yield a finding if the pipeline's definition changes.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html: in QUEUED mode an update of the
    pipeline cancels the active executions after their actions in progress, and those that wait.
    """
    if not (sides := both(pair)):
        return
    before, after = ({name: value for name, value in side.properties.items() if name not in _APART} for side in sides)
    if before != after:
        names = ", ".join(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
        what = f"this change restarts the pipeline and cancels running executions: {names}"
        yield found(RESTARTED, sides[1], what)
