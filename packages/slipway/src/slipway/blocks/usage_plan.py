"""API keys of a REST API, with their rate and quota."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from slipway.blocks.rest import RestEntry
from slipway.settings.model import UsagePlan


class KeyedUsagePlan(Construct):
    """A usage plan on the stage of an API, and a first key in it.

    API Gateway generates the key's value: it is in no template, and a principal with `apigateway:GET` on the key can
    read it.

    Args:
        scope: The compute stack.
        construct_id: Id in it.
        entry: The API; its routes with `keyed=True` ask for a key.
        settings: Rate, burst and quota of each key.
        description: One line, shown in the console.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, entry: RestEntry, settings: UsagePlan, description: str
    ) -> None:
        super().__init__(scope, construct_id)
        self.key = apigateway.ApiKey(self, "Key", description=description)
        """The first key."""
        plan = apigateway.UsagePlan(
            self,
            "Plan",
            description=description,
            throttle=apigateway.ThrottleSettings(rate_limit=settings.rate, burst_limit=settings.burst),
            quota=apigateway.QuotaSettings(limit=settings.quota_per_day, period=apigateway.Period.DAY),
            api_stages=[apigateway.UsagePlanPerApiStage(api=entry.api, stage=entry.api.deployment_stage)],
        )
        # CDK would name it after the path of the key, which contains the environment.
        plan.add_api_key(self.key, override_logical_id="UsagePlanKey")
        self.plan_id = plan.usage_plan_id
        """Id of the plan, for further keys."""

    @property
    def key_arn(self) -> str:
        """Return the ARN with which IAM lets a principal read the key's value (`apigateway:GET`)."""
        return Stack.of(self).format_arn(
            service="apigateway", account="", resource="/apikeys", resource_name=self.key.key_id
        )
