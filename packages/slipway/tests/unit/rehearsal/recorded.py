"""A recorded rehearsal that contains every kind of entry."""

from __future__ import annotations

from slipway.rehearsal.player import records
from slipway.rehearsal.player.records import (
    Execution,
    PlayedAction,
    PlayedChange,
    PlayedCondition,
    PlayedDeployment,
    PlayedMinute,
    PlayedStage,
    PlayStatus,
    Rehearsal,
)

START = "2026-11-20T15:00:00+00:00"


def canary(*, failed: bool = False) -> PlayedDeployment:
    """Return a two-minute canary; if failed, an alarm triggered in the second minute."""
    found = PlayedDeployment(
        "d-1",
        "prod-items-compute-ApiFunction0123ABCD-x",
        "live",
        "1",
        "2",
        "CodeDeployDefault.LambdaCanary10Percent5Minutes",
    )
    found.hooks["BeforeAllowTraffic"] = "Succeeded"
    found.minutes = [
        PlayedMinute(1, 0.1, 27, 3, 0, 0, 12.0, {"Errors": "OK"}),
        PlayedMinute(2, 0.1, 27, 3, 1, 2 if failed else 0, 15.0, {"Errors": "ALARM" if failed else "OK"}),
    ]
    found.met_new, found.failed_new = 6, 2 if failed else 0
    found.status = PlayStatus.FAILED if failed else PlayStatus.SUCCEEDED
    found.reason = "d-1: Errors became active in minute 2" if failed else ""
    return found


def action(name: str, *, order: int = 1, seconds: float = 2.0, virtual: float = 2.0, **more: object) -> PlayedAction:
    """Return an action that was played."""
    found = PlayedAction(
        name, "CodeBuild", "prod", order, status=PlayStatus.SUCCEEDED, seconds=seconds, virtual_seconds=virtual
    )
    for key, value in more.items():
        setattr(found, key, value)
    return found


def rehearsal(*, failed: bool = False) -> Rehearsal:
    """Return a delivery, or one that an alarm stopped in prod."""
    build = PlayedStage("Build", status=PlayStatus.SUCCEEDED, actions=[action("Synth", log="logs/synth.log")])
    changes = [
        PlayedChange("Function", "AWS::Lambda::Function", "Modify", "False", "UPDATE_COMPLETE"),
        PlayedChange("Table", "AWS::DynamoDB::Table", "Modify", "True", "UPDATE_FAILED", "No, said the service"),
    ]
    deploy = action("compute.Deploy", order=2, seconds=8.0, virtual=600.0, changes=changes)
    deploy.deployments = [canary(failed=failed)]
    verify = action("Verify-items", order=3, seconds=4.0, virtual=4.0)
    verify.tests = records.Tests(9, 1, 2, ["tests.smoke::health"])
    prod = PlayedStage("prod", status=PlayStatus.SUCCEEDED, actions=[action("compute.Prepare"), deploy, verify])
    prod.conditions = [
        PlayedCondition("BeforeEntry", "DeploymentWindow", PlayStatus.SUCCEEDED, "Fri 15:00 UTC"),
        PlayedCondition("OnSuccess", "Bake", PlayStatus.SUCCEEDED, "6 alarms stayed quiet", 300.0),
    ]
    execution = Execution("e-2", "c" * 40, "Add items", 3, START, stages=[build, prod], seconds=14.0)
    execution.status, execution.virtual_seconds = PlayStatus.SUCCEEDED, 906.0
    first = Execution(
        "e-1", "c" * 40, "Add items", 2, START, PlayStatus.CANCELED, "the pipeline changed itself", 3.0, 3.0
    )
    first.stages = [
        PlayedStage("Build", status=PlayStatus.SUCCEEDED, actions=[action("Synth")]),
        PlayedStage("prod", status=PlayStatus.SKIPPED),
    ]
    record = Rehearsal("c" * 40, "Add items", ["items"], executions=[first, execution], delivered=True)
    record.verdict, record.seconds, record.memory_mb = f"delivered {'c' * 12} to prod in 20 s", 20.0, 900.0
    record.phases = {"accounts": 1.5}
    record.substitutions = [{"subject": "AWS::X", "stand_in": "Y", "unproven": "Z", "resources": 3}]
    record.served = {"prod": {"items": "200; live: ApiFunction 2"}}
    if failed:
        deploy.status, deploy.error, deploy.summary = PlayStatus.FAILED, "the alarm Errors went off", ""
        prod.status, prod.reason, prod.actions = PlayStatus.FAILED, "prod/compute.Deploy: it failed", prod.actions[:2]
        again = action("compute.Prepare", attempt=2)
        execution.stages.append(PlayedStage("prod", "rollback", PlayStatus.SUCCEEDED, actions=[again]))
        execution.status, execution.reason = PlayStatus.FAILED, prod.reason
        record.delivered, record.verdict, record.fault = False, f"{'c' * 12} stopped at prod", "error-rate=5%"
    return record
