"""Answers of monitoring, notifications and logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from slipway.review.questions.model import (
    HIGH,
    LOW,
    Answers,
    Question,
    Removal,
    changes,
    comes,
    differs,
    falls,
    goes,
    off,
)

_HOLDS_NOTHING = {Question.LOSES_DATA: "it holds no data"}
_NO_ACCESS = {Question.GETS_DATA: "it grants no access and sends no data"}
_SERVES_NOBODY = {Question.LOSES_SERVICE: "it serves no requests"}
_OWN_FINDING = "its own check reports who is no longer notified"

ANSWERS: Final[Mapping[str, Answers]] = {
    "AWS::CloudWatch::Alarm": Answers(
        removed="its own check reports what is no longer watched",
        settings=(
            *goes("OKActions/* InsufficientDataActions/*", "alarm-silenced", "nobody is notified of its state", LOW),
            *changes("EvaluateLowSampleCountPercentile", "alarm-loosened", "it evaluates few samples, or no longer"),
            *changes("AlarmName", "alarm-loosened", "anything that refers to its name no longer finds it"),
        ),
        harmless={"AlarmDescription": "a description; a rule of the gate requires it to name a page"},
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY, **_NO_ACCESS},
    ),
    "AWS::CloudWatch::CompositeAlarm": Answers(
        removed="its own check reports what is no longer watched",
        settings=(
            *goes("OKActions/* InsufficientDataActions/*", "alarm-silenced", "nobody is notified of its state", LOW),
            *changes("AlarmName", "alarm-loosened", "anything that refers to its name no longer finds it"),
        ),
        harmless={"AlarmDescription": "a description; a rule of the gate requires it to name a page"},
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY, **_NO_ACCESS},
    ),
    "AWS::CloudWatch::Dashboard": Answers(
        removed=Removal("logging-dropped", "the page that people use no longer exists"),
        harmless={"DashboardBody": "a picture without effect; alarms are compared separately"},
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY, **_NO_ACCESS},
    ),
    "AWS::Events::EventBus": Answers(
        removed=Removal("subscriber-removed", "messages to it reach nobody", HIGH),
        settings=(
            *differs("DeadLetterConfig", "failures-dropped", "undeliverable events are lost"),
            *comes("DeadLetterConfig", "destination-changed", "undeliverable events are sent there"),
            *differs("LogConfig", "logging-dropped", "it logs less"),
        ),
    ),
    "AWS::Events::EventBusPolicy": Answers(
        removed="lost permissions are compared as access",
        no={**_HOLDS_NOTHING, Question.LOSES_WATCH: "the bus's rules decide who receives events"},
    ),
    "AWS::Events::Rule": Answers(
        removed=_OWN_FINDING,
        settings=(
            *comes("Targets/*/Arn", "destination-changed", "events are sent there"),
            *differs("Targets/*/Id", "subscriber-removed", "the target is removed"),
            *changes("EventBusName", "subscriber-removed", "it listens to a different bus"),
            *changes("ScheduleExpression", "subscriber-removed", "it runs at different times", LOW),
            *changes(
                "Targets/*/Input Targets/*/InputPath Targets/*/InputTransformer",
                "interface-changed",
                "the target receives something different",
            ),
            *falls("Targets/*/RetryPolicy", "failures-dropped", "events are dropped sooner", LOW),
            *goes("Targets/*/RetryPolicy", "failures-dropped", "events are retried for AWS's default time", LOW),
            *comes("Targets/*/DeadLetterConfig", "destination-changed", "failed events are sent there"),
        ),
    ),
    "AWS::Logs::Delivery": Answers(
        removed="its own check reports what is no longer logged",
        settings=(
            *goes("RecordFields/*", "logging-dropped", "the log contains less", LOW),
            *changes("DeliveryDestinationArn", "destination-changed", "the log is sent to a different destination"),
            *changes("DeliverySourceName", "logging-dropped", "different events are logged"),
            *changes("FieldDelimiter S3SuffixPath", "logging-dropped", "its format or delivery changes", LOW),
        ),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY},
    ),
    "AWS::Logs::DeliveryDestination": Answers(
        removed=Removal("logging-dropped", "its events are no longer logged there"),
        settings=(
            *changes("DestinationResourceArn", "destination-changed", "the log is sent to a different destination"),
            *changes("OutputFormat Name", "logging-dropped", "its format or delivery changes", LOW),
        ),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY},
    ),
    "AWS::Logs::DeliverySource": Answers(
        removed=Removal("logging-dropped", "its events are no longer logged"),
        settings=changes("LogType ResourceArn Name", "logging-dropped", "different events are logged"),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY, **_NO_ACCESS},
    ),
    "AWS::SNS::Subscription": Answers(
        removed=_OWN_FINDING,
        settings=(
            *changes(
                "Endpoint Protocol TopicArn", "destination-changed", "messages are sent to a different destination"
            ),
            *comes("RedrivePolicy", "destination-changed", "undelivered messages are sent there"),
            *changes("RawMessageDelivery", "interface-changed", "messages have a different format"),
            *changes("FilterPolicyScope DeliveryPolicy", "subscriber-removed", "it receives different messages", LOW),
        ),
    ),
    "AWS::SNS::Topic": Answers(
        removed=Removal("subscriber-removed", "subscribers receive nothing", HIGH),
        settings=(
            *goes("Subscription/*", "subscriber-removed", "somebody is no longer notified"),
            *comes("Subscription/*", "destination-changed", "messages are sent there"),
            *off("ContentBasedDeduplication", "interface-changed", "messages without their own id are refused"),
            *changes("FifoThroughputScope", "limit-lowered", "the limit applies to something different"),
            *differs("ArchivePolicy", "retention-shortened", "messages cannot be replayed"),
            *differs("DeliveryStatusLogging TracingConfig", "logging-dropped", "deliveries are not logged", LOW),
            *differs("DataProtectionPolicy", "encryption-dropped", "masked data becomes readable"),
        ),
        harmless={
            "DisplayName": "a display name",
            "SignatureVersion": "receivers verify both; each message contains the version",
        },
    ),
    "AWS::SNS::TopicPolicy": Answers(
        removed="lost permissions are compared as access",
        no={
            **_HOLDS_NOTHING,
            Question.LOSES_WATCH: "its subscriptions decide who receives messages",
            Question.LOSES_SERVICE: "lost permissions are compared as access",
        },
    ),
}
"""Answers by type."""
