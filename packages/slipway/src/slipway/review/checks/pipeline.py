"""Check the pipeline itself: its order, approvals, conditions, source and builds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from slipway.review.assembly import PIPELINE, Json
from slipway.review.builds import build_commands, installs_tool, is_publisher, publishes
from slipway.review.checks.registry import CheckContext, both, fields, number, objects, on, shown, truth
from slipway.review.findings import ChangeFinding, Severity, found
from slipway.review.resources import Pair, ReviewedResource, Side, differences
from slipway.review.values import readable, references

_Stage = Mapping[str, Any]
_Action = Mapping[str, Any]
_APPROVAL, _SOURCE, _DEPLOY = "Approval", "Source", "Deploy"
_CONDITIONS = ("BeforeEntry", "OnSuccess", "OnFailure")
_EXECUTIONS: Final = ("SUPERSEDED", "PARALLEL", "QUEUED")
# Prefix of a resolved value that is a specification in a file.
_IN_FILE = "FileAsset: "

_Publishes = Callable[[_Action], bool]
"""Returns True if an action only publishes assets."""


@on(
    "AWS::CodePipeline::Pipeline",
    judges="DisableInboundStageTransitions ExecutionMode RestartExecutionOnUpdate Stages Triggers",
)
def pipeline(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Check everything that the pipeline does before an environment."""
    if not (sides := both(pair)):
        if pair.before is not None:
            what = "the pipeline is removed with its approvals and conditions"
            yield found("stage-removed", pair.before, what, detail="pipeline")
        return
    before, after = sides
    ones, others = (_stages(side) for side in sides)
    were, are = (_publishing(side) for side in (context.matching.before, context.matching.after))
    yield from _approvals(after, ones, others)
    if _publish_no_more(context.matching.after, (ones, were), (others, are)):
        yield found("stage-removed", after, "nothing publishes the assets any more", detail="assets")
    ones = {name: left for name, stage in ones.items() if (left := _without_assets(stage, others.get(name), were, are))}
    yield from _order(after, ones, others)
    for name, stage in ones.items():
        if name in others:
            yield from _conditions(after, name, stage, others[name])
            yield from _actions(after, name, stage, others[name])
    yield from _self_mutation(before, after)
    yield from _transitions(before, after)
    yield from _source(before, after)
    old, new = (str(side.get("ExecutionMode", "SUPERSEDED")) for side in sides)
    if old == "QUEUED" != new:
        yield found("pipeline-loosened", after, f"executions are {new} and no longer queued", detail="ExecutionMode")
    if truth(before.get("RestartExecutionOnUpdate")) and not truth(after.get("RestartExecutionOnUpdate")):
        what = "an execution continues with the old definition after the pipeline changed itself"
        yield found("pipeline-loosened", after, what, detail="RestartExecutionOnUpdate")


def _publishing(side: Side) -> _Publishes:
    """Identify actions that publish assets by their build projects."""

    def publishes_assets(action: _Action) -> bool:
        project = fields(action.get("Configuration")).get("ProjectName")
        return any(is_publisher(side.of(reference)) for reference in references(project))

    return publishes_assets


def _without_assets(stage: _Stage, now: _Stage | None, were: _Publishes, are: _Publishes) -> _Stage | None:
    """Return a stage without the actions that only publish assets, before and after; None if none is left.

    CDK numbers these actions, or names them after the assets, so they cannot be matched.
    """
    kept = {str(action.get("Name")): action for action in objects(now.get("Actions") if now else None)}

    def only_publishes(action: _Action) -> bool:
        twin = kept.get(str(action.get("Name")))
        return were(action) and (twin is None or are(twin))

    actions = objects(stage.get("Actions"))
    left = [action for action in actions if not only_publishes(action)]
    return {**stage, "Actions": left} if left or not actions else None


def _publish_no_more(
    after: Side, old: tuple[Mapping[str, _Stage], _Publishes], new: tuple[Mapping[str, _Stage], _Publishes]
) -> bool:
    """Return True if nothing publishes assets any more, although deployed resources need them."""
    were, are = (
        any(publishes_assets(action) for stage in stages.values() for action in objects(stage.get("Actions")))
        for stages, publishes_assets in (old, new)
    )
    deployed = (resource for resource in after.resources.values() if resource.stack.stage != PIPELINE)
    return were and not are and any(resource.digests for resource in deployed)


def _stages(resource: ReviewedResource) -> dict[str, _Stage]:
    return {str(stage.get("Name")): stage for stage in resource.entries("Stages")}


