"""The pipeline's definition in CodePipeline, from CloudFormation, with every reference resolved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from slipway.errors import RehearsalError

_ROLE = re.compile(r"arn:[\w-]+:iam::(\d{12}):role/")
_VARIABLE = re.compile(r"#\{(?P<namespace>[^.{}]+)\.(?P<name>[^{}]+)\}")


@dataclass(frozen=True)
class ActionDefinition:
    """One action."""

    name: str
    category: str
    provider: str
    run_order: int
    configuration: Mapping[str, str]
    inputs: Sequence[str]
    outputs: Sequence[str]
    namespace: str | None
    role_arn: str | None
    timeout_minutes: int | None
    region: str | None = None
    """Region of the action; None: the pipeline's region."""

    @property
    def account(self) -> str | None:
        """Account of the action; None: the pipeline's account."""
        match = _ROLE.match(self.role_arn or "")
        return match[1] if match else None

    def resolved(self, variables: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """Return the configuration with its variables filled in.

        Args:
            variables: Namespace → name → value.

        Raises:
            RehearsalError: A variable does not exist. CodePipeline fails the action too.
        """

        def value(match: re.Match[str]) -> str:
            try:
                return variables[match["namespace"]][match["name"]]
            except KeyError:
                raise RehearsalError(f"{self.name}: unknown variable {match[0]}") from None

        return {key: _VARIABLE.sub(value, text) for key, text in self.configuration.items()}


@dataclass(frozen=True)
class DefinedRule:
    """One rule of a condition."""

    name: str
    provider: str
    configuration: Mapping[str, str]


@dataclass(frozen=True)
class ConditionDefinition:
    """A condition of a stage, and the result if it does not hold."""

    result: str
    rules: Sequence[DefinedRule]


@dataclass(frozen=True)
class StageDefinition:
    """One stage."""

    name: str
    actions: Sequence[ActionDefinition]
    before_entry: Sequence[ConditionDefinition]
    on_success: Sequence[ConditionDefinition]
    on_failure: str | None
    retry_mode: str | None

    def groups(self) -> Iterator[list[ActionDefinition]]:
        """Yield the actions in order: those of a group run in parallel."""
        for _, group in groupby(sorted(self.actions, key=_run_order), key=_run_order):
            yield list(group)


@dataclass(frozen=True)
class PipelineDefinition:
    """The pipeline.

    Attributes:
        version: Number of changes of its structure.
        buckets: Region → artifact bucket. For a pipeline with a single region, the key is empty.
        frozen: Stages that may not be entered, with the reason.
    """

    name: str
    version: int
    role_arn: str
    buckets: Mapping[str, str]
    restart_on_update: bool
    stages: Sequence[StageDefinition]
    frozen: Mapping[str, str]

    def bucket_in(self, region: str) -> str:
        """Return the artifact bucket of a region.

        Raises:
            RehearsalError: The pipeline has none there, so no action can work in that region
                (https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-create-cross-region.html).
        """
        found = self.buckets.get("") or self.buckets.get(region)
        if found is None:
            raise RehearsalError(f"{self.name} has no artifact store in {region}, only in {', '.join(self.buckets)}")
        return found

    @classmethod
    def read(cls, properties: Mapping[str, Any], version: int) -> PipelineDefinition:
        """Return the definition from the properties of an `AWS::CodePipeline::Pipeline`.

        Args:
            properties: Properties with every reference resolved. Numbers and booleans may be strings.
            version: Version of its structure.

        Raises:
            RehearsalError: It uses a feature that the player does not support. The message names it.
        """
        _known("the pipeline", properties, _PIPELINE_KEYS)
        if missing := sorted(_NEEDED - properties.keys()):
            raise RehearsalError(f"the pipeline has no {', '.join(missing)}")
        buckets = _buckets(properties)
        # Each execution is played to its end, so none waits in a queue or is superseded between two stages.
        # Both cancel it when the pipeline's definition is changed (`Cancelled` in
        # https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineExecution.html).
        if (mode := properties.get("ExecutionMode", "SUPERSEDED")) not in _MODES:
            raise RehearsalError(f"the player does not support ExecutionMode {mode}")
        return cls(
            name=properties["Name"],
            version=version,
            role_arn=properties["RoleArn"],
            buckets=buckets,
            restart_on_update=_is_true(properties.get("RestartExecutionOnUpdate")),
            stages=tuple(_stage(stage) for stage in properties["Stages"]),
            frozen={
                each["StageName"]: each.get("Reason", "")
                for each in properties.get("DisableInboundStageTransitions", [])
            },
        )


_PIPELINE_KEYS = frozenset(
    {
        *("ArtifactStore", "ArtifactStores", "DisableInboundStageTransitions", "ExecutionMode", "Name", "PipelineType"),
        *("RestartExecutionOnUpdate", "RoleArn", "Stages", "Tags", "Triggers"),
    }
)
_MODES = frozenset({"QUEUED", "SUPERSEDED"})
_NEEDED = frozenset({"Name", "RoleArn", "Stages"})
_STAGE_KEYS = frozenset({"Name", "Actions", "BeforeEntry", "OnSuccess", "OnFailure"})
_ACTION_KEYS = frozenset(
    {
        *("ActionTypeId", "Configuration", "InputArtifacts", "Name", "Namespace", "OutputArtifacts"),
        *("Region", "RoleArn", "RunOrder", "TimeoutInMinutes"),
    }
)
_RULE_KEYS = frozenset({"Configuration", "Name", "RuleTypeId"})
_ACTIONS = frozenset(
    {
        *(("Source", provider) for provider in ("CodeStarSourceConnection", "CodeCommit", "GitHub", "S3")),
        *((category, "CodeBuild") for category in ("Build", "Test")),
        *(("Deploy", "CloudFormation"), ("Approval", "Manual")),
    }
)
"""Category and provider of the actions in `actions.py`."""
_RULES = frozenset({"CloudWatchAlarm", "DeploymentWindow"})
"""Providers of the rules that `execution.py` evaluates."""
_CONDITION_RESULTS = {"BeforeEntry": frozenset({"FAIL"}), "OnSuccess": frozenset({"FAIL", "ROLLBACK"})}
_FAILURE_RESULTS = frozenset({None, "FAIL", "RETRY", "ROLLBACK"})
_RETRY_MODES = frozenset({None, "ALL_ACTIONS", "FAILED_ACTIONS"})


def _buckets(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return region → artifact bucket; a pipeline has one store, or one per region."""
    if "ArtifactStores" in properties:
        return {each["Region"]: each["ArtifactStore"]["Location"] for each in properties["ArtifactStores"]}
    if "ArtifactStore" not in properties:
        raise RehearsalError("the pipeline has neither ArtifactStore nor ArtifactStores")
    return {"": properties["ArtifactStore"]["Location"]}


def _known(what: str, properties: Mapping[str, Any], keys: frozenset[str]) -> None:
    if strangers := sorted(properties.keys() - keys):
        raise RehearsalError(f"the player does not support {', '.join(strangers)} in {what}")


def _stage(properties: Mapping[str, Any]) -> StageDefinition:
    name = properties["Name"]
    _known(f"stage {name}", properties, _STAGE_KEYS)
    failure = properties.get("OnFailure", {})
    _known(f"OnFailure of stage {name}", failure, frozenset({"Result", "RetryConfiguration"}))
    result, retry_mode = failure.get("Result"), failure.get("RetryConfiguration", {}).get("RetryMode")
    if result not in _FAILURE_RESULTS:
        raise RehearsalError(f"the player does not support the result {result} of OnFailure of stage {name}")
    if retry_mode not in _RETRY_MODES:
        raise RehearsalError(f"the player does not support the retry mode {retry_mode} of stage {name}")
    return StageDefinition(
        name=name,
        actions=tuple(_action(name, action) for action in properties["Actions"]),
        before_entry=_conditions(name, "BeforeEntry", properties.get("BeforeEntry", {})),
        on_success=_conditions(name, "OnSuccess", properties.get("OnSuccess", {})),
        on_failure=result,
        retry_mode=retry_mode,
    )


def _action(stage: str, properties: Mapping[str, Any]) -> ActionDefinition:
    name = properties["Name"]
    _known(f"{stage}/{name}", properties, _ACTION_KEYS)
    kind = properties["ActionTypeId"]
    if (kind["Category"], kind["Provider"]) not in _ACTIONS:
        raise RehearsalError(
            f"the player does not support the action {kind['Category']}/{kind['Provider']} ({stage}/{name})"
        )
    timeout = properties.get("TimeoutInMinutes")
    return ActionDefinition(
        name=name,
        category=kind["Category"],
        provider=kind["Provider"],
        run_order=int(properties.get("RunOrder", 1)),
        configuration={
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in properties.get("Configuration", {}).items()
        },
        inputs=tuple(artifact["Name"] for artifact in properties.get("InputArtifacts", [])),
        outputs=tuple(artifact["Name"] for artifact in properties.get("OutputArtifacts", [])),
        namespace=properties.get("Namespace"),
        role_arn=properties.get("RoleArn"),
        timeout_minutes=int(timeout) if timeout is not None else None,
        region=properties.get("Region"),
    )


def _conditions(stage: str, kind: str, properties: Mapping[str, Any]) -> tuple[ConditionDefinition, ...]:
    _known(f"{kind} of stage {stage}", properties, frozenset({"Conditions"}))
    found = []
    for condition in properties.get("Conditions", []):
        _known(f"a condition of stage {stage}", condition, frozenset({"Result", "Rules"}))
        result = condition.get("Result", "FAIL")
        if result not in _CONDITION_RESULTS[kind]:
            raise RehearsalError(f"the player does not support the result {result} of {kind} of stage {stage}")
        found.append(ConditionDefinition(result, tuple(_rule(stage, rule) for rule in condition.get("Rules", []))))
    return tuple(found)


def _rule(stage: str, properties: Mapping[str, Any]) -> DefinedRule:
    name, provider = properties["Name"], properties["RuleTypeId"]["Provider"]
    _known(f"rule {name} of stage {stage}", properties, _RULE_KEYS)
    if provider not in _RULES:
        raise RehearsalError(f"the player does not support the rule {provider} ({name} of stage {stage})")
    return DefinedRule(name, provider, properties.get("Configuration", {}))


def _run_order(action: ActionDefinition) -> int:
    return action.run_order


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"
