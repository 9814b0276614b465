"""What `make doctor` reports about stuck stacks, names already in use, and AWS Backup's regional settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

import specimen
from slipway.accounts.bootstrap.plan import Account
from slipway.accounts.doctor.findings import CheckResult, CheckStatus
from slipway.accounts.doctor.stacks import BROKEN, check_backups, check_stacks
from slipway.delivery.names import bucket_name, log_bucket_name
from slipway.settings import Environment, Settings
from slipway.settings.model import Backup

REGION = "eu-west-1"
SERVICES = specimen.SETTINGS.environments[0].services.names
ACCOUNT = Account("123456789012", "aws", (REGION,), ("blue",), tools=False)


def _settings(backup: Backup | None = None) -> Settings:
    committed = specimen.SETTINGS
    blue = committed.environments[0].model_copy(
        update={"name": "blue", "account": ACCOUNT.account, "region": REGION, "backup": backup}
    )
    return Settings(pipeline=committed.pipeline, environments=(blue,))


class Stubbed:
    """A session whose clients return a test's answers in order."""

    def __init__(self, **answers: list[tuple[str, Any]]) -> None:
        self._answers = answers

    def client(self, service: str, region_name: str) -> Any:
        client: Any = boto3.client(  # type: ignore[call-overload]
            service, region_name=region_name, aws_access_key_id="x", aws_secret_access_key="x"
        )
        stubber = Stubber(client)
        for method, answer in self._answers[service]:
            if isinstance(answer, str):
                stubber.add_client_error(method, service_error_code=answer)
            else:
                stubber.add_response(method, answer)
        stubber.activate()
        return client


def _stack(name: str, status: str) -> dict[str, Any]:
    return {"StackName": name, "StackStatus": status, "CreationTime": 0}


def _buckets(*answers: object) -> list[tuple[str, object]]:
    """Return S3's answer for each requested name; the remaining names are free."""
    asked = 2 * len(SERVICES)
    return [("head_bucket", answer) for answer in (*answers, *["404"] * (asked - len(answers)))]


def _found(*stacks: dict[str, Any], buckets: list[Any] | None = None) -> list[CheckResult]:
    session: Any = Stubbed(cloudformation=[("describe_stacks", {"Stacks": list(stacks)})], s3=buckets or _buckets())
    return list(check_stacks(ACCOUNT, _settings(), session, REGION))


@pytest.mark.parametrize("status", BROKEN)
def test_stuck_stacks_are_named_with_the_way_out(status: str) -> None:
    (found,) = _found(_stack("blue-items-compute", status))

    assert (found.check, found.status) == ("blue-items-compute", CheckStatus.WRONG)
    assert status in found.found
    assert "--stack-name blue-items-compute --region eu-west-1" in found.fix


@pytest.mark.parametrize("name", ["slipway-pipeline", "slipway-pipeline-support-us-west-2", "CDKToolkit"])
def test_stacks_of_the_pipeline_count_too(name: str) -> None:
    (found,) = _found(_stack(name, "ROLLBACK_COMPLETE"))

    assert found.status is CheckStatus.WRONG


def test_stuck_stacks_of_others_are_a_warning() -> None:
    (found,) = _found(_stack("their-network", "UPDATE_ROLLBACK_FAILED"))

    assert found.status is CheckStatus.WARNING


def test_healthy_stacks_are_counted() -> None:
    (found,) = _found(_stack("blue-foundation", "CREATE_COMPLETE"), _stack("other", "UPDATE_ROLLBACK_COMPLETE"))

    assert (found.status, found.found) == (CheckStatus.OK, "2, none of them stuck")


def _environment() -> Environment:
    return _settings().environment("blue")


def test_bucket_left_by_a_failed_deployment_is_named() -> None:
    # Given a data stack that does not exist, and its log bucket, which does
    service = min(SERVICES)
    found = _found(buckets=_buckets("404", {}))[1]

    assert (found.check, found.status) == (f"bucket {log_bucket_name(_environment(), service)}", CheckStatus.WRONG)
    assert "first-deployment.md" in found.fix


@pytest.mark.requirement("bucket names that anybody can take beforehand")
@pytest.mark.parametrize("code", ["403", "301"])
def test_bucket_name_taken_by_another_account_needs_a_salt(code: str) -> None:
    service = min(SERVICES)
    found = _found(buckets=_buckets(code))[1]

    assert (found.check, found.status) == (f"bucket {bucket_name(_environment(), service)}", CheckStatus.WRONG)
    assert "name_salt in config/blue.toml" in found.fix


def test_buckets_of_an_existing_stack_are_not_reported() -> None:
    stacks = [_stack(f"blue-{service}-data", "UPDATE_COMPLETE") for service in SERVICES]

    assert [found.status for found in _found(*stacks)] == [CheckStatus.OK]


def _backups(opted: dict[str, bool], backup: Backup | None) -> Iterator[CheckResult]:
    session: Any = Stubbed(backup=[("describe_region_settings", {"ResourceTypeOptInPreference": opted})])
    return check_backups(ACCOUNT, _settings(backup), session, "blue")


@pytest.mark.requirement("a failed backup without a notification")
def test_backups_need_the_opt_in_of_their_region() -> None:
    (opted_in,) = _backups({"DynamoDB": True, "S3": True}, Backup())
    (opted_out,) = _backups({"DynamoDB": True, "S3": False, "EBS": True}, Backup())
    (unknown,) = _backups({}, Backup())

    assert opted_in.status is CheckStatus.OK
    assert opted_out.status is CheckStatus.WRONG
    assert "S3=true --region eu-west-1" in opted_out.fix
    assert "DynamoDB=true,S3=true" in unknown.fix


def test_without_backups_no_call_is_made() -> None:
    assert list(_backups({}, None)) == []