def _of(stage: _Stage, category: str) -> dict[str, Mapping[str, Any]]:
    """Return the actions of a category by name."""
    return {
        str(action.get("Name")): action for action in objects(stage.get("Actions")) if _category(action) == category
    }


def _category(action: Mapping[str, Any]) -> str:
    return str(fields(action.get("ActionTypeId")).get("Category"))


def _guarded(stages: Mapping[str, _Stage]) -> dict[str, int]:
    """Return the number of approvals before the first deployment of each deploying stage."""
    asked, guarded = 0, {}
    for name, stage in stages.items():
        deploys = [int(number(action.get("RunOrder")) or 1) for action in _of(stage, _DEPLOY).values()]
        asks = [int(number(action.get("RunOrder")) or 1) for action in _of(stage, _APPROVAL).values()]
        if deploys:
            guarded[name] = asked + sum(order < min(deploys) for order in asks)
        asked += len(asks)
    return guarded


def _approvals(
    after: ReviewedResource, ones: Mapping[str, _Stage], others: Mapping[str, _Stage]
) -> Iterator[ChangeFinding]:
    old, new = _guarded(ones), _guarded(others)
    for name, approvals in old.items():
        left = new.get(name)
        if left is not None and left < approvals:
            severity = None if not left else Severity.HIGH
            what = f"{name} is reached after {shown(left) if left else 'no'} approval instead of {approvals}"
            yield found("approval-removed", after, what, severity=severity, detail=name)


def _order(
    after: ReviewedResource, ones: Mapping[str, _Stage], others: Mapping[str, _Stage]
) -> Iterator[ChangeFinding]:
    for name in ones.keys() - others.keys():
        actions = ", ".join(str(action.get("Name")) for action in objects(ones[name].get("Actions"))[:5])
        yield found("stage-removed", after, f"the stage {name} is removed with {actions}", detail=name)
    for name in ones.keys() & others.keys():
        yield from _within(after, name, ones[name], others[name])
    kept = [name for name in ones if name in others]
    if kept != [name for name in others if name in ones]:
        yield found(
            "pipeline-loosened", after, "the order of the stages changes", severity=Severity.HIGH, detail="order"
        )


def _within(after: ReviewedResource, name: str, old: _Stage, new: _Stage) -> Iterator[ChangeFinding]:
    """Check for actions of a stage that no longer wait for others."""
    ones, others = (
        {str(action.get("Name")): int(number(action.get("RunOrder")) or 1) for action in objects(side.get("Actions"))}
        for side in (old, new)
    )
    kept = sorted(ones.keys() & others.keys())
    early = [
        later
        for later in kept
        if any(ones[first] < ones[later] and others[first] >= others[later] for first in kept if first != later)
    ]
    if early:
        what = f"{', '.join(early)} of {name} no longer waits for the actions before it"
        yield found("pipeline-loosened", after, what, detail=f"{name}-order")


def _self_mutation(before: ReviewedResource, after: ReviewedResource) -> Iterator[ChangeFinding]:
    """Check the action with which the pipeline updates itself."""
    old, new = (dict(_updates(side)) for side in (before, after))
    if old and not new:
        what = f"{', '.join(old)} is removed: the pipeline no longer deploys its own stack"
        yield found("self-mutation-removed", after, what)
    frozen = [
        {str(one.get("StageName")) for one in side.entries("DisableInboundStageTransitions")}
        for side in (before, after)
    ]
    updating = {place.partition("/")[0] for place in new}
    for name in sorted(frozen[1] - frozen[0]):
        if name in updating:
            what = f"the stage {name} is closed, so the pipeline no longer updates itself"
            yield found("self-mutation-removed", after, what, detail=name)
        else:
            what = f"the stage {name} is closed"
            yield found("pipeline-loosened", after, what, detail=f"frozen-{name}")


def _updates(pipeline: ReviewedResource) -> Iterator[tuple[str, _Action]]:
    """Yield the actions that deploy the pipeline's own stack, as CDK Pipelines names and orders them.

    https://docs.aws.amazon.com/cdk/v2/guide/cdk-pipeline.html: the stage `UpdatePipeline` comes before all deployments;
    its action is a build that runs `cdk deploy` on the stack that defines the pipeline.
    """
    for name, stage in _stages(pipeline).items():
        for action in objects(stage.get("Actions")):
            label = str(action.get("Name"))
            if name == "UpdatePipeline" or label in {"SelfMutate", "SelfMutation"}:
                yield f"{name}/{label}", action


