"""Roles of an environment that only the pipeline's own steps assume."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.delivery.names import (
    DESCRIBED_STACKS,
    PROTECTED_STACKS,
    attack_step_role,
    experiment_step_role,
    foundation_stack,
    performance_step_role,
    protection_role,
    protection_step_role,
    verification_role,
    verification_step_role,
)
from slipway.nag.acknowledge import resource_finding
from slipway.settings import Environment


class StepRole(iam.Role):
    """A role that builds of the pipeline may assume.

    It has a name, because the build's role in another account refers to it. The trust policy names the tools account as
    the principal and the build's role in a condition, since a principal must already exist.

    Args:
        scope: A stack of the environment.
        construct_id: Id in it.
        environment: Settings of the environment.
        name: The role's name.
        step_roles: Names of the builds' roles in the tools account.
        description: Its purpose.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        name: str,
        step_roles: Sequence[str],
        description: str,
    ) -> None:
        stack = Stack.of(scope)
        builds = [
            stack.format_arn(
                service="iam",
                region="",
                account=environment.tools_account,
                resource="role",
                resource_name=step_role,
            )
            for step_role in step_roles
        ]
        super().__init__(
            scope,
            construct_id,
            role_name=name,
            description=description,
            assumed_by=iam.PrincipalWithConditions(
                iam.AccountPrincipal(environment.tools_account),
                {"ArnEquals": {"aws:PrincipalArn": builds[0] if len(builds) == 1 else builds}},
            ),
        )
        self._policy = iam.ManagedPolicy(self, "Policy", roles=[self], description=description)

    def allow(self, *, actions: Sequence[str], resources: Sequence[str]) -> None:
        """Let the role perform exactly `actions` on exactly `resources`."""
        self._policy.add_statements(iam.PolicyStatement(actions=list(actions), resources=list(resources)))

    def allow_pattern(self, *, actions: Sequence[str], resources: Sequence[str], reason: str) -> None:
        """Let the role perform `actions` on resources to whose names AWS appends an id.

        Args:
            actions: IAM actions.
            resources: ARNs that end in a wildcard.
            reason: Why they cannot be named, and why that is safe.
        """
        if not resources:
            return
        self.allow(actions=actions, resources=resources)
        findings = [resource_finding(self, resource) for resource in resources]
        accept(self._policy, "AwsSolutions-IAM5", finding=findings, reason=reason)


class VerificationRole(StepRole):
    """The permissions of a service's tests: reading its stacks' outputs, and any that `allow` adds.

    Args:
        scope: The service's compute stack.
        construct_id: Id in it.
        service: The service's name.
        environment: Settings of the environment.
    """

    def __init__(self, scope: Construct, construct_id: str, *, service: str, environment: Environment) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            name=verification_role(environment, service),
            step_roles=[
                verification_step_role(environment),
                # These steps call the service as the tests do.
                *([attack_step_role(environment)] if environment.attack else []),
                *([performance_step_role(environment)] if environment.performance else []),
                *([experiment_step_role(environment)] if environment.resilience else []),
            ],
            description=f"Runs the tests of {service} after a deployment",
        )
        self.allow_pattern(
            actions=["cloudformation:DescribeStacks"],
            resources=[
                stack_arn(scope, name)
                for name in (
                    foundation_stack(environment),
                    *(f"{environment.name}-{service}-{stack}" for stack in DESCRIBED_STACKS),
                )
            ],
            reason="The last part of a stack's ARN is an id that CloudFormation generates; the stack's name is exact.",
        )

    def allow_routes(self, routes: Sequence[str]) -> None:
        """Let the tests call the signed routes of an API.

        Args:
            routes: Their ARNs; path parameters are wildcards.
        """
        exact = [route for route in routes if not route.endswith("*")]
        if exact:
            self.allow(actions=["execute-api:Invoke"], resources=exact)
        self.allow_pattern(
            actions=["execute-api:Invoke"],
            resources=[route for route in routes if route.endswith("*")],
            reason="The last part of the path is the id of what the tests create; the rest is exact.",
        )


class ProtectionRole(StepRole):
    """Role that sets termination protection and stack policies on the stateful stacks, and reads them back.

    Args:
        scope: The foundation stack.
        construct_id: Id in it.
        environment: Settings of the environment.
        services: Names of the services deployed there.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, services: Sequence[str]
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            environment=environment,
            name=protection_role(environment),
            step_roles=[protection_step_role(environment)],
            description="Sets termination protection and stack policies",
        )
        self.allow_pattern(
            actions=[
                "cloudformation:DescribeStacks",
                "cloudformation:GetStackPolicy",
                "cloudformation:SetStackPolicy",
                "cloudformation:UpdateTerminationProtection",
            ],
            resources=[
                stack_arn(scope, f"{environment.name}-{service}-{name}")
                for service in services
                for name in PROTECTED_STACKS
            ],
            reason="The last part of a stack's ARN is an id that CloudFormation generates; the stack's name is exact.",
        )


def stack_arn(scope: Construct, name: str) -> str:
    """Return the ARN of a stack by its name, with a wildcard for its id."""
    return Stack.of(scope).format_arn(service="cloudformation", resource="stack", resource_name=f"{name}/*")
