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

_UNWATCHED = {Question.LOSES_WATCH: "no monitoring depends on it"}
_HOLDS_NOTHING = {Question.LOSES_DATA: "it holds no data"}
_SERVES_NOBODY = {Question.LOSES_SERVICE: "it serves no requests"}
_OWN_FINDING = "the loss is a separate finding"

ANSWERS: Final[Mapping[str, Answers]] = {
    "AWS::Backup::BackupPlan": Answers(
        removed="its own check reports what is no longer backed up",
        settings=(
            *changes("BackupPlan/BackupPlanRule/*/TargetBackupVault", "destination-changed", "backups go elsewhere"),
            *differs(
                "BackupPlan/BackupPlanRule/*/CopyActions",
                "backup-dropped",
                "copies go to a different destination, or are not made",
            ),
            *differs("BackupPlan/AdvancedBackupSettings", "backup-dropped", "backups contain something different"),
            *changes(
                "BackupPlan/BackupPlanRule/*/StartWindowMinutes BackupPlan/BackupPlanRule/*/CompletionWindowMinutes",
                "backup-dropped",
                "the time windows of backups change",
                LOW,
            ),
            *off(
                "BackupPlan/BackupPlanRule/*/EnableContinuousBackup",
                "backup-dropped",
                "continuous backups are not kept",
            ),
        ),
        harmless={
            "BackupPlan/BackupPlanName": "a display name",
            "BackupPlanTags": "a label",
        },
        no={**_UNWATCHED, **_SERVES_NOBODY},
    ),
    "AWS::Backup::BackupSelection": Answers(
        removed="its own check reports what is no longer backed up",
        settings=changes("BackupPlanId", "backup-dropped", "a different plan determines schedule and retention"),
        harmless={"BackupSelection/SelectionName": "a display name"},
        no={**_UNWATCHED, **_SERVES_NOBODY},
    ),
    "AWS::Backup::BackupVault": Answers(
        removed=_OWN_FINDING,
        settings=(
            *goes("Notifications", "subscriber-removed", "nobody is notified of failed backups"),
            *comes("Notifications", "subscriber-removed", "different people are notified of backups", INFO),
        ),
        harmless={"BackupVaultTags": "a label"},
        no=_SERVES_NOBODY,
    ),
    "AWS::DynamoDB::Table": Answers(
        removed=_OWN_FINDING,
        settings=(
            *changes("BillingMode", "limit-lowered", "scaling and limits change", MEDIUM),
            *falls(
                "ProvisionedThroughput/ReadCapacityUnits ProvisionedThroughput/WriteCapacityUnits "
                "GlobalSecondaryIndexes/*/ProvisionedThroughput/ReadCapacityUnits "
                "GlobalSecondaryIndexes/*/ProvisionedThroughput/WriteCapacityUnits",
                "limit-lowered",
                "requests are throttled sooner",
            ),
            *changes("OnDemandThroughput WarmThroughput", "limit-lowered", "requests are throttled sooner or later"),
            *differs(
                "StreamSpecification", "consumer-stopped", "readers of the stream get something different, or nothing"
            ),
            *differs("KinesisStreamSpecification", "consumer-stopped", "readers of the stream get nothing"),
            *comes("KinesisStreamSpecification", "destination-changed", "changes are sent there"),
            *off("TimeToLiveSpecification/Enabled", "expiry-dropped", "items that should expire are kept"),
            *off("ContributorInsightsSpecification/Enabled", "logging-dropped", "hot keys are not shown", LOW),
            *changes("TableClass", "limit-lowered", "cost and limits change"),
        ),
        harmless={
            "SSESpecification/SSEType": "KMS is the only value",
            "AttributeDefinitions/*/AttributeName": "the type of a key; keys and indexes are compared separately",
            "GlobalSecondaryIndexes/*/WarmThroughput": "it is only the initial size of an index, not a limit",
        },
    ),
    "AWS::KMS::Alias": Answers(
        removed=Removal("key-changed", "users of the alias get an error", HIGH),
        settings=changes("TargetKeyId AliasName", "key-changed", "users of the alias get a different key", HIGH),
        no={
            **_UNWATCHED,
            Question.GETS_DATA: "the key's policy decides who may use it",
            Question.LOSES_SERVICE: "with another key, data encrypted under the old one becomes unreadable",
        },
    ),
    "AWS::KMS::Key": Answers(
        removed=_OWN_FINDING,
        settings=(
            *off("Enabled", "key-disabled", "everything encrypted with it becomes unreadable"),
            *rises("RotationPeriodInDays", "encryption-dropped", "its key material is used longer", LOW),
            *on("BypassPolicyLockoutSafetyCheck", "key-policy-widened", "a policy may lock everybody out", MEDIUM),
        ),
        no=_UNWATCHED,
    ),
    "AWS::Logs::LogGroup": Answers(
        removed=_OWN_FINDING,
        settings=(
            *goes("RetentionInDays", "expiry-dropped", "logs are kept for ever"),
            *rises("RetentionInDays", "expiry-dropped", "logs are kept longer", INFO),
            *changes("LogGroupClass FieldIndexPolicies", "logging-dropped", "fewer queries are possible", LOW),
            *differs("DataProtectionPolicy", "encryption-dropped", "masked data becomes readable"),
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
                "data that should be deleted is kept",
            ),
            *changes(
                "LifecycleConfiguration/Rules/*/AbortIncompleteMultipartUpload",
                "limit-lowered",
                "unfinished uploads are deleted at a different time",
            ),
            *changes(
                "LifecycleConfiguration/Rules/*/Transitions LifecycleConfiguration/Rules/*/Transition "
                "LifecycleConfiguration/Rules/*/NoncurrentVersionTransitions IntelligentTieringConfigurations",
                "limit-lowered",
                "objects move to a different class, where reading costs money or takes time",
            ),
            *differs(
                "NotificationConfiguration", "consumer-stopped", "recipients are no longer notified of new objects"
            ),
            *comes("NotificationConfiguration", "destination-changed", "notifications of new objects are sent there"),
            *comes("ReplicationConfiguration", "destination-changed", "objects are copied there"),
            *comes("InventoryConfigurations", "destination-changed", "lists of objects are sent there"),
            *comes("AnalyticsConfigurations", "destination-changed", "metrics are sent there"),
            *comes("LoggingConfiguration", "destination-changed", "the access log is sent there"),
            *differs("MetricsConfigurations", "logging-dropped", "it has no metrics", LOW),
            *goes("AccelerateConfiguration", "route-removed", "its accelerated address no longer answers"),
            *changes("WebsiteConfiguration", "interface-changed", "visitors get different pages"),
        ),
        harmless={
            "BucketEncryption/ServerSideEncryptionConfiguration/*/BucketKeyEnabled": (
                "it only changes how often S3 requests a data key"
            ),
            "LifecycleConfiguration/Rules/*/Id": "a display name; rules are compared by their effect",
        },
    ),
    "AWS::S3::BucketPolicy": Answers(
        removed="lost permissions are compared as access",
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::SQS::Queue": Answers(
        removed=_OWN_FINDING,
        settings=(
            *comes("RedrivePolicy/deadLetterTargetArn", "destination-changed", "failed messages are sent there"),
            *falls(
                "RedrivePolicy/maxReceiveCount", "failures-dropped", "messages move to the dead letters sooner", LOW
            ),
            *rises("RedrivePolicy/maxReceiveCount", "limit-lowered", "failed messages are retried more often"),
            *falls("VisibilityTimeout", "limit-lowered", "messages may be processed twice", MEDIUM),
            *rises("VisibilityTimeout DelaySeconds", "limit-lowered", "messages wait longer"),
            *falls("MaximumMessageSize", "limit-lowered", "larger messages are refused", MEDIUM),
            *rises("MessageRetentionPeriod", "expiry-dropped", "messages are kept longer", INFO),
            *changes(
                "ContentBasedDeduplication DeduplicationScope FifoThroughputLimit",
                "interface-changed",
                "different messages count as duplicates",
            ),
            *changes("RedriveAllowPolicy", "failures-dropped", "other queues may use it for failed messages", LOW),
        ),
        harmless={
            "KmsDataKeyReusePeriodSeconds": "it only changes how often SQS requests a data key",
            "ReceiveMessageWaitTimeSeconds": "it only changes how long a request waits for messages",
        },
        no=_UNWATCHED,
    ),
    "AWS::SQS::QueuePolicy": Answers(
        removed="lost permissions are compared as access",
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::SecretsManager::RotationSchedule": Answers(
        removed="its own check reports what no longer rotates",
        settings=(
            *goes("RotationLambdaARN HostedRotationLambda", "protection-dropped", "no code rotates it"),
            *comes(
                "RotationLambdaARN HostedRotationLambda", "destination-changed", "different code receives the secret"
            ),
            *changes("RotationRules/Duration", "protection-dropped", "it rotates in a different window", LOW),
        ),
        harmless={
            "RotateImmediatelyOnUpdate": "it only decides if this update rotates once; the schedule stays the same"
        },
        no={**_UNWATCHED, Question.LOSES_SERVICE: "readers get the newest value in either case"},
    ),
    "AWS::SecretsManager::Secret": Answers(
        removed=_OWN_FINDING,
        settings=(
            *changes("GenerateSecretString", "value-regenerated", "CloudFormation writes a newly generated value"),
            *changes("SecretString", "value-regenerated", "CloudFormation writes a different value"),
            *goes(
                "ReplicaRegions/*/Region ReplicaRegions/*", "backup-dropped", "the copy in the other region is deleted"
            ),
        ),
        no=_UNWATCHED,
    ),
}
"""Answers by type."""