def _actions(after: ReviewedResource, name: str, old: _Stage, new: _Stage) -> Iterator[ChangeFinding]:
    kept = {str(action.get("Name")): action for action in objects(new.get("Actions"))}
    for action in objects(old.get("Actions")):
        label = str(action.get("Name"))
        category = _category(action)
        place = f"{name}/{label}"
        if label not in kept:
            # A removed approval is reported with the stage that it guarded.
            if category != _APPROVAL:
                severity = Severity.MEDIUM if category == _DEPLOY else None
                yield found("stage-removed", after, f"the action {place} is removed", severity=severity, detail=place)
            continue
        yield from _kind_and_place(after, place, action, kept[label])
        if category == _APPROVAL:
            yield from _approval(after, place, action, kept[label])
        elif category == _DEPLOY:
            yield from _deployment(after, place, action, kept[label])
        elif action.get("Configuration") != kept[label].get("Configuration") and category != _SOURCE:
            names = ", ".join(
                difference.name
                for difference in differences(action.get("Configuration"), kept[label].get("Configuration"))
            )
            what = f"the action {place} changes: {names}"
            yield found("build-changed", after, what, severity=Severity.MEDIUM, detail=place)


_EITHER_WAY: Final = frozenset({"RoleArn"})
"""Properties that are checked with the roles."""


def _deployment(after: ReviewedResource, place: str, old: _Action, new: _Action) -> Iterator[ChangeFinding]:
    for difference in differences(old.get("Configuration"), new.get("Configuration")):
        if difference.path[-1:] and difference.path[-1] not in _EITHER_WAY:
            was, is_now = shown(difference.before), shown(difference.after)
            what = f"{difference.name} of the deployment {place} is {is_now} instead of {was}"
            yield found("build-changed", after, what, severity=Severity.MEDIUM, detail=f"{place}-{difference.name}")


def _kind_and_place(after: ReviewedResource, place: str, old: _Action, new: _Action) -> Iterator[ChangeFinding]:
    if old.get("ActionTypeId") != new.get("ActionTypeId"):
        what = f"the action {place} is {shown(new.get('ActionTypeId'))} instead of {shown(old.get('ActionTypeId'))}"
        yield found("build-changed", after, what, detail=f"{place}-type")
    if old.get("Region") != new.get("Region"):
        what = f"the action {place} works in {shown(new.get('Region'))} instead of {shown(old.get('Region'))}"
        yield found("destination-changed", after, what, detail=f"{place}-region")
    for name in ("InputArtifacts", "OutputArtifacts"):
        ones, others = ([str(one.get("Name")) for one in objects(side.get(name))] for side in (old, new))
        if ones != others:
            what = f"{name} of the action {place} is {shown(others)} instead of {shown(ones)}"
            yield found("source-changed", after, what, severity=Severity.MEDIUM, detail=f"{place}-{name}")


