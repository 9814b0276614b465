"""Queues and topics."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from slipway.blocks.acknowledgements import accept

DATA_KEY_REUSE = Duration.minutes(5)
"""Time that SQS reuses a data key: SQS's own default, and one KMS call in five minutes instead of one per message."""

DEAD_LETTERS_STAY = Duration.days(14)
"""Maximum retention of SQS, which leaves time for a person to investigate."""


class DeadLetterQueue(sqs.Queue):
    """An encrypted, TLS-only queue for work that has failed for good.

    Args:
        scope: The stack of the functions that fail into it.
        construct_id: Id in it.
        key: The service's key.
        of_a_queue: True if a queue's redrive policy sends to it: then the rule packs recognise a dead-letter queue.
            False if only functions or subscriptions do. Default: False.
        keep: Retention. Default: fourteen days, the longest that SQS keeps a message.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey,
        of_a_queue: bool = False,
        keep: Duration = DEAD_LETTERS_STAY,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            data_key_reuse=DATA_KEY_REUSE,
            enforce_ssl=True,
            retention_period=keep,
        )
        accept(
            self,
            "Serverless-SQSRedrivePolicy",
            *(() if of_a_queue else ("AwsSolutions-SQS3",)),
            reason="This queue is the dead-letter queue: a second one behind it would hide what failed.",
        )


class EventTopic(sns.Topic):
    """An encrypted FIFO topic: messages of one group stay in order, and duplicates within five minutes are dropped.

    Args:
        scope: The stack of the functions that publish.
        construct_id: Id in it.
        key: The service's key.
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey) -> None:
        super().__init__(
            scope,
            construct_id,
            fifo=True,
            content_based_deduplication=False,
            fifo_throughput_scope=sns.FifoThroughputScope.MESSAGE_GROUP,
            master_key=key,
            enforce_ssl=True,
        )


class NotificationTopic(sns.Topic):
    """An encrypted topic with the configured addresses subscribed, for publishers with their own roles.

    Args:
        scope: The stack.
        construct_id: Id in it.
        key: The service's key.
        emails: Recipients.
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey, emails: Sequence[str]) -> None:
        super().__init__(scope, construct_id, master_key=key, enforce_ssl=True)
        undelivered = DeadLetterQueue(self, "Undelivered", key=key)
        for email in emails:
            self.add_subscription(subscriptions.EmailSubscription(email, dead_letter_queue=undelivered))


class AlarmTopic(NotificationTopic):
    """The topic that alarms notify.

    Args:
        scope: The observability stack.
        construct_id: Id in it.
        key: The service's key; its policy lets CloudWatch use it.
        emails: Recipients.
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey, emails: Sequence[str]) -> None:
        super().__init__(scope, construct_id, key=key, emails=emails)
        # A topic policy replaces the default one, under which the account's own services may publish. Without this
        # statement an alarm's action fails, which only the alarm's history shows:
        # https://repost.aws/knowledge-center/cloudwatch-receive-sns-for-alarm-trigger
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
        stack = Stack.of(self)
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="CloudWatchAlarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(
                            service="cloudwatch",
                            resource="alarm",
                            resource_name="*",
                            arn_format=ArnFormat.COLON_RESOURCE_NAME,
                        )
                    },
                },
            )
        )
