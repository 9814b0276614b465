"""Changes that their own rollback cannot undo."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.review.checks.registry import ANY, CheckContext, on
from slipway.review.findings import ChangeFinding, found
from slipway.review.resources import Pair


@on(ANY)
def rollback(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Yield a finding if a protected resource is added to an existing stack.

    A stage's rollback deploys the previous template: the resource is removed from it, which is an `Update:Delete` that
    the stack policy denies
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html), whatever its deletion
    policy. A new stack has no policy yet.
    """
    after = pair.after
    if pair.before is not None or after is None or after.type not in context.protected:
        return
    if after.stack.key in {stack.key for stack in context.matching.before.assembly.stacks}:
        what = f"no automatic rollback of this change: the stack policy refuses to delete the new {after.type}"
        yield found("not-rolled-back", after, what)
