"""The emulated AWS FIS: experiments delay or fail functions, within roles, alarms and their duration."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.bare import LOGS, Account, allow, emulated_account
from local.injected import CODE, DELAY, ERROR, READS, VARIABLES, WRITES, alarm, start, state, template
from slipway.emulator.server import Credentials

account = emulated_account()


@pytest.fixture
def function(account: Account) -> str:
    """Create a function whose role may read faults."""
    return account.function(account.role(LOGS, *READS), CODE, Environment={"Variables": VARIABLES})


def timed(account: Account, function: str) -> float:
    began = time.monotonic()
    assert account.invoke(function) == "well"
    return time.monotonic() - began


def is_prompt(account: Account, function: str) -> bool:
    """Return True if one of three invocations is fast: a cold start or a busy machine slows single ones down."""
    return any(timed(account, function) < 0.6 for _ in range(3))


def test_functions_are_late_until_the_time_is_up(account: Account, function: str) -> None:
    account.invoke(function)
    found = start(account, template(account, function, *DELAY, duration="PT3S"))
    assert found["state"]["status"] == "running"
    assert timed(account, function) >= 0.6
    time.sleep(3)
    assert is_prompt(account, function)
    assert state(account, found["id"]) == "completed"


@pytest.mark.parametrize(("prevented", "worked"), [("true", False), ("false", True)])
def test_a_share_of_invocations_fails_before_or_after_its_work(
    account: Account, function: str, prevented: str, worked: bool
) -> None:
    parameters = {"invocationPercentage": "25", "preventExecution": prevented}
    found = start(account, template(account, function, ERROR, parameters))
    answers = [account.invoke(function) for _ in range(8)]
    assert [answer != "well" for answer in answers] == [False, False, False, True] * 2
    assert "AWS FIS" in answers[3]["errorMessage"]
    # Then the log shows whether the failed ones did their work
    logs = account.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    assert sum("worked" in event["message"] for event in logs) == (8 if worked else 6)
    # And CloudWatch counts the failures
    names = [{"Name": "FunctionName", "Value": function}]
    now = datetime.now(UTC)
    counted = account.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=names,
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert sum(point["Sum"] for point in counted) >= 2
    account.client("fis").stop_experiment(id=found["id"])


def test_an_alarm_ends_an_experiment(account: Account, function: str) -> None:
    alarm(account, "loud")
    found = start(account, template(account, function, *DELAY, alarm="loud"))
    assert timed(account, function) >= 0.6
    account.client("cloudwatch").set_alarm_state(AlarmName="loud", StateValue="ALARM", StateReason="test")
    assert is_prompt(account, function)
    ended = account.client("fis").get_experiment(id=found["id"])["experiment"]["state"]
    assert ended["status"] == "stopped"
    assert "alarm:loud" in ended["reason"]


def test_a_request_ends_an_experiment(account: Account, function: str) -> None:
    found = start(account, template(account, function, *DELAY))
    assert account.client("fis").stop_experiment(id=found["id"])["experiment"]["state"]["status"] == "stopped"
    assert is_prompt(account, function)
    with pytest.raises(ClientError, match="ValidationException"):
        account.client("fis").stop_experiment(id=found["id"])


@pytest.mark.parametrize(
    ("permissions", "says"),
    [((WRITES[0],), "s3:PutObject"), ((WRITES[1],), "tag:GetResources")],
    ids=["no objects", "no look-ups"],
)
def test_fis_needs_its_permissions(account: Account, function: str, permissions: Any, says: str) -> None:
    found = start(account, template(account, function, *DELAY, role=account.role(*permissions)))
    assert found["state"]["status"] == "failed"
    assert says in found["state"]["reason"]


def test_a_function_without_the_extension_fails_the_experiment(account: Account) -> None:
    plain = account.function(account.role(LOGS), CODE)
    found = start(account, template(account, plain, *DELAY))
    assert found["state"]["status"] == "failed"
    assert "AWS_FIS_CONFIGURATION_LOCATION" in found["state"]["reason"]


def test_a_function_that_may_not_read_faults_has_none(account: Account) -> None:
    blind = account.function(account.role(LOGS), CODE, Environment={"Variables": VARIABLES})
    account.invoke(blind)
    start(account, template(account, blind, *DELAY))
    assert timed(account, blind) < 0.6


def test_iam_is_asked_who_may_start_what(account: Account, function: str, tmp_path: Path) -> None:
    # Given a role that may start one experiment
    mine, other = (template(account, function, *DELAY, duration="PT1S") for _ in range(2))
    role = account.role(allow(account.arn("fis", f"experiment-template/{mine}"), "fis:StartExperiment"))
    account.client("iam").update_assume_role_policy(
        RoleName=role.rpartition("/")[2],
        PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":'
        '"arn:aws:iam::444444444444:root"},"Action":"sts:AssumeRole"}]}',
    )
    given = account.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    session = account.emulator.session(
        Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    )
    # Then it may start only that one, and may not read its state
    found = session.client("fis").start_experiment(experimentTemplateId=mine)["experiment"]["id"]
    with pytest.raises(ClientError, match="AccessDenied"):
        session.client("fis").start_experiment(experimentTemplateId=other)
    with pytest.raises(ClientError, match="AccessDenied"):
        session.client("fis").get_experiment(id=found)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        account.client("fis").get_experiment(id="EXPnone")
