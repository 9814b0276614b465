"""What a change makes that a rollback of it cannot take away."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.review.checks.registry import ANY, CheckContext, on
from slipway.review.findings import ChangeFinding, found
from slipway.review.resources import Pair


@on(ANY)
def rollback(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Yield a finding where a protected resource is added to a stack that is there.

    The rollback of a stage executes the template before: the resource leaves it, which is an `Update:Delete` that the
    stack policy denies
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html), whatever its
    deletion policy. A stack that is new has no policy yet.
    """
    after = pair.after
    if pair.before is not None or after is None or after.type not in context.protected:
        return
    if after.stack.key in {stack.key for stack in context.matching.before.assembly.stacks}:
        what = f"this change cannot be rolled back by itself: the stack policy refuses to delete the new {after.type}"
        yield found("not-rolled-back", after, what)
