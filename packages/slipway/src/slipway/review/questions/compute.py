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
_UNWATCHED = {Question.LOSES_WATCH: "no monitoring depends on it"}
_NO_ACCESS = {Question.GETS_DATA: "it grants no access and sends no data"}

ANSWERS: Final[Mapping[str, Answers]] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": Answers(
        removed="its own check reports what no longer scales",
        settings=(
            *changes(
                "SuspendedState ScheduledActions", "concurrency-dropped", "it scales at different times, or not at all"
            ),
            *changes(
                "ResourceId ScalableDimension ServiceNamespace", "concurrency-dropped", "something else is scaled"
            ),
        ),
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": Answers(
        removed="its own check reports what no longer scales",
        settings=(
            *changes("PolicyType ScalingTargetId ResourceId", "concurrency-dropped", "it follows a different metric"),
            *changes(
                "TargetTrackingScalingPolicyConfiguration StepScalingPolicyConfiguration "
                "PredictiveScalingPolicyConfiguration",
                "limit-lowered",
                "it follows the load differently",
            ),
            *changes("PolicyName", "limit-lowered", "a different policy replaces it"),
        ),
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::Lambda::Alias": Answers(
        removed=Removal("route-removed", "callers of the alias get an error", CRITICAL),
        settings=(
            *changes(
                "FunctionVersion", "runtime-changed", "the alias points to a version that no canary has tested", HIGH
            ),
            *changes(
                "RoutingConfig", "canary-loosened", "a different share of the calls reaches the other version", MEDIUM
            ),
            *changes("FunctionName Name", "route-removed", "callers of the old alias get an error"),
        ),
        no={**_HOLDS_NOTHING, **_NO_ACCESS},
    ),
    "AWS::Lambda::EventInvokeConfig": Answers(
        removed=Removal("failures-dropped", "failed events are retried twice and then lost"),
        settings=(
            *falls(
                "MaximumEventAgeInSeconds MaximumRetryAttempts", "failures-dropped", "events are dropped sooner", LOW
            ),
            *rises("MaximumEventAgeInSeconds MaximumRetryAttempts", "limit-lowered", "events are retried more often"),
            *comes("DestinationConfig/OnFailure", "destination-changed", "failed events are sent there"),
            *changes("DestinationConfig/OnSuccess", "destination-changed", "results are sent there"),
            *changes("FunctionName Qualifier", "failures-dropped", "it applies to a different function"),
        ),
        no=_UNWATCHED,
    ),
    "AWS::Lambda::EventSourceMapping": Answers(
        removed=Removal("consumer-stopped", "nothing reads its source"),
        settings=(
            *off("Enabled", "consumer-stopped", "nothing reads its source"),
            *changes(
                "EventSourceArn FunctionName Topics Queues",
                "consumer-stopped",
                "the old source or function is disconnected",
            ),
            *comes("FilterCriteria", "consumer-stopped", "events that it does not match are dropped"),
            *goes("FilterCriteria", "consumer-stopped", "other events reach the function", MEDIUM),
            *changes(
                "StartingPosition StartingPositionTimestamp", "consumer-stopped", "events are skipped or repeated"
            ),
            *falls(
                "BatchSize ScalingConfig/MaximumConcurrency ParallelizationFactor ProvisionedPollerConfig",
                "limit-lowered",
                "new items wait longer",
            ),
            *rises("BatchSize", "limit-lowered", "more work runs, and may fail, at once"),
            *changes("MaximumBatchingWindowInSeconds TumblingWindowInSeconds", "limit-lowered", "it waits longer"),
            *off("BisectBatchOnFunctionError", "failures-dropped", "one bad record fails its whole batch", LOW),
            *changes(
                "MaximumRecordAgeInSeconds MaximumRetryAttempts",
                "failures-dropped",
                "failed records are dropped sooner or later",
            ),
            *comes("DestinationConfig/OnFailure", "destination-changed", "failed events are sent there"),
            *differs("LoggingConfig MetricsConfig", "logging-dropped", "it is not measured or logged", LOW),
            *changes("SourceAccessConfigurations", "consumer-stopped", "it authenticates to its source differently"),
        ),
    ),
    "AWS::Lambda::Function": Answers(
        removed=Removal("route-removed", "callers get an error"),
        settings=(
            *changes("Handler Runtime Code/ImageUri ImageConfig", "runtime-changed", "other code runs"),
            *changes("PackageType Architectures", "runtime-changed", "it runs on a different runtime or entry point"),
            *changes("Layers/*", "runtime-changed", "the code finds different packages, or none"),
            *differs("Environment/Variables/*", "runtime-changed", "the code reads another value, or none"),
            *changes("FileSystemConfigs", "runtime-changed", "it finds different files", HIGH),
            *falls("MemorySize Timeout EphemeralStorage/Size", "limit-lowered", "work is slower, cut off or killed"),
            *changes("VpcConfig", "network-opened", "it reaches, and is reached by, another network", MEDIUM),
            *changes("LoggingConfig/LogGroup", "logging-dropped", "it logs elsewhere"),
            *changes(
                "LoggingConfig/ApplicationLogLevel LoggingConfig/SystemLogLevel LoggingConfig/LogFormat",
                "logging-dropped",
                "its log contains more or less, or has a different format",
                LOW,
            ),
            *off("TracingConfig/Mode", "logging-dropped", "requests are only traced if the caller requests it", LOW),
            *differs("CodeSigningConfigArn", "build-changed", "unsigned code may run"),
            *changes("SnapStart RuntimeManagementConfig", "runtime-changed", "it starts differently", LOW),
            *changes("RecursiveLoop", "limit-lowered", "recursive calls are stopped, or no longer"),
            *changes("Code/S3Bucket Code/S3Key", "runtime-changed", "its code is not from the assembly", HIGH),
        ),
        harmless={"Code/ZipFile": "new code, which is deployed like all new code: versions, hooks and canaries"},
    ),
    "AWS::Lambda::LayerVersion": Answers(
        removed="the functions that use it refer to a different one, which is compared there",
        harmless={
            "LayerName": "functions refer to it by its ARN",
            "LicenseInfo": "a text for people",
        },
        no={
            **_HOLDS_NOTHING,
            **_NO_ACCESS,
            **_UNWATCHED,
            Question.LOSES_SERVICE: "the function's own layers decide whether it is used",
        },
    ),
    "AWS::Lambda::Permission": Answers(
        removed="lost permissions are compared as access",
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::Lambda::Version": Answers(
        removed="a version is a snapshot; the alias decides which one answers",
        harmless={"CodeSha256": "only the deployment checks it", "RuntimePolicy": "the function's own is compared"},
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::StepFunctions::StateMachine": Answers(
        removed=Removal("route-removed", "callers that start it get an error"),
        settings=(
            *changes(
                "DefinitionString Definition DefinitionSubstitutions", "runtime-changed", "different steps are executed"
            ),
            *changes("LoggingConfiguration TracingConfiguration", "logging-dropped", "the content of its log changes"),
        ),
    ),
}
"""Answers by type."""
