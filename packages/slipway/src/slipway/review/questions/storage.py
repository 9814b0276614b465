"""Answers of data stores, keys and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from slipway.review.questions.model import (
    HIGH,
    INFO,
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
    on,
    rises,
)

_UNWATCHED = {Question.LOSES_WATCH: "nothing watches by it"}
_HOLDS_NOTHING = {Question.LOSES_DATA: "it holds no data"}
_SERVES_NOBODY = {Question.LOSES_SERVICE: "no request is answered by it"}
_OWN_FINDING = "what is lost with it is a finding of its own"

ANSWERS: Final[Mapping[str, Answers]] = {
    "AWS::Backup::BackupPlan": Answers(
        removed="its own check says what is backed up no more",
        settings=(
            *changes("BackupPlan/BackupPlanRule/*/TargetBackupVault", "destination-changed", "backups go elsewhere"),
            *differs(
                "BackupPlan/BackupPlanRule/*/CopyActions", "backup-dropped", "copies go elsewhere, or are not made"
            ),
            *differs("BackupPlan/AdvancedBackupSettings", "backup-dropped", "backups hold something else"),
            *changes(
                "BackupPlan/BackupPlanRule/*/StartWindowMinutes BackupPlan/BackupPlanRule/*/CompletionWindowMinutes",
                "backup-dropped",
                "a backup has another time to start or to end in",
                LOW,
            ),
            *off("BackupPlan/BackupPlanRule/*/EnableContinuousBackup", "backup-dropped", "no point in time is kept"),
        ),
        harmless={
            "BackupPlan/BackupPlanName": "a name for people",
            "BackupPlanTags": "a label",
        },
        no={**_UNWATCHED, **_SERVES_NOBODY},
    ),
    "AWS::Backup::BackupSelection": Answers(
        removed="its own check says what is backed up no more",
        settings=changes("BackupPlanId", "backup-dropped", "another plan says when and for how long"),
        harmless={"BackupSelection/SelectionName": "a name for people"},
        no={**_UNWATCHED, **_SERVES_NOBODY},
    ),
    "AWS::Backup::BackupVault": Answers(
        removed=_OWN_FINDING,
        settings=(
            *goes("Notifications", "subscriber-removed", "nobody is notified of failed backups"),
            *comes("Notifications", "subscriber-removed", "others hear of backups", INFO),
        ),
        harmless={"BackupVaultTags": "a label"},
        no=_SERVES_NOBODY,
    ),
    "AWS::DynamoDB::Table": Answers(
        removed=_OWN_FINDING,
        settings=(
            *changes("BillingMode", "limit-lowered", "it scales, and is limited, otherwise", MEDIUM),
            *falls(
                "ProvisionedThroughput/ReadCapacityUnits ProvisionedThroughput/WriteCapacityUnits "
                "GlobalSecondaryIndexes/*/ProvisionedThroughput/ReadCapacityUnits "
                "GlobalSecondaryIndexes/*/ProvisionedThroughput/WriteCapacityUnits",
                "limit-lowered",
                "requests are throttled sooner",
            ),
            *changes("OnDemandThroughput WarmThroughput", "limit-lowered", "requests are throttled sooner or later"),
            *differs(
                "StreamSpecification", "consumer-stopped", "what reads the stream gets something else, or nothing"
            ),
            *differs("KinesisStreamSpecification", "consumer-stopped", "what reads the stream gets nothing"),
            *comes("KinesisStreamSpecification", "destination-changed", "changes are sent there"),
            *off("TimeToLiveSpecification/Enabled", "expiry-dropped", "items are kept that were to expire"),
            *off("ContributorInsightsSpecification/Enabled", "logging-dropped", "hot keys are not shown", LOW),
            *changes("TableClass", "limit-lowered", "it costs, and is limited, otherwise"),
        ),
        harmless={
            "SSESpecification/SSEType": "KMS is the only one there is",
            "AttributeDefinitions/*/AttributeName": "the type of a key; keys and indexes are compared themselves",
            "GlobalSecondaryIndexes/*/WarmThroughput": "it says what an index begins with, not what it is limited to",
        },
    ),
    "AWS::KMS::Alias": Answers(
        removed=Removal("key-changed", "what asks for the alias gets an error", HIGH),
        settings=changes("TargetKeyId AliasName", "key-changed", "what asks for the alias gets another key", HIGH),
        no={
            **_UNWATCHED,
            Question.GETS_DATA: "who may use a key, the key's policy says",
            Question.LOSES_SERVICE: "with another key, data encrypted under the old one becomes unreadable",
        },
    ),
    "AWS::KMS::Key": Answers(
        removed=_OWN_FINDING,
        settings=(
            *off("Enabled", "key-disabled", "all that is encrypted under it cannot be read"),
            *rises("RotationPeriodInDays", "encryption-dropped", "its material is used longer", LOW),
            *on("BypassPolicyLockoutSafetyCheck", "key-policy-widened", "a policy may lock everybody out", MEDIUM),
        ),
        no=_UNWATCHED,
    ),
    "AWS::Logs::LogGroup": Answers(
        removed=_OWN_FINDING,
        settings=(
            *goes("RetentionInDays", "expiry-dropped", "logs are kept for ever"),
            *rises("RetentionInDays", "expiry-dropped", "logs are kept longer", INFO),
            *changes("LogGroupClass FieldIndexPolicies", "logging-dropped", "fewer questions can be asked of it", LOW),
            *differs("DataProtectionPolicy", "encryption-dropped", "what was masked can be read"),
        ),
        no=_SERVES_NOBODY,
    ),
    "AWS::S3::Bucket": Answers(
        removed=_OWN_FINDING,
        settings=(
            *goes("CorsConfiguration/CorsRules", "interface-changed", "browsers are refused"),
            *goes(
                "LifecycleConfiguration/Rules/*/ExpirationInDays LifecycleConfiguration/Rules/*/ExpirationDate "
                "LifecycleConfiguration/Rules/*/NoncurrentVersionExpiration",
                "expiry-dropped",
                "what was to go is kept",
            ),
            *changes(
                "LifecycleConfiguration/Rules/*/AbortIncompleteMultipartUpload",
                "limit-lowered",
                "unfinished uploads go at another time",
            ),
            *changes(
                "LifecycleConfiguration/Rules/*/Transitions LifecycleConfiguration/Rules/*/Transition "
                "LifecycleConfiguration/Rules/*/NoncurrentVersionTransitions IntelligentTieringConfigurations",
                "limit-lowered",
                "objects move to another class, where reading costs or waits",
            ),
            *differs("NotificationConfiguration", "consumer-stopped", "what waits for new objects hears of none"),
            *comes("NotificationConfiguration", "destination-changed", "notifications of new objects are sent there"),
            *comes("ReplicationConfiguration", "destination-changed", "objects are copied there"),
            *comes("InventoryConfigurations", "destination-changed", "lists of objects are sent there"),
            *comes("AnalyticsConfigurations", "destination-changed", "figures are sent there"),
            *comes("LoggingConfiguration", "destination-changed", "the access log is sent there"),
            *differs("MetricsConfigurations", "logging-dropped", "it is not measured", LOW),
            *goes("AccelerateConfiguration", "route-removed", "its accelerated address answers no more"),
            *changes("WebsiteConfiguration", "interface-changed", "visitors get other pages"),
        ),
        harmless={
            "BucketEncryption/ServerSideEncryptionConfiguration/*/BucketKeyEnabled": (
                "how often S3 asks for a data key, under the same key and policy"
            ),
            "LifecycleConfiguration/Rules/*/Id": "a name for people; rules are compared by what they do",
        },
    ),
    "AWS::S3::BucketPolicy": Answers(
        removed="who may do what without it is a question of access",
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::SQS::Queue": Answers(
        removed=_OWN_FINDING,
        settings=(
            *comes("RedrivePolicy/deadLetterTargetArn", "destination-changed", "what fails is sent there"),
            *falls("RedrivePolicy/maxReceiveCount", "failures-dropped", "a message is given up sooner", LOW),
            *rises("RedrivePolicy/maxReceiveCount", "limit-lowered", "a message that fails comes more often"),
            *falls("VisibilityTimeout", "limit-lowered", "a message may be worked on twice", MEDIUM),
            *rises("VisibilityTimeout DelaySeconds", "limit-lowered", "a message waits longer"),
            *falls("MaximumMessageSize", "limit-lowered", "larger messages are refused", MEDIUM),
            *rises("MessageRetentionPeriod", "expiry-dropped", "messages are kept longer", INFO),
            *changes(
                "ContentBasedDeduplication DeduplicationScope FifoThroughputLimit",
                "interface-changed",
                "other messages count as the same",
            ),
            *changes("RedriveAllowPolicy", "failures-dropped", "other queues may send it what failed", LOW),
        ),
        harmless={
            "KmsDataKeyReusePeriodSeconds": "how often SQS asks for a data key, under the same key and policy",
            "ReceiveMessageWaitTimeSeconds": "how long a request waits; available messages are returned in either case",
        },
        no=_UNWATCHED,
    ),
    "AWS::SQS::QueuePolicy": Answers(
        removed="who may do what without it is a question of access",
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::SecretsManager::RotationSchedule": Answers(
        removed="its own check says what rotates no more",
        settings=(
            *goes("RotationLambdaARN HostedRotationLambda", "protection-dropped", "no code rotates it"),
            *comes("RotationLambdaARN HostedRotationLambda", "destination-changed", "other code gets the secret"),
            *changes("RotationRules/Duration", "protection-dropped", "it rotates within another window", LOW),
        ),
        harmless={"RotateImmediatelyOnUpdate": "it decides whether this update rotates once; the schedule stays"},
        no={**_UNWATCHED, Question.LOSES_SERVICE: "who reads the secret reads the newest value either way"},
    ),
    "AWS::SecretsManager::Secret": Answers(
        removed=_OWN_FINDING,
        settings=(
            *changes("GenerateSecretString", "value-regenerated", "CloudFormation writes a newly generated value"),
            *changes("SecretString", "value-regenerated", "CloudFormation writes another value"),
            *goes(
                "ReplicaRegions/*/Region ReplicaRegions/*", "backup-dropped", "the copy in the other region is deleted"
            ),
        ),
        no=_UNWATCHED,
    ),
}
"""By type."""
