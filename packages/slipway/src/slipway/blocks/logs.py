"""Log groups."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from slipway.blocks.removal import removal_policy
from slipway.settings.model import Place

RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    120: logs.RetentionDays.FOUR_MONTHS,
    150: logs.RetentionDays.FIVE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    400: logs.RetentionDays.THIRTEEN_MONTHS,
    545: logs.RetentionDays.EIGHTEEN_MONTHS,
    731: logs.RetentionDays.TWO_YEARS,
    1096: logs.RetentionDays.THREE_YEARS,
    1827: logs.RetentionDays.FIVE_YEARS,
    2192: logs.RetentionDays.SIX_YEARS,
    2557: logs.RetentionDays.SEVEN_YEARS,
    2922: logs.RetentionDays.EIGHT_YEARS,
    3288: logs.RetentionDays.NINE_YEARS,
    3653: logs.RetentionDays.TEN_YEARS,
}
"""CDK's names for the periods that CloudWatch Logs accepts, by days."""


class ServiceLogGroup(logs.LogGroup):
    """An encrypted log group with the environment's retention.

    Args:
        scope: The construct that writes to it.
        construct_id: Id in it.
        environment: Settings; `logs.retention_days` and `stateful.removal_policy` apply.
        key: The service's key; its policy lets CloudWatch Logs use it. None: CloudWatch's own key, if the service's key
            is in another region.
        name: Physical name, only if AWS dictates it. It must differ each time the stack is created, since a
            stack that is deleted may leave the group behind. Default: CloudFormation names it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Place,
        key: kms.IKey | None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            log_group_name=name,
            encryption_key=key,
            retention=RETENTION[environment.logs.retention_days],
            removal_policy=removal_policy(environment),
        )
