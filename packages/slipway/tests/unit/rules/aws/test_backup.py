"""Rules about AWS Backup."""

from __future__ import annotations

from unit.rules.aws.judging import broken


def test_failed_backups_are_notified_by_event() -> None:
    failed = {"Namespace": "AWS/Backup", "MetricName": "NumberOfBackupJobsFailed"}
    queue = {"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible"}

    assert broken("BackupFailureByEvent", {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": failed}}) == [
        "Alarm"
    ]
    assert broken("BackupFailureByEvent", {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": queue}}) == []
