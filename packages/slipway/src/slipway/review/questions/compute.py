"""Answers of functions, their triggers, and their scaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from slipway.review.questions.model import (
    CRITICAL,
    HIGH,
    LOW,
    MEDIUM,
    Answers,
    Question,
    Removal,
    changes,
    comes,
    differs,
    falls,
    goes,
    off,
    rises,
)

_HOLDS_NOTHING = {Question.LOSES_DATA: "it holds no data"}
_UNWATCHED = {Question.LOSES_WATCH: "nothing watches by it"}
_NO_ACCESS = {Question.GETS_DATA: "it grants no access, and sends nothing"}

ANSWERS: Final[Mapping[str, Answers]] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": Answers(
        removed="its own check says what scales no more",
        settings=(
            *changes("SuspendedState ScheduledActions", "concurrency-dropped", "it scales at other times, or not"),
            *changes(
                "ResourceId ScalableDimension ServiceNamespace", "concurrency-dropped", "something else is scaled"
            ),
        ),
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Answers(
        removed="its own check says what scales no more",
        settings=(
            *changes("PolicyType ScalingTargetId ResourceId", "concurrency-dropped", "it follows something else"),
            *changes(
                "TargetTrackingScalingPolicyConfiguration StepScalingPolicyConfiguration "
                "PredictiveScalingPolicyConfiguration",
                "limit-lowered",
                "it follows the load otherwise",
            ),
            *changes("PolicyName", "limit-lowered", "another policy takes its place"),
        ),
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::Lambda::Alias": Answers(
        removed=Removal("route-removed", "what calls the alias gets an error", CRITICAL),
        settings=(
            *changes("FunctionVersion", "runtime-changed", "the alias leads to a version that no canary chose", HIGH),
            *changes("RoutingConfig", "canary-loosened", "another share of the calls meets the other version", MEDIUM),
            *changes("FunctionName Name", "route-removed", "what calls the old alias gets an error"),
        ),
        no={**_HOLDS_NOTHING, **_NO_ACCESS},
    ),
    "AWS::Lambda::EventInvokeConfig": Answers(
        removed=Removal("failures-dropped", "what fails is tried twice and then lost"),
        settings=(
            *falls("MaximumEventAgeInSeconds MaximumRetryAttempts", "failures-dropped", "it is given up sooner", LOW),
            *rises("MaximumEventAgeInSeconds MaximumRetryAttempts", "limit-lowered", "it fails more often first"),
            *comes("DestinationConfig/OnFailure", "destination-changed", "what failed is sent there"),
            *changes("DestinationConfig/OnSuccess", "destination-changed", "what was done is sent there"),
            *changes("FunctionName Qualifier", "failures-dropped", "it is about something else"),
        ),
        no=_UNWATCHED,
    ),
    "AWS::Lambda::EventSourceMapping": Answers(
        removed=Removal("consumer-stopped", "nothing reads its source"),
        settings=(
            *off("Enabled", "consumer-stopped", "nothing reads its source"),
            *changes(
                "EventSourceArn FunctionName Topics Queues", "consumer-stopped", "the old source, or function, is left"
            ),
            *comes("FilterCriteria", "consumer-stopped", "what it does not match is dropped"),
            *goes("FilterCriteria", "consumer-stopped", "other events reach the function", MEDIUM),
            *changes(
                "StartingPosition StartingPositionTimestamp", "consumer-stopped", "events are skipped, or come again"
            ),
            *falls(
                "BatchSize ScalingConfig/MaximumConcurrency ParallelizationFactor ProvisionedPollerConfig",
                "limit-lowered",
                "what arrives waits longer",
            ),
            *rises("BatchSize", "limit-lowered", "more is done, and may fail, at once"),
            *changes("MaximumBatchingWindowInSeconds TumblingWindowInSeconds", "limit-lowered", "it waits longer"),
            *off("BisectBatchOnFunctionError", "failures-dropped", "one bad record takes its whole batch with it", LOW),
            *changes(
                "MaximumRecordAgeInSeconds MaximumRetryAttempts",
                "failures-dropped",
                "what fails is given up sooner or later",
            ),
            *comes("DestinationConfig/OnFailure", "destination-changed", "what failed is sent there"),
            *differs("LoggingConfig MetricsConfig", "logging-dropped", "it is not measured or logged", LOW),
            *changes("SourceAccessConfigurations", "consumer-stopped", "it signs in to its source otherwise"),
        ),
    ),
    "AWS::Lambda::Function": Answers(
        removed=Removal("route-removed", "what calls it gets an error"),
        settings=(
            *changes("Handler Runtime Code/ImageUri ImageConfig", "runtime-changed", "other code runs"),
            *changes("PackageType Architectures", "runtime-changed", "it runs on something else"),
            *changes("Layers/*", "runtime-changed", "the code finds other packages, or none"),
            *differs("Environment/Variables/*", "runtime-changed", "the code reads another value, or none"),
            *changes("FileSystemConfigs", "runtime-changed", "it finds other files", HIGH),
            *falls("MemorySize Timeout EphemeralStorage/Size", "limit-lowered", "work is slower, cut off or killed"),
            *changes("VpcConfig", "network-opened", "it reaches, and is reached by, another network", MEDIUM),
            *changes("LoggingConfig/LogGroup", "logging-dropped", "it logs elsewhere"),
            *changes(
                "LoggingConfig/ApplicationLogLevel LoggingConfig/SystemLogLevel LoggingConfig/LogFormat",
                "logging-dropped",
                "its log says more or less, or in another form",
                LOW,
            ),
            *off("TracingConfig/Mode", "logging-dropped", "requests are traced only where a caller asks", LOW),
            *differs("CodeSigningConfigArn", "build-changed", "unsigned code may run"),
            *changes("SnapStart RuntimeManagementConfig", "runtime-changed", "it starts otherwise", LOW),
            *changes("RecursiveLoop", "limit-lowered", "a loop of calls is stopped, or no longer"),
            *changes("Code/S3Bucket Code/S3Key", "runtime-changed", "its code is not from the assembly", HIGH),
        ),
        harmless={"Code/ZipFile": "new code, which is deployed like all new code: versions, hooks and canaries"},
    ),
    "AWS::Lambda::LayerVersion": Answers(
        removed="the functions that bring it name another one, which is compared there",
        harmless={
            "LayerName": "functions refer to it by its ARN",
            "LicenseInfo": "a text for people",
        },
        no={
            **_HOLDS_NOTHING,
            **_NO_ACCESS,
            **_UNWATCHED,
            Question.LOSES_SERVICE: "the function's own layers decide what it uses of it",
        },
    ),
    "AWS::Lambda::Permission": Answers(
        removed="who may no longer call is a question of access",
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::Lambda::Version": Answers(
        removed="a version is a snapshot; which of them answers, the alias says",
        harmless={"CodeSha256": "a check that the deployment makes", "RuntimePolicy": "the function's own is compared"},
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::StepFunctions::StateMachine": Answers(
        removed=Removal("route-removed", "what starts it gets an error"),
        settings=(
            *changes("DefinitionString Definition DefinitionSubstitutions", "runtime-changed", "other steps are taken"),
            *changes("LoggingConfiguration TracingConfiguration", "logging-dropped", "its log says something else"),
        ),
    ),
}
"""By type."""