def _approval(
    after: ReviewedResource, place: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[ChangeFinding]:
    was, is_now = old.get("TimeoutInMinutes"), new.get("TimeoutInMinutes")
    if was != is_now:
        what = f"the answer to {place} may take {shown(is_now)} minutes instead of {shown(was)}"
        yield found("approval-changed", after, what, detail=f"{place}-timeout")
    for name in ("NotificationArn", "ExternalEntityLink", "CustomData"):
        one, other = (fields(side.get("Configuration")).get(name) for side in (old, new))
        if one and one != other:
            severity = Severity.LOW if other else Severity.MEDIUM
            what = f"{name} of {place} is removed" if not other else f"{name} of {place} is {shown(other)}"
            yield found("approval-changed", after, what, severity=severity, detail=f"{place}-{name}")


def _conditions(after: ReviewedResource, name: str, old: _Stage, new: _Stage) -> Iterator[ChangeFinding]:
    for kind in _CONDITIONS:
        was, is_now = fields(old.get(kind)), fields(new.get(kind))
        if was == is_now:
            continue
        rules, left = _rules(was), _rules(is_now)
        for label, rule in rules.items():
            place = f"{name}/{kind}/{label}"
            if label not in left:
                yield found("condition-loosened", after, f"the condition {place} is removed", detail=place)
            elif rule != left[label]:
                what = f"the condition {place} is {_settings(left[label])} instead of {_settings(rule)}"
                yield found("condition-loosened", after, what, severity=Severity.MEDIUM, detail=place)
        if was.get("Result") != is_now.get("Result") and was.get("Result") == "ROLLBACK":
            what = f"a failure of {name} leads to {shown(is_now.get('Result'))} and no longer to a rollback"
            yield found("condition-loosened", after, what, detail=f"{name}/{kind}")


def _rules(conditions: Mapping[str, Any]) -> dict[str, tuple[Json, Json]]:
    """Return the rules of conditions by name, each with the result of a failure."""
    return {
        str(rule.get("Name")): (condition.get("Result"), rule.get("Configuration"))
        for condition in objects(conditions.get("Conditions"))
        for rule in objects(condition.get("Rules"))
    }


def _settings(rule: tuple[Json, Json]) -> str:
    return readable(json.dumps(rule[1], sort_keys=True, ensure_ascii=False)) + (f" → {rule[0]}" if rule[0] else "")


def _transitions(before: ReviewedResource, after: ReviewedResource) -> Iterator[ChangeFinding]:
    ones, others = (
        {str(one.get("StageName")): one for one in side.entries("DisableInboundStageTransitions")}
        for side in (before, after)
    )
    for name in ones.keys() - others.keys():
        reason = ones[name].get("Reason")
        yield found(
            "transition-enabled", after, f"the stage {name} is open again; it was closed because: {reason}", detail=name
        )


def _source(before: ReviewedResource, after: ReviewedResource) -> Iterator[ChangeFinding]:
    ones, others = (
        {
            name: action.get("Configuration")
            for stage in side.entries("Stages")
            for name, action in _of(stage, _SOURCE).items()
        }
        for side in (before, after)
    )
    for name, configuration in ones.items():
        if name not in others:
            yield found("source-changed", after, f"the source is {', '.join(sorted(others))} instead of {name}")
        else:
            for difference in differences(configuration, others[name]):
                was, is_now = shown(difference.before), shown(difference.after)
                what = f"{difference.name} of the source is {is_now} instead of {was}"
                severity = Severity.INFO if difference.name == "OutputArtifactFormat" else None
                yield found("source-changed", after, what, severity=severity, detail=difference.name)
    if before.get("Triggers") != after.get("Triggers"):
        what = "its triggers change"
        yield found("source-changed", after, what, severity=Severity.MEDIUM, detail="Triggers")


@on(
    "AWS::CodeBuild::Project",
    judges="Environment/EnvironmentVariables Environment/Image Environment/PrivilegedMode Source/BuildSpec",
)
def build(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check a build's commands and environment."""
    if not (sides := both(pair)):
        return
    before, after = sides
    if not truth(before.get("Environment.PrivilegedMode")) and truth(after.get("Environment.PrivilegedMode")):
        yield found("build-changed", after, "the build is privileged: it is root on its host", detail="PrivilegedMode")
    yield from _specification(before, after)
    for path in ("Environment.Image", "Environment.EnvironmentVariables"):
        one, other = before.get(path), after.get(path)
        if one != other:
            what = f"{path} is {shown(other)} instead of {shown(one)}"
            yield found("build-changed", after, what, severity=Severity.MEDIUM, detail=path)


def _specification(before: ReviewedResource, after: ReviewedResource) -> Iterator[ChangeFinding]:
    """Check changes of a build's commands; for a publisher of assets, only of the other commands."""
    old, new = before.get("Source.BuildSpec"), after.get("Source.BuildSpec")
    if old == new:
        return
    ones, others = _commands(old), _commands(new)
    details = tuple(readable(line) for line in others if line not in ones)[:20]
    what, severity = "its build specification changes", None if ones != others else Severity.LOW
    if is_publisher(before) and is_publisher(after):
        ones, others = ([line for line in lines if not publishes(line)] for lines in (ones, others))
        if ones == others:
            what, severity, details = "other assets are published", Severity.INFO, ()
    tools = tuple(line for line in others if installs_tool(line) and line not in ones)
    if tools and [line for line in ones if not installs_tool(line)] == [
        line for line in others if not installs_tool(line)
    ]:
        what, severity, details = "it installs a different version of CDK's tools", Severity.LOW, tools
    yield found("build-changed", after, what, severity=severity, detail="BuildSpec", details=details)


def _commands(specification: Json) -> list[str]:
    """Return the commands of a build specification; all lines of an unreadable one."""
    commands = list(build_commands(specification))
    return commands or str(specification).removeprefix(_IN_FILE).splitlines()
