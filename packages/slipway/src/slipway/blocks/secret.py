"""Secrets."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.function import ServiceFunction
from slipway.blocks.removal import removal_policy
from slipway.settings.model import Place

LENGTH = 64
"""Length of a generated value: letters and digits, so more than 380 bits of entropy."""

NO_ROTATION = (
    "AwsSolutions-SMG4",
    "NIST.800.53.R5-SecretsManagerRotationEnabled",
    "HIPAA.Security-SecretsManagerRotationEnabled",
)
"""Rules that require rotation of every secret."""


class ServiceSecret(secretsmanager.Secret):
    """A secret that Secrets Manager generates under the service's key; no person sees it.

    Args:
        scope: The security stack.
        construct_id: Id in it.
        description: Its purpose.
        environment: Settings; `stateful.removal_policy` and `secret_rotation_days` apply.
        key: The service's key.
        field: Name of the generated field in the secret's JSON.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        description: str,
        environment: Place,
        key: kms.IKey,
        field: str,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=description,
            encryption_key=key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template="{}",  # noqa: S106  # nosec B106  # empty: Secrets Manager fills it
                generate_string_key=field,
                exclude_punctuation=True,
                password_length=LENGTH,
            ),
            removal_policy=removal_policy(environment),
        )
        self._rotation_days = environment.secret_rotation_days

    def rotate_with(self, function: ServiceFunction) -> None:
        """Have `function` rotate the secret every `secret_rotation_days`.

        Secrets Manager invokes the function itself, with permission for this account, as AWS documents; the
        documentation mentions neither aliases nor a condition on the secret's ARN
        (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets-required-permissions-function.html).

        The statements are written here instead of by CDK's grants, which include wildcard actions on the key.

        Args:
            function: One that handles Secrets Manager's four steps.
        """
        function.allow(
            actions=[
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:UpdateSecretVersionStage",
            ],
            resources=[self.secret_arn],
        )
        function.allow(actions=["secretsmanager:PutSecretValue"], resources=[self.secret_arn])
        function.allow_without_resource_level(
            actions=["secretsmanager:GetRandomPassword"],
            reason="GetRandomPassword returns a random value and has no resource that a policy could name.",
        )
        function.allow_data_keys()
        permission = lambda_.CfnPermission(
            self,
            "MayRotate",
            principal="secretsmanager.amazonaws.com",
            action="lambda:InvokeFunction",
            function_name=function.function.function_arn,
            source_account=Stack.of(self).account,
        )
        schedule = secretsmanager.CfnRotationSchedule(
            self,
            "Rotation",
            secret_id=self.secret_arn,
            rotation_lambda_arn=function.function.function_arn,
            rotation_rules=secretsmanager.CfnRotationSchedule.RotationRulesProperty(
                automatically_after_days=self._rotation_days
            ),
        )
        # Secrets Manager rotates immediately when the schedule is created.
        schedule.node.add_dependency(function, permission)

    def does_not_rotate(self, *, reason: str) -> None:
        """Acknowledge that no function rotates this secret, and why.

        Args:
            reason: Why that is safe here.
        """
        accept(self, *NO_ROTATION, reason=reason)
