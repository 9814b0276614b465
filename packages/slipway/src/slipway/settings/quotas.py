"""CodeBuild's quotas of concurrent builds, and how many the pipeline can start.

Each compute type has its own quota. AWS's documentation and its users contradict each other about builds beyond it:
builds-working.html says that they are queued, but StartBuild answers `AccountLimitExceededException: Cannot have more
than 1 builds in queue for the account`, which fails the CodePipeline action. So nothing here relies on a queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class ComputeType(NamedTuple):
    """The unit in which CodeBuild counts concurrent builds."""

    environment: str
    """`Environment.Type` of the project, such as `LINUX_CONTAINER`."""
    size: str
    """`Environment.ComputeType` of the project, such as `BUILD_GENERAL1_SMALL`."""


@dataclass(frozen=True)
class BuildQuota:
    """The quota of concurrently running builds of one compute type.

    Attributes:
        code: Its code in Service Quotas, service `codebuild`.
        name: AWS's name of it.
        default: Its default value. Some accounts start with 0.
    """

    code: str
    name: str
    default: int = 1


SMALL = ComputeType("LINUX_CONTAINER", "BUILD_GENERAL1_SMALL")
MEDIUM = ComputeType("LINUX_CONTAINER", "BUILD_GENERAL1_MEDIUM")

CONCURRENT_BUILDS: Mapping[ComputeType, BuildQuota] = {
    SMALL: BuildQuota("L-9D07B6EF", "Concurrently running builds for Linux/Small environment"),
    MEDIUM: BuildQuota("L-2DC20C30", "Concurrently running builds for Linux/Medium environment"),
}
"""Quotas of the compute types that the pipeline uses, per account and region.

https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
"""


@dataclass(frozen=True)
class Builds:
    """Number of builds of a compute type that can run at once.

    Attributes:
        of_one_execution: Started concurrently by one execution.
        of_all: Started concurrently by successive executions: each stage contains at most one execution at a time.
    """

    of_one_execution: int
    of_all: int


def builds_at_once(template: Mapping[str, Any]) -> Mapping[ComputeType, Builds]:
    """Count the concurrent builds that a template's pipeline can start, by compute type.

    Args:
        template: The stack of the pipeline, with the build projects that it names.

    Raises:
        LookupError: An action names a project that is not in the template.
    """
    resources = template["Resources"]
    stages = [
        builds_of_stage(stage, resources)
        for resource in resources.values()
        if resource["Type"] == "AWS::CodePipeline::Pipeline"
        for stage in resource["Properties"]["Stages"]
    ]
    return {
        compute_type: Builds(
            of_one_execution=max(stage[compute_type] for stage in stages),
            of_all=sum(stage[compute_type] for stage in stages),
        )
        for compute_type in sorted({each for stage in stages for each in stage})
    }


def builds_of_stage(stage: Mapping[str, Any], resources: Mapping[str, Any]) -> Counter[ComputeType]:
    """Return the maximum number of builds of each compute type that a stage starts concurrently, by their run order.

    Args:
        stage: A stage of an `AWS::CodePipeline::Pipeline`.
        resources: Resources of the template, with the stage's build projects.

    Raises:
        LookupError: An action names a project that is not in the template.
    """
    most: Counter[ComputeType] = Counter()
    for order in {action.get("RunOrder", 1) for action in stage["Actions"]}:
        beside = [action for action in stage["Actions"] if action.get("RunOrder", 1) == order]
        most |= Counter(_compute_types(beside, resources))
    return most


def _compute_types(actions: list[Mapping[str, Any]], resources: Mapping[str, Any]) -> Iterator[ComputeType]:
    for action in actions:
        if action["ActionTypeId"]["Provider"] != "CodeBuild":
            continue
        project = action["Configuration"]["ProjectName"]
        logical_id = str(project.get("Ref")) if isinstance(project, dict) else ""
        if logical_id not in resources:
            raise LookupError(f"{action['Name']}: project {project!r} is not in the template")
        environment = resources[logical_id]["Properties"]["Environment"]
        yield ComputeType(environment["Type"], environment["ComputeType"])
