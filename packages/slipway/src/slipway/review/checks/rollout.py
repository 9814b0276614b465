"""Check the safeguards of a new version before it gets all traffic."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.review.assembly import Json
from slipway.review.checks.registry import CheckContext, both, fields, on, shown, truth, words
from slipway.review.findings import ChangeFinding, Severity, found
from slipway.review.resources import Pair, ReviewedResource, Side
from slipway.review.values import readable, references
from slipway.settings.shifts import Shift


def _shift(name: Json, side: Side) -> Shift | None:
    """Return the traffic shift of a configuration by its name or reference; None if it is unknown."""
    own = next((side.of(reference) for reference in references(name)), None)
    try:
        return Shift.named(str(name)) if own is None else Shift.of_template(own.properties)
    except (TypeError, ValueError):
        return None


@on(
    "AWS::CodeDeploy::DeploymentGroup",
    judges="AlarmConfiguration AutoRollbackConfiguration DeploymentConfigName",
)
def deployment_group(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Check pace, alarms and rollback."""
    before, after = pair.before, pair.after
    if before is not None and after is None:
        yield found("rollback-loosened", before, "the deployment group is removed: traffic shifts without it")
        return
    if not (sides := both(pair)):
        return
    before, after = sides
    old, new = before.get("DeploymentConfigName"), after.get("DeploymentConfigName")
    if old != context.rename(str(new)):
        ours, theirs = _shift(old, context.matching.before), _shift(new, context.matching.after)
        what = f"traffic moves by {shown(new)} instead of {shown(old)}"
        if ours is None or theirs is None:
            yield found("canary-loosened", after, what, severity=Severity.MEDIUM, detail="DeploymentConfigName")
        elif theirs.is_looser_than(ours):
            yield found("canary-loosened", after, what, detail="DeploymentConfigName")
    alarms = "AlarmConfiguration"
    if truth(before.get(f"{alarms}.Enabled")) and not truth(after.get(f"{alarms}.Enabled")):
        yield found("rollback-loosened", after, "no alarm stops a deployment any more", detail="alarms-off")
    if not truth(before.get(f"{alarms}.IgnorePollAlarmFailure")) and truth(
        after.get(f"{alarms}.IgnorePollAlarmFailure")
    ):
        what = "a deployment continues if its alarms cannot be read"
        yield found("rollback-loosened", after, what, detail="IgnorePollAlarmFailure")
    left = set(map(context.rename, _alarms(after)))
    if dropped := sorted(map(readable, set(_alarms(before)) - left)):
        yield found("rollback-loosened", after, f"no longer stopped by {', '.join(dropped)}", detail="alarms")
    rollback = "AutoRollbackConfiguration"
    if truth(before.get(f"{rollback}.Enabled")) and not truth(after.get(f"{rollback}.Enabled")):
        yield found("rollback-loosened", after, "automatic rollback is off", detail="rollback-off")
    if dropped := sorted(words(before.get(f"{rollback}.Events")) - words(after.get(f"{rollback}.Events"))):
        yield found("rollback-loosened", after, f"no rollback at {', '.join(dropped)}", detail="Events")


def _alarms(group: ReviewedResource) -> list[str]:
    return [str(one.get("Name")) for one in group.entries("AlarmConfiguration.Alarms")]


_UPDATE = "CodeDeployLambdaAliasUpdate"


@on("AWS::Lambda::Alias", judges="ProvisionedConcurrencyConfig")
def alias(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Check an alias's hooks, and that CodeDeploy moves it at all."""
    if not (sides := both(pair)):
        return
    before, after = sides
    old, new = (fields(side.update_policy.get(_UPDATE)) for side in sides)
    if old and not new:
        yield found("canary-loosened", after, "all traffic moves at once: CodeDeploy no longer moves the alias")
        return
    for hook in ("BeforeAllowTrafficHook", "AfterAllowTrafficHook"):
        was, is_now = old.get(hook), new.get(hook)
        if was and not is_now:
            yield found("hook-removed", after, f"{hook} goes", detail=hook)
        elif was and was != context.rename(str(is_now)):
            what = f"{hook} is {shown(is_now)} instead of {shown(was)}"
            yield found("hook-removed", after, what, severity=Severity.MEDIUM, detail=hook)
    if before.get("ProvisionedConcurrencyConfig") and not after.get("ProvisionedConcurrencyConfig"):
        yield found("concurrency-dropped", after, "its provisioned concurrency is removed", detail="provisioned")


@on("AWS::CodeDeploy::DeploymentConfig", judges=lambda _: True)
def deployment_config(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for a custom configuration that moves more traffic at first, or all of it sooner."""
    if not (sides := both(pair)) or not pair.differences:
        return
    before, after = sides
    try:
        loosened: bool | None = Shift.of_template(after.properties).is_looser_than(Shift.of_template(before.properties))
    except (TypeError, ValueError):
        loosened = None
    if loosened is not False:
        names = ", ".join(difference.name for difference in pair.differences)
        severity = None if loosened else Severity.MEDIUM
        yield found("canary-loosened", after, f"its pace changes: {names}", severity=severity)
