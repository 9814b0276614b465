"""Check that the pipeline's builds may run, and that its environments can still be rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from slipway.accounts.bootstrap.plan import Account
from slipway.accounts.doctor.findings import CheckResult, CheckStatus
from slipway.assembly.reader import is_assembly, read_manifest
from slipway.settings import Settings
from slipway.settings.quotas import CONCURRENT_BUILDS, builds_at_once

_SOON = timedelta(days=30)
"""Warning period before an environment's artifacts expire."""


def check_builds(account: Account, settings: Settings, session: boto3.Session, assembly: Path) -> Iterator[CheckResult]:
    """Compare the quotas of concurrent builds with what the pipeline starts at once.

    Args:
        account: The tools account.
        settings: All of `config/`.
        session: Session with its credentials.
        assembly: The last assembly; it may be missing.
    """
    template = _pipeline(assembly)
    if template is None:
        why = f"{assembly.name} has no pipeline"
        yield CheckResult(account.label, "concurrent builds", CheckStatus.UNCHECKED, why, "make synth")
        return
    client = session.client("service-quotas", region_name=settings.pipeline.region)
    for compute_type, builds in builds_at_once(template).items():
        quota = CONCURRENT_BUILDS.get(compute_type)
        if quota is None:
            name, why = (
                f"builds of {compute_type.size}",
                "the quota of this compute type is unknown; add it to slipway.settings.quotas",
            )
            yield CheckResult(account.label, name, CheckStatus.UNCHECKED, why, "add its quota code there")
            continue
        value = int(client.get_service_quota(ServiceCode="codebuild", QuotaCode=quota.code)["Quota"]["Value"])
        needs = f"{value}; one execution starts {builds.of_one_execution} at once, and executions that overlap "
        needs += f"{builds.of_all}"
        ask = f"request {builds.of_all} (Service Quotas, codebuild, {quota.code})"
        if value < builds.of_one_execution:
            yield CheckResult(account.label, quota.name, CheckStatus.WRONG, needs, ask)
        elif value < builds.of_all:
            refused = f"{ask}: a build that is refused fails its stage, which is then rolled back"
            yield CheckResult(account.label, quota.name, CheckStatus.WARNING, needs, refused)
        else:
            yield CheckResult(account.label, quota.name, CheckStatus.OK, needs)


def check_rollbacks(
    account: Account,
    settings: Settings,
    session: boto3.Session,
    assembly: Path,
    *,
    now: datetime | None = None,
) -> Iterator[CheckResult]:
    """Report stages that soon cannot be rolled back, because the artifacts of their last good execution expire.

    Args:
        account: The tools account.
        settings: All of `config/`.
        session: Session with its credentials.
        assembly: The last assembly; it may be missing.
        now: The current time. Default: the clock's.
    """
    template = _pipeline(assembly)
    if template is None:
        why = f"{assembly.name} has no pipeline"
        yield CheckResult(account.label, "rollbacks", CheckStatus.UNCHECKED, why, "make synth")
        return
    client = session.client("codepipeline", region_name=settings.pipeline.region)
    kept = timedelta(days=settings.pipeline.artifact_days)
    for pipeline, stage in _rolled_back(template):
        last = client.list_pipeline_executions(
            pipelineName=pipeline, maxResults=1, filter={"succeededInStage": {"stageName": stage}}
        )["pipelineExecutionSummaries"]
        check = f"rollback of {stage}"
        if not last:
            yield CheckResult(account.label, check, CheckStatus.OK, "no execution succeeded there yet")
            continue
        left = last[0]["startTime"] + kept - (now or datetime.now(UTC))
        found = f"the artifacts of its last good execution expire in {left.days} days"
        deliver = "deliver to it again (a release of the same commit is enough), or raise artifact_days"
        if left <= timedelta():
            gone = "the artifacts of its last good execution have expired: there is nothing to roll back to"
            yield CheckResult(account.label, check, CheckStatus.WRONG, gone, deliver)
        elif left < _SOON:
            yield CheckResult(account.label, check, CheckStatus.WARNING, found, deliver)
        else:
            yield CheckResult(account.label, check, CheckStatus.OK, found)


def _pipeline(assembly: Path) -> dict[str, Any] | None:
    for stack in read_manifest(assembly).stacks() if is_assembly(assembly) else ():
        template = stack.template
        if any(each["Type"] == "AWS::CodePipeline::Pipeline" for each in template["Resources"].values()):
            return template
    return None


def _rolled_back(template: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield pipeline and stage for each stage that rolls back to its last successful execution."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::CodePipeline::Pipeline":
            for stage in resource["Properties"]["Stages"]:
                conditions = [stage.get("OnFailure", {}), *stage.get("OnSuccess", {}).get("Conditions", [])]
                if any(condition.get("Result") == "ROLLBACK" for condition in conditions):
                    yield resource["Properties"]["Name"], stage["Name"]
