"""The four DORA metrics are computed from events of CodePipeline and CodeDeploy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.delivery.runtime.events import (
    AlarmChange,
    ApprovalCanceled,
    ApprovalWaiting,
    DeploymentChange,
    Minute,
    PipelineChange,
    StageChange,
    read,
)
from slipway.delivery.runtime.figures import Figure
from unit.delivery.delivery import DELIVERY, Desk, alarm, at, deployment, recorded, stage


@pytest.mark.parametrize(
    ("name", "kind"),
    {
        "pipeline-succeeded": PipelineChange,
        "pipeline-failed": PipelineChange,
        "pipeline-rollback-started": PipelineChange,
        "stage-started": StageChange,
        "stage-succeeded": StageChange,
        "stage-failed": StageChange,
        "approval-waiting": ApprovalWaiting,
        "approval-canceled": ApprovalCanceled,
        "stage-canceled": StageChange,
        "pipeline-canceled": PipelineChange,
        "deployment-failed": DeploymentChange,
        "alarm-on": AlarmChange,
        "alarm-deleted": AlarmChange,
        "minute": Minute,
        "action-failed": type(None),
    }.items(),
)
def test_events_are_read_as_aws_documents_them(name: str, kind: type) -> None:
    assert type(read(recorded(name))) is kind


def test_unrelated_events_are_ignored() -> None:
    assert read({"detail-type": "AWS API Call via CloudTrail", "time": "2026-11-20T10:00:00Z", "detail": {}}) is None


def test_recorded_failure_and_its_stage_count_once() -> None:
    # Given the events of a canary that CodeDeploy rolled back
    changes = [read(recorded(name)) for name in ("stage-started", "deployment-failed", "stage-failed")]
    desk = Desk()

    # When they are processed
    desk.take(*[change for change in changes if change])

    # Then there was one deployment, which failed
    assert (desk.total("Deployments"), desk.total("ChangeFailures")) == (1, 1)


@pytest.mark.requirement("notifications and figures")
def test_success_is_one_deployment_with_lead_time() -> None:
    desk = Desk(commits={"one": at(-20)})

    found = desk.take(stage("one", "STARTED", 0), stage("one", "SUCCEEDED", 10))

    assert found == [Figure("prod", "Deployments", "Count", 1), Figure("prod", "LeadTime", "Seconds", 30 * 60)]


def test_a_source_without_dates_gives_no_lead_time() -> None:
    assert [figure.metric for figure in Desk().take(stage("one", "SUCCEEDED", 10))] == ["Deployments"]


def test_commit_from_the_future_has_no_negative_lead_time() -> None:
    desk = Desk(commits={"one": at(60)})
    desk.take(stage("one", "SUCCEEDED", 10))

    assert [figure.value for figure in desk.found if figure.metric == "LeadTime"] == [0]


def test_only_the_last_stage_completes_an_environment() -> None:
    assert Desk().take(stage("one", "SUCCEEDED", 1, "prod-foundation")) == []


def test_any_stage_of_an_environment_can_fail_it_once() -> None:
    desk = Desk()

    desk.take(stage("one", "FAILED", 1, "prod-foundation"), stage("one", "FAILED", 2))

    assert (desk.total("Deployments"), desk.total("ChangeFailures")) == (1, 1)


def test_a_canceled_stage_is_a_failed_change() -> None:
    # Given an execution that was canceled by a pipeline change while it deployed to prod
    desk = Desk()
    desk.take(stage("one", "STARTED", 0), stage("one", "CANCELED", 10))

    assert (desk.total("Deployments"), desk.total("ChangeFailures")) == (1, 1)
    # And prod counts as broken until the next success
    assert Figure("prod", "TimeToRestore", "Seconds", 60 * 60) in desk.take(stage("two", "SUCCEEDED", 70))


def test_a_stage_of_two_environments_counts_for_both() -> None:
    # Given production in two regions, deployed in parallel
    stages = {"prod-services": ["prod", "prod-eu"]}
    desk = Desk(delivery=replace(DELIVERY, stages=stages), rollbacks={"back": "one"})

    # When their common stage succeeds, fails, and is rolled back
    desk.take(stage("one", "STARTED", 0), stage("one", "SUCCEEDED", 1))
    desk.take(stage("two", "STARTED", 2), stage("two", "FAILED", 3))
    desk.take(stage("back", "STARTED", 4), stage("back", "SUCCEEDED", 5))

    # Then both have the same figures
    for name in ("prod", "prod-eu"):
        assert (desk.total("Deployments", name), desk.total("ChangeFailures", name)) == (2, 1)
        assert desk.total("TimeToRestore", name) == 2 * 60


def test_stages_that_deploy_nowhere_count_nothing() -> None:
    assert Desk().take(stage("one", "FAILED", 1, "Build")) == []


@pytest.mark.requirement("notifications and figures")
def test_time_to_restore_runs_from_failure_to_success() -> None:
    desk = Desk()
    desk.take(stage("one", "SUCCEEDED", 0), stage("two", "FAILED", 10), stage("three", "FAILED", 40))

    found = desk.take(stage("four", "SUCCEEDED", 70))

    assert Figure("prod", "TimeToRestore", "Seconds", 60 * 60) in found
    # A further success restores nothing
    assert "TimeToRestore" not in {figure.metric for figure in desk.take(stage("five", "SUCCEEDED", 90))}


def test_time_to_restore_starts_with_the_failed_deployment() -> None:
    desk = Desk()
    desk.take(stage("one", "STARTED", 0), deployment(5), stage("one", "FAILED", 15))

    found = desk.take(stage("two", "SUCCEEDED", 65))

    assert Figure("prod", "TimeToRestore", "Seconds", 60 * 60) in found


@pytest.mark.parametrize("application", ["other-Api", "production-Api", "staging-items-Api"])
def test_unrelated_deployments_are_ignored(application: str) -> None:
    desk = Desk()
    desk.take(deployment(5, application=application), stage("two", "SUCCEEDED", 65))

    assert desk.total("TimeToRestore") == 0


def test_rollback_is_a_failure_and_not_a_deployment() -> None:
    # Given a change that was deployed, and one whose bake raised an alarm
    desk = Desk(rollbacks={"back": "one"})
    desk.take(stage("one", "STARTED", 0), stage("one", "SUCCEEDED", 10))
    desk.take(stage("two", "STARTED", 20), stage("two", "SUCCEEDED", 30))

    # When the stage is rolled back
    desk.take(stage("back", "STARTED", 40), stage("back", "SUCCEEDED", 50))

    # Then two deployments were made, one of them failed, and the failure was fixed in ten minutes
    assert (desk.total("Deployments"), desk.total("ChangeFailures")) == (2, 1)
    assert desk.total("TimeToRestore") == 10 * 60


def test_a_failed_stage_and_its_rollback_are_one_failed_change() -> None:
    desk = Desk(rollbacks={"back": "one"})
    desk.take(stage("one", "STARTED", 0), stage("one", "SUCCEEDED", 10))

    desk.take(stage("two", "STARTED", 20), deployment(25), stage("two", "FAILED", 30))
    desk.take(stage("back", "STARTED", 31), stage("back", "SUCCEEDED", 41))

    assert (desk.total("Deployments"), desk.total("ChangeFailures")) == (2, 1)
    assert desk.total("TimeToRestore") == 16 * 60


def test_a_failed_rollback_is_not_counted_as_a_change() -> None:
    desk = Desk(rollbacks={"back": "one"})
    desk.take(stage("two", "STARTED", 20), stage("two", "FAILED", 30))

    desk.take(stage("back", "STARTED", 31), stage("back", "FAILED", 41))

    assert (desk.total("Deployments"), desk.total("ChangeFailures")) == (1, 1)


def test_successful_retry_is_a_failed_and_restored_deployment() -> None:
    desk = Desk()

    desk.take(stage("one", "FAILED", 10), stage("one", "SUCCEEDED", 20))

    assert (desk.total("Deployments"), desk.total("ChangeFailures")) == (1, 1)
    assert desk.total("TimeToRestore") == 10 * 60


def test_environments_are_counted_separately() -> None:
    desk = Desk()
    desk.take(stage("one", "SUCCEEDED", 5, "staging-services"), stage("one", "FAILED", 9))

    assert (desk.total("Deployments", "staging"), desk.total("ChangeFailures", "staging")) == (1, 0)
    assert (desk.total("Deployments"), desk.total("ChangeFailures")) == (1, 1)


@pytest.mark.requirement("bake and rollback")
def test_the_alarms_that_are_on_are_counted_by_environment() -> None:
    desk = Desk()

    counts = [
        figure.value
        for figure in desk.take(
            alarm(1, "ALARM"),
            alarm(2, "ALARM", "prod-items-throttles"),
            alarm(2, "ALARM", "staging-items-5xx", "222222222222"),
            alarm(3, "OK"),
            alarm(4, "INSUFFICIENT_DATA", "prod-items-throttles"),
        )
    ]

    assert counts == [1, 2, 1, 1, 0]


def test_late_alarm_event_does_not_override_a_newer_one() -> None:
    desk = Desk()

    desk.take(alarm(5, "OK"))

    assert [figure.value for figure in desk.take(alarm(1, "ALARM"))] == [0]


def test_deleted_active_alarm_no_longer_counts() -> None:
    desk = Desk()
    changes = [read(recorded(name)) for name in ("alarm-on", "alarm-deleted")]

    found = desk.take(*[change for change in changes if change])

    assert [figure.value for figure in found] == [1, 0]


def test_environments_of_an_account_differ_by_name() -> None:
    shared = DELIVERY.__class__(
        stages={}, last_stages=frozenset(), accounts={"prod": "333333333333", "prod-eu": "333333333333"}
    )

    assert shared.environment("333333333333", "prod-items-5xx") == "prod"
    assert shared.environment("333333333333", "prod-eu-items-5xx") == "prod-eu"
    assert shared.environment("222222222222", "prod-items-5xx") is None


def test_alarms_that_are_on_are_counted_each_minute() -> None:
    # Given two prod alarms, one of which has ended
    desk = Desk()
    desk.take(alarm(1, "ALARM"), alarm(1, "ALARM", "prod-items-Errors"), alarm(2, "OK"))

    # When a minute passes
    found = desk.take(Minute(at(3)))

    # Then each environment's number of active alarms is put again
    assert found == [Figure("staging", "AlarmsInAlarm", "Count", 0), Figure("prod", "AlarmsInAlarm", "Count", 1)]
