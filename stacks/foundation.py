"""Resources that exist once per account and region."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import CfnWaitConditionHandle, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.assets import AssetStore
from slipway.blocks.expiry import SandboxExpiry
from slipway.blocks.outputs import output
from slipway.delivery.drift import DriftRole
from slipway.delivery.names import foundation_stack
from slipway.delivery.relay import EventRelay
from slipway.delivery.roles import ProtectionRole
from slipway.settings import Environment

PUSH_TO_LOGS = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"


class FoundationStack(Stack):
    """API Gateway's logging role, which can exist only once, and the pipeline's roles and relay.

    Args:
        scope: The stage.
        environment: Settings of the environment.
        services: Names of the services that are deployed there; the pipeline may protect their stacks.
        assets: The built assets; a sandbox that expires needs them.
    """

    def __init__(
        self, scope: Construct, *, environment: Environment, services: Sequence[str], assets: AssetStore | None = None
    ) -> None:
        super().__init__(
            scope,
            "Foundation",
            stack_name=foundation_stack(environment),
            description="Once per account and region: API Gateway's logging role, the relay of events",
            analytics_reporting=False,
        )
        if environment.leads:
            self._add_logging_role()
        if environment.sandbox is None:
            EventRelay(self, "Relay", environment=environment, services=services)
            ProtectionRole(self, "Protection", environment=environment, services=services)
            if environment.drift is not None:
                DriftRole(self, "Drift", environment=environment)
        elif environment.sandbox.expires is not None and assets is not None:
            SandboxExpiry(self, "Expiry", environment=environment, services=services, assets=assets)
        else:
            # CloudFormation accepts no template without a resource.
            CfnWaitConditionHandle(self, "Nothing")

    def _add_logging_role(self) -> None:
        role = iam.Role(
            self,
            "ApiGatewayLogging",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(PUSH_TO_LOGS)],
            description="Lets API Gateway write its access and execution logs",
        )
        accept(
            role,
            "AwsSolutions-IAM4",
            finding=f"Policy::arn:<AWS::Partition>:iam::aws:policy/{PUSH_TO_LOGS}",
            reason="API Gateway checks its account role for the actions of exactly this policy, over all log groups, "
            "and refuses a role that has fewer; no one but API Gateway can assume it.",
        )
        account = apigateway.CfnAccount(self, "ApiGatewayAccount", cloud_watch_role_arn=role.role_arn)
        account.node.add_dependency(role)
        output(self, "ApiGatewayLoggingRoleArn", role.role_arn, "Role with which API Gateway writes its logs")
