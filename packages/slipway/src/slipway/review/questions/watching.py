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
_NO_ACCESS = {Question.GETS_DATA: "it grants no access, and sends nothing"}
_SERVES_NOBODY = {Question.LOSES_SERVICE: "no request is answered by it"}
_OWN_FINDING = "its own check reports who is no longer notified"

ANSWERS: Final[Mapping[str, Answers]] = {
    "AWS::CloudWatch::Alarm": Answers(
        removed="its own check says what is watched no more",
        settings=(
            *goes("OKActions/* InsufficientDataActions/*", "alarm-silenced", "nobody is notified that it changed", LOW),
            *changes("EvaluateLowSampleCountPercentile", "alarm-loosened", "it speaks of few requests, or no longer"),
            *changes("AlarmName", "alarm-loosened", "what asks for it by its name finds none"),
        ),
        harmless={"AlarmDescription": "text for people; a rule of the gate requires it to name a page"},
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY, **_NO_ACCESS},
    ),
    "AWS::CloudWatch::CompositeAlarm": Answers(
        removed="its own check says what is watched no more",
        settings=(
            *goes("OKActions/* InsufficientDataActions/*", "alarm-silenced", "nobody is notified that it changed", LOW),
            *changes("AlarmName", "alarm-loosened", "what asks for it by its name finds none"),
        ),
        harmless={"AlarmDescription": "text for people; a rule of the gate requires it to name a page"},
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY, **_NO_ACCESS},
    ),
    "AWS::CloudWatch::Dashboard": Answers(
        removed=Removal("logging-dropped", "the page that people use no longer exists"),
        harmless={"DashboardBody": "a picture: nothing acts on it, and alarms are compared by themselves"},
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY, **_NO_ACCESS},
    ),
    "AWS::Events::EventBus": Answers(
        removed=Removal("subscriber-removed", "messages to it reach nobody", HIGH),
        settings=(
            *differs("DeadLetterConfig", "failures-dropped", "what it could not deliver is lost"),
            *comes("DeadLetterConfig", "destination-changed", "what it could not deliver is sent there"),
            *differs("LogConfig", "logging-dropped", "it logs less"),
        ),
    ),
    "AWS::Events::EventBusPolicy": Answers(
        removed="who may no longer send is a question of access",
        no={**_HOLDS_NOTHING, Question.LOSES_WATCH: "who hears what is sent, the rules of the bus say"},
    ),
    "AWS::Events::Rule": Answers(
        removed=_OWN_FINDING,
        settings=(
            *comes("Targets/*/Arn", "destination-changed", "events are sent there"),
            *differs("Targets/*/Id", "subscriber-removed", "the target is removed"),
            *changes("EventBusName", "subscriber-removed", "it listens to another bus"),
            *changes("ScheduleExpression", "subscriber-removed", "it runs at other times", LOW),
            *changes(
                "Targets/*/Input Targets/*/InputPath Targets/*/InputTransformer",
                "interface-changed",
                "the target gets something else",
            ),
            *falls("Targets/*/RetryPolicy", "failures-dropped", "an event is given up sooner", LOW),
            *goes("Targets/*/RetryPolicy", "failures-dropped", "an event is tried for AWS's own time", LOW),
            *comes("Targets/*/DeadLetterConfig", "destination-changed", "what failed is sent there"),
        ),
    ),
    "AWS::Logs::Delivery": Answers(
        removed="its own check says what is logged no more",
        settings=(
            *goes("RecordFields/*", "logging-dropped", "the log says less", LOW),
            *changes("DeliveryDestinationArn", "destination-changed", "the log is sent elsewhere"),
            *changes("DeliverySourceName", "logging-dropped", "something else is logged"),
            *changes("FieldDelimiter S3SuffixPath", "logging-dropped", "it is written otherwise", LOW),
        ),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY},
    ),
    "AWS::Logs::DeliveryDestination": Answers(
        removed=Removal("logging-dropped", "what was logged there is logged no more"),
        settings=(
            *changes("DestinationResourceArn", "destination-changed", "the log is sent elsewhere"),
            *changes("OutputFormat Name", "logging-dropped", "it is written otherwise", LOW),
        ),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY},
    ),
    "AWS::Logs::DeliverySource": Answers(
        removed=Removal("logging-dropped", "its events are no longer logged"),
        settings=changes("LogType ResourceArn Name", "logging-dropped", "something else is logged"),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY, **_NO_ACCESS},
    ),
    "AWS::SNS::Subscription": Answers(
        removed=_OWN_FINDING,
        settings=(
            *changes("Endpoint Protocol TopicArn", "destination-changed", "messages are sent elsewhere"),
            *comes("RedrivePolicy", "destination-changed", "what was not taken is sent there"),
            *changes("RawMessageDelivery", "interface-changed", "messages come in another form"),
            *changes("FilterPolicyScope DeliveryPolicy", "subscriber-removed", "it receives other messages", LOW),
        ),
    ),
    "AWS::SNS::Topic": Answers(
        removed=Removal("subscriber-removed", "who listens to it hears nothing", HIGH),
        settings=(
            *goes("Subscription/*", "subscriber-removed", "somebody is no longer notified"),
            *comes("Subscription/*", "destination-changed", "messages are sent there"),
            *off("ContentBasedDeduplication", "interface-changed", "messages without their own id are refused"),
            *changes("FifoThroughputScope", "limit-lowered", "the limit counts for something else"),
            *differs("ArchivePolicy", "retention-shortened", "messages cannot be sent again"),
            *differs("DeliveryStatusLogging TracingConfig", "logging-dropped", "deliveries are not logged", LOW),
            *differs("DataProtectionPolicy", "encryption-dropped", "what was masked can be read"),
        ),
        harmless={
            "DisplayName": "a name for people",
            "SignatureVersion": "receivers verify both; each message contains the version",
        },
    ),
    "AWS::SNS::TopicPolicy": Answers(
        removed="who may do what without it is a question of access",
        no={
            **_HOLDS_NOTHING,
            Question.LOSES_WATCH: "who hears what is published, its subscriptions say",
            Question.LOSES_SERVICE: "who may no longer publish is a question of access",
        },
    ),
}
"""By type."""
