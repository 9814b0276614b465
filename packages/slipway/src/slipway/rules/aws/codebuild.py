"""Rules on CodeBuild, and on CodePipeline stages with builds: what they need to run and to roll back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from slipway.rules.aws.codepipeline import PIPELINE
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Templates
from slipway.settings.model import ROLLBACK_DAYS
from slipway.settings.quotas import CONCURRENT_BUILDS, builds_of_stage
from slipway.settings.time_zones import GRAMMAR, time_zone

PROJECT, BUCKET = "AWS::CodeBuild::Project", "AWS::S3::Bucket"

_FETCHES = re.compile(
    r"\b(pip3?\s+(install|download|wheel)|pip\s+sync|uv\s+(sync|run|pip|tool)|poetry\s+install|npm\s+(ci|i|install)|npx"
    r"|yarn|pnpm|git\s+(clone|fetch|pull)|curl|wget|apt(-get)?|yum|dnf|make\s+install|docker\s+pull)\b"
)
"""Commands that fetch something from outside."""

_RUNTIMES = "https://docs.aws.amazon.com/codebuild/latest/userguide/available-runtimes.html"
_LIMITS = "https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html"
_ROLLBACK = "https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html"
_WINDOW = "https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-DeploymentWindow.html"


def _stages(templates: Templates) -> Iterator[tuple[Resource, Mapping[str, Any]]]:
    for pipeline in templates.of_type(PIPELINE):
        for stage in pipeline.get("Stages") or []:
            yield pipeline, stage


def _conditions(stage: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for place in ("BeforeEntry", "OnSuccess", "OnFailure"):
        yield from stage.get(place, {}).get("Conditions", [])


def _rolls_back(stage: Mapping[str, Any]) -> bool:
    conditions = [stage.get("OnFailure", {}), *_conditions(stage)]
    return any(condition.get("Result") == "ROLLBACK" for condition in conditions)


def _too_many_builds(templates: Templates) -> Iterator[Found]:
    for pipeline, stage in _stages(templates):
        try:
            builds = builds_of_stage(stage, pipeline.stack.body["Resources"])
        except LookupError:
            # The compute type of a project outside the templates is unknown.
            yield Found(pipeline.stack, pipeline.logical_id, stage["Name"])
            continue
        quotas = {each: quota.default for each, quota in CONCURRENT_BUILDS.items()}
        if any(number > quotas.get(compute_type, 1) for compute_type, number in builds.items()):
            yield Found(pipeline.stack, pipeline.logical_id, stage["Name"])


def _expiring_artifacts(templates: Templates) -> Iterator[Found]:
    for pipeline in templates.of_type(PIPELINE):
        if not any(map(_rolls_back, pipeline.get("Stages") or [])):
            continue
        stores = [
            pipeline.get("ArtifactStore"),
            *(each["ArtifactStore"] for each in pipeline.get("ArtifactStores") or []),
        ]
        for store in filter(None, stores):
            buckets = _buckets(templates, pipeline, store["Location"])
            if not buckets or any(map(_expires_too_soon, buckets)):
                yield Found(pipeline.stack, pipeline.logical_id)


def _buckets(templates: Templates, pipeline: Resource, location: Any) -> list[Resource]:
    if isinstance(location, str):
        return [bucket for bucket in templates.of_type(BUCKET) if bucket.get("BucketName") == location]
    return [found for found in templates.referred(pipeline.stack, location) if found.type == BUCKET]


def _expires_too_soon(bucket: Resource) -> bool:
    return any(
        rule.get("Status") == "Enabled"
        and rule.get("ExpirationInDays") is not None
        and (not isinstance(rule["ExpirationInDays"], int) or rule["ExpirationInDays"] < ROLLBACK_DAYS)
        for rule in bucket.get("LifecycleConfiguration", "Rules") or []
    )


def _specification(project: Resource) -> Mapping[str, Any] | None:
    """Return a project's build specification; None if it cannot be read."""
    text = project.get("Source", "BuildSpec")
    if not isinstance(text, str):
        return None
    if "\n" not in text and not text.lstrip().startswith("{"):
        file = project.stack.template.parent / text
        if not file.is_file():
            return None
        text = file.read_text(encoding="utf-8")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return content if isinstance(content, dict) else None


