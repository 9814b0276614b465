"""DynamoDB tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.removal import removal_policy
from slipway.settings import Capacity
from slipway.settings.model import Place, Provisioned


@dataclass(frozen=True, kw_only=True)
class Index:
    """A global secondary index over string attributes.

    `attributes` are projected besides the keys. Default: every attribute.
    """

    name: str
    partition_key: str
    sort_key: str
    attributes: tuple[str, ...] | None = None


class ServiceTable(dynamodb.Table):
    """An encrypted table with point-in-time recovery, protected as the environment's settings require.

    `Table`, not `TableV2`: CDK's `TableV2` gives its scaling no cooldowns, and we set them.

    Args:
        scope: The data stack.
        construct_id: Id in it.
        environment: Settings; `stateful` applies.
        key: The service's key.
        capacity: On demand, or provisioned with auto scaling on the table and on every index.
        partition_key: Name of the string attribute that is the partition key.
        indexes: Global secondary indexes. A provisioned index scales too: otherwise it would throttle the table's
            writes.
        ttl_attribute: Attribute with the expiry, Unix time in seconds. Default: items do not expire.
        no_backup_because: For a table without a backup plan, the reason. Default: a plan includes it, if
            the environment has backups.
        stream: True if changes are streamed, with new and old images. Default: True.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Place,
        key: kms.IKey,
        capacity: Capacity,
        partition_key: str,
        indexes: Sequence[Index] = (),
        ttl_attribute: str | None = None,
        no_backup_because: str | None = None,
        stream: bool = True,
    ) -> None:
        provisioned = capacity if isinstance(capacity, Provisioned) else None
        super().__init__(
            scope,
            construct_id,
            partition_key=_string(partition_key),
            billing_mode=dynamodb.BillingMode.PROVISIONED if provisioned else dynamodb.BillingMode.PAY_PER_REQUEST,
            read_capacity=provisioned.read if provisioned else None,
            write_capacity=provisioned.write if provisioned else None,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if stream else None,
            time_to_live_attribute=ttl_attribute,
            deletion_protection=environment.stateful.deletion_protection,
            removal_policy=removal_policy(environment, deletable=not environment.stateful.deletion_protection),
        )
        for index in indexes:
            self.add_global_secondary_index(
                index_name=index.name,
                partition_key=_string(index.partition_key),
                sort_key=_string(index.sort_key),
                projection_type=_projection(index.attributes),
                non_key_attributes=list(index.attributes) if index.attributes else None,
                read_capacity=provisioned.index_read if provisioned else None,
                write_capacity=provisioned.index_write if provisioned else None,
            )
        if provisioned:
            self._scale(provisioned, indexes)
        if no_backup_because:
            accept(
                self,
                "NIST.800.53.R5-DynamoDBInBackupPlan",
                "HIPAA.Security-DynamoDBInBackupPlan",
                reason=no_backup_because,
            )

    def _scale(self, capacity: Provisioned, indexes: Sequence[Index]) -> None:
        targets = [
            self.auto_scale_read_capacity(min_capacity=capacity.read, max_capacity=capacity.maximum),
            self.auto_scale_write_capacity(min_capacity=capacity.write, max_capacity=capacity.maximum),
        ]
        for index in indexes:
            targets += [
                self.auto_scale_global_secondary_index_read_capacity(
                    index.name, min_capacity=capacity.index_read, max_capacity=capacity.maximum
                ),
                self.auto_scale_global_secondary_index_write_capacity(
                    index.name, min_capacity=capacity.index_write, max_capacity=capacity.maximum
                ),
            ]
        cooldown = Duration.seconds(capacity.cooldown_seconds)
        for target in targets:
            target.scale_on_utilization(
                target_utilization_percent=capacity.target_utilization_percent,
                scale_in_cooldown=cooldown,
                scale_out_cooldown=cooldown,
            )


def _projection(attributes: Sequence[str] | None) -> dynamodb.ProjectionType:
    if attributes is None:
        return dynamodb.ProjectionType.ALL
    return dynamodb.ProjectionType.INCLUDE if attributes else dynamodb.ProjectionType.KEYS_ONLY


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
