"""Backups: daily, in a vault under the service's key, protected from deletion."""

from __future__ import annotations

import json

import pytest

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN, changed
from slipway.service import Service
from slipway.testing.templates import DeployedTemplates
from specimen.delivery import SERVICES
from specimen.services.catalog.infrastructure import Catalog
from specimen.services.intake.infrastructure import Intake
from specimen.services.studio.infrastructure import Studio

WITH_A_BACKUP = pytest.mark.parametrize("service", [Catalog, Studio], ids=lambda service: service.name)


def _prod(service: type[Service]) -> DeployedTemplates:
    return synthesis.deployment("prod", service)


@pytest.mark.requirement("the table")
@WITH_A_BACKUP
def test_table_and_bucket_are_backed_up_daily(service: type[Service]) -> None:
    # Given the backup plan of a service in prod
    deployment = _prod(service)
    settings = deployment.environment.backup
    assert settings
    plan = deployment["data"].only("AWS::Backup::BackupPlan")["BackupPlan"]
    selection = deployment["data"].only("AWS::Backup::BackupSelection")["BackupSelection"]

    # Then it runs every day and writes to the vault
    (rule,) = plan["BackupPlanRule"]
    assert rule["ScheduleExpression"] == f"cron(0 {settings.hour_utc} * * ? *)"
    assert rule["Lifecycle"] == {"DeleteAfterDays": settings.keep_days}
    assert deployment.behind(deployment.text("data", rule["TargetBackupVault"]))["Type"] == "AWS::Backup::BackupVault"
    # And it covers the service's table and bucket
    assert deployment.texts("data", selection["Resources"]) == {
        deployment.output(name).replace(">", ".Arn>") for name in ("TableName", "BucketName")
    }