def _phases(specification: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (phase for phase in (specification.get("phases") or {}).values() if isinstance(phase, dict))


def _default_runtimes(templates: Templates) -> Iterator[Found]:
    for project in templates.of_type(PROJECT):
        image = project.get("Environment", "Image")
        if isinstance(image, str) and not image.startswith("aws/codebuild/"):
            continue
        specification = _specification(project)
        if specification is None or not any(phase.get("runtime-versions") for phase in _phases(specification)):
            yield Found(project.stack, project.logical_id)


def _fetching_builds(templates: Templates) -> Iterator[Found]:
    for pipeline, stage in _stages(templates):
        if not _rolls_back(stage):
            continue
        clones = _clones(pipeline)
        for action in stage["Actions"]:
            if action["ActionTypeId"]["Provider"] == "CodeBuild" and (
                clones & {artifact["Name"] for artifact in action.get("InputArtifacts", [])}
                or _fetches(templates, pipeline, action)
            ):
                yield Found(pipeline.stack, pipeline.logical_id, f"{stage['Name']}/{action['Name']}")


def _clones(pipeline: Resource) -> set[str]:
    """Return the artifacts that contain only a reference: a build that takes one clones the repository itself."""
    return {
        artifact["Name"]
        for stage in pipeline.get("Stages") or []
        for action in stage["Actions"]
        if action.get("Configuration", {}).get("OutputArtifactFormat") == "CODEBUILD_CLONE_REF"
        for artifact in action.get("OutputArtifacts", [])
    }


def _fetches(templates: Templates, pipeline: Resource, action: Mapping[str, Any]) -> bool:
    projects = [
        found
        for found in templates.referred(pipeline.stack, action["Configuration"].get("ProjectName"))
        if found.type == PROJECT
    ]
    specifications = [_specification(project) for project in projects]
    return not specifications or any(
        specification is None
        or any(_FETCHES.search(str(command)) for phase in _phases(specification) for command in _commands(phase))
        for specification in specifications
    )


def _commands(phase: Mapping[str, Any]) -> list[Any]:
    return [*(phase.get("commands") or []), *(phase.get("finally") or [])]


def _unknown_time_zone(templates: Templates) -> Iterator[Found]:
    for pipeline, stage in _stages(templates):
        for condition in _conditions(stage):
            for rule in condition.get("Rules", []):
                if rule.get("RuleTypeId", {}).get("Provider") != "DeploymentWindow":
                    continue
                try:
                    time_zone(str(rule.get("Configuration", {}).get("TimeZone", "UTC")))
                except ValueError:
                    yield Found(pipeline.stack, pipeline.logical_id, stage["Name"])


def _planted_build(name: str, order: int = 1) -> dict[str, Any]:
    return {
        "Name": name,
        "RunOrder": order,
        "ActionTypeId": {"Category": "Build", "Owner": "AWS", "Provider": "CodeBuild", "Version": "1"},
        "Configuration": {"ProjectName": {"Ref": "Project"}},
        "InputArtifacts": [{"Name": "Handed"}],
    }


def _planted_pipeline(*actions: dict[str, Any], **conditions: Any) -> dict[str, Any]:
    return {
        "Type": PIPELINE,
        "Properties": {
            "ArtifactStore": {"Type": "S3", "Location": {"Ref": "Artifacts"}},
            "Stages": [{"Name": "prod", "Actions": list(actions), **conditions}],
        },
    }


def _planted_project(specification: str) -> dict[str, Any]:
    return {
        "Type": PROJECT,
        "Properties": {
            "Environment": {
                "Type": "LINUX_CONTAINER",
                "ComputeType": "BUILD_GENERAL1_SMALL",
                "Image": "aws/codebuild/standard:8.0",
            },
            "Source": {"Type": "CODEPIPELINE", "BuildSpec": specification},
        },
    }


_GOES_BACK = {"OnFailure": {"Result": "ROLLBACK"}}

RULES = (
    AwsRule(
        name="BuildsFitTheQuota",
        does="With default quotas CodeBuild runs one build per compute type at a time; StartBuild refuses the next "
        "one, which fails its action.",
        says="A stage starts more builds of one compute type in parallel than the default quota allows, or builds "
        "of unreadable projects.",
        fix="Give each build its own run order, combine them into one build, or use different compute types.",
        source=_LIMITS,
        check=_too_many_builds,
        planted={
            "Pipeline": _planted_pipeline(_planted_build("Protect"), _planted_build("Verify")),
            "Project": _planted_project("{}"),
        },
    ),
    AwsRule(
        name="ArtifactsOutliveRollbacks",
        does="A rollback of a stage uses the artifacts of the execution that it returns to.",
        says=f"A stage rolls back, and its artifacts expire in less than {ROLLBACK_DAYS} days, or their bucket cannot "
        "be read: after a quiet period there is nothing to roll back to.",
        fix="Keep artifacts longer than an environment may go without a deployment.",
        source=_ROLLBACK,
        check=_expiring_artifacts,
        planted={
            "Pipeline": _planted_pipeline(**_GOES_BACK),
            "Artifacts": {
                "Type": BUCKET,
                "Properties": {
                    "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "ExpirationInDays": ROLLBACK_DAYS - 1}]}
                },
            },
        },
    ),
    AwsRule(
        name="BuildRuntimesPinned",
        does="A CodeBuild image has several versions of each runtime, and its default changes.",
        says="A build takes whatever version the image has as its default, or its specification cannot be read.",
        fix="Name the versions in runtime-versions of the build specification.",
        source=_RUNTIMES,
        check=_default_runtimes,
        planted={"Project": _planted_project('{"version": "0.2", "phases": {"build": {"commands": ["make"]}}}')},
    ),
    AwsRule(
        name="RollbackWaitsForNoRegistry",
        does="CodePipeline rolls a stage back for any action that fails, such as a build that cannot install packages.",
        says="A build of a stage that rolls back clones the source or fetches from outside, or its specification "
        "cannot be read: an outage of a registry rolls back a good version.",
        fix="Pass the packages of an earlier build as an artifact.",
        source=_ROLLBACK,
        check=_fetching_builds,
        planted={
            "Pipeline": _planted_pipeline(_planted_build("Verify"), **_GOES_BACK),
            "Project": _planted_project(
                '{"version": "0.2", "phases": {"install": {"commands": ["pip install pytest"]}}}'
            ),
        },
    ),
    AwsRule(
        name="WindowTimeZone",
        does=f"A deployment window only accepts these time zones: {GRAMMAR}.",
        says="A deployment window is in a time zone that CodePipeline refuses.",
        fix="Name the zone in one of the documented forms.",
        source=_WINDOW,
        check=_unknown_time_zone,
        planted={
            "Pipeline": _planted_pipeline(
                BeforeEntry={
                    "Conditions": [
                        {
                            "Result": "FAIL",
                            "Rules": [
                                {
                                    "Name": "Window",
                                    "RuleTypeId": {"Provider": "DeploymentWindow"},
                                    "Configuration": {"TimeZone": "America/Argentina/Buenos_Aires"},
                                }
                            ],
                        }
                    ]
                }
            )
        },
    ),
)
