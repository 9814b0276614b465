"""Rules on AWS Backup: detection of failed backups."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.rules.aws.dynamodb import metrics_of
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Templates

_EVENTS = "https://docs.aws.amazon.com/aws-backup/latest/devguide/eventbridge.html"


def _guessed_metric(templates: Templates) -> Iterator[Found]:
    for alarm in templates.of_type("AWS::CloudWatch::Alarm"):
        if any(metric.get("Namespace") == "AWS/Backup" for metric in metrics_of(alarm)):
            yield Found(alarm.stack, alarm.logical_id)


RULES = (
    AwsRule(
        name="BackupFailureByEvent",
        does="AWS Backup documents an event for each change of a job's state, but not under which combinations of "
        "dimensions its metrics are published.",
        says="An alarm reads a metric of AWS/Backup, and may never get a data point: missing data is not breaching.",
        fix="Match `Backup Job State Change` events of the vault in an EventBridge rule.",
        source=_EVENTS,
        check=_guessed_metric,
        planted={
            "Alarm": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {
                    "Namespace": "AWS/Backup",
                    "MetricName": "NumberOfBackupJobsFailed",
                    "Dimensions": [{"Name": "BackupVaultName", "Value": "orders"}],
                },
            }
        },
    ),
)