@pytest.mark.requirement("no accidental loss of stateful resources")
@WITH_A_BACKUP
def test_vault_uses_the_key_and_forbids_deletion(service: type[Service]) -> None:
    deployment = _prod(service)
    vault = deployment["data"].only("AWS::Backup::BackupVault")

    assert deployment.text("data", vault["EncryptionKeyArn"]) == deployment.output("KeyArn")
    (statement,) = vault["AccessPolicy"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", {"AWS": "*"})
    assert set(statement["Action"]) == {"backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle"}


@WITH_A_BACKUP
def test_aws_backup_has_its_permissions_on_this_service_only(service: type[Service]) -> None:
    deployment = _prod(service)
    data = deployment["data"]
    ((_, selection),) = data.of_type("AWS::Backup::BackupSelection").items()
    role = selection["Properties"]["BackupSelection"]["IamRoleArn"]["Fn::GetAtt"][0]
    ((policy, document),) = [
        (key, resource["Properties"]["PolicyDocument"])
        for key, resource in data.of_type("AWS::IAM::ManagedPolicy").items()
        if {"Ref": role} in resource["Properties"]["Roles"]
    ]

    # Given the role of the backups
    assert policy in selection["DependsOn"]
    trust = data.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert [statement["Principal"] for statement in trust] == [{"Service": "backup.amazonaws.com"}]
    # Then it only reaches the service's own key, tables and buckets
    owned = {deployment.output("KeyArn")} | {
        deployment.output(name).replace(">", ".Arn>") for name in ("TableName", "BucketName")
    }
    for statement in document["Statement"]:
        for text in deployment.texts("data", statement["Resource"]):
            if text.startswith("<") and "BackupVault" not in text:
                assert any(text.startswith(name.removesuffix(">")) for name in owned), text
    # And it can read data, but not change any
    actions = {action for statement in document["Statement"] for action in _listed(statement["Action"])}
    assert not {action for action in actions if action.endswith(("PutObject", "DeleteObject", "Item", "DeleteTable"))}


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


@pytest.mark.requirement("a failed backup without a notification")
@WITH_A_BACKUP
def test_a_backup_that_fails_is_an_alarm(service: type[Service]) -> None:
    deployment = _prod(service)
    # Given a rule for events of jobs in the service's own vault
    rule = deployment["data"].only("AWS::Events::Rule")
    assert rule["EventPattern"]["source"] == ["aws.backup"]
    assert rule["EventPattern"]["detail-type"] == ["Backup Job State Change"]
    detail = rule["EventPattern"]["detail"]
    assert set(detail["state"]) == {"FAILED", "ABORTED", "EXPIRED"}
    vault = deployment.behind(deployment.text("data", detail["backupVaultName"][0]).replace(".BackupVaultName", ""))
    assert vault["Type"] == "AWS::Backup::BackupVault"
    # That puts them into a queue
    (target,) = rule["Targets"]
    assert "RoleArn" not in target
    queue = deployment.text("data", target["Arn"])
    # When a message is in the queue
    alarm = deployment["observability"].only(
        "AWS::CloudWatch::Alarm", lambda entry: "backup-failed" in entry["AlarmDescription"]
    )
    # Then the alarm triggers
    assert (alarm["Threshold"], alarm["Statistic"]) == (1, "Maximum")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    (dimension,) = alarm["Dimensions"]
    assert deployment.text("observability", dimension["Value"]) == queue.replace(".Arn", ".QueueName")


@WITH_A_BACKUP
def test_eventbridge_may_write_to_the_encrypted_queue(service: type[Service]) -> None:
    deployment = _prod(service)
    policy = deployment["data"].only("AWS::SQS::QueuePolicy")
    allowed = next(entry for entry in policy["PolicyDocument"]["Statement"] if entry["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert "aws:SourceArn" in json.dumps(allowed["Condition"])
    key = deployment["security"].only("AWS::KMS::Key")
    use = next(entry for entry in key["KeyPolicy"]["Statement"] if entry.get("Sid") == "EventBridge")
    assert set(use["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert set(use["Condition"]) == {"StringEquals", "ArnLike"}


def test_short_lived_records_are_not_backed_up() -> None:
    # Given records that expire after a day, which a backup would keep for weeks
    assert not _prod(Intake)["data"].of_type("AWS::Backup::BackupPlan")


@pytest.mark.parametrize("environment", ["dev", "staging"])
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_without_configuration_there_is_no_backup(environment: str, service: type[Service]) -> None:
    for template in synthesis.deployment(environment, service):
        assert "AWS::Backup::" not in template.text()


def test_bucket_without_versions_is_not_backed_up() -> None:
    # Given uploads without versioning
    environment = changed(SPECIMEN.environment("prod"), {"services.studio.uploads.versioned": False})
    deployment = synthesis.deploy("prod, no versions", environment, Studio)
    selection = deployment["data"].only("AWS::Backup::BackupSelection")["BackupSelection"]

    assert deployment.texts("data", selection["Resources"]) == {deployment.output("TableName").replace(">", ".Arn>")}


_TESTED = changed(SPECIMEN.environment("prod"), {"backup.restore_test": {"day": "SAT", "hour_utc": 9}})


def test_no_restore_is_tested_unless_configured() -> None:
    data = _prod(Catalog)["data"]
    assert not data.of_type("AWS::Backup::RestoreTestingPlan")
    assert not data.of_type("AWS::Backup::RestoreTestingSelection")


def test_the_newest_backups_are_restored_weekly_if_configured() -> None:
    # Given an environment with restore tests
    deployment = synthesis.deploy("tested", _TESTED, Catalog)
    data = deployment["data"]
    # When its plan is read, then it uses the newest recovery points of the service's vault
    plan = data.only("AWS::Backup::RestoreTestingPlan")
    assert plan["ScheduleExpression"] == "cron(0 9 ? * SAT *)"
    selected = plan["RecoveryPointSelection"]
    assert selected["Algorithm"] == "LATEST_WITHIN_WINDOW"
    (vault,) = selected["IncludeVaults"]
    assert deployment.behind(deployment.text("data", vault))["Type"] == "AWS::Backup::BackupVault"
    # And it restores the table and the bucket
    selections = data.of_type("AWS::Backup::RestoreTestingSelection").values()
    kinds = {each["Properties"]["ProtectedResourceType"] for each in selections}
    assert kinds == {"DynamoDB", "S3"}
    # And its role can only write to the test's copies
    (policy,) = [each for name, each in data.of_type("AWS::IAM::ManagedPolicy").items() if "RestoreTest" in name]
    writes = [
        resource
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if {"dynamodb:PutItem", "s3:PutObject"} & set(_listed(statement["Action"]))
        for resource in _listed(statement["Resource"])
    ]
    assert writes
    assert all("awsbackup-restore-test-*" in json.dumps(each) for each in writes)
