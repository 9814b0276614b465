"""Users who sign in: a Cognito user pool, its client, and a user for tests."""

from __future__ import annotations

import json

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.assets import AssetStore
from slipway.blocks.function import ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import DeadLetterQueue
from slipway.blocks.removal import removal_policy
from slipway.blocks.secret import NO_ROTATION
from slipway.settings import Environment, FunctionSettings
from slipway.settings.model import UserPool

TEMPORARY_PASSWORD_DAYS = Duration.days(3)
TOKEN_VALIDITY = Duration.hours(1)
REFRESH_VALIDITY = Duration.days(30)

PASSWORD_LENGTH = 64
"""Characters of the test user's password; Cognito takes up to 256."""

FUNCTION = FunctionSettings(memory_mb=256, timeout_seconds=30)
"""Size of the function that creates the test user: three short calls per deployment."""


class ServiceUserPool(cognito.UserPool):
    """A user pool with a single client.

    People sign in with a user name or with their verified e-mail address. A pool with the e-mail alias rejects user
    names that look like e-mail addresses. The client has no secret, since a browser could not keep one; it signs in
    with SRP, and by sending the password if that is configured; it has no OAuth flows and no hosted page.

    Args:
        scope: The security stack.
        construct_id: Id in it.
        environment: Settings; `stateful` applies.
        settings: Settings of the user pool in this environment.
    """

    def __init__(self, scope: Construct, construct_id: str, *, environment: Environment, settings: UserPool) -> None:
        super().__init__(
            scope,
            construct_id,
            sign_in_aliases=cognito.SignInAliases(username=True, email=True),
            sign_in_case_sensitive=False,
            self_sign_up_enabled=settings.self_sign_up,
            auto_verify=cognito.AutoVerifiedAttrs(email=True),
            # A new address counts once it is verified; until then the old one does.
            keep_original=cognito.KeepOriginalAttrs(email=True),
            standard_attributes=cognito.StandardAttributes(
                email=cognito.StandardAttribute(required=True, mutable=True)
            ),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            password_policy=_password_policy(settings),
            # An authenticator app for users who want one. No text messages: they cost money, and are the weaker factor.
            mfa=cognito.Mfa.OPTIONAL,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            # Threat protection is available only in the Plus plan.
            feature_plan=cognito.FeaturePlan.PLUS if settings.threat_protection else cognito.FeaturePlan.ESSENTIALS,
            standard_threat_protection_mode=cognito.StandardThreatProtectionMode.FULL_FUNCTION
            if settings.threat_protection
            else None,
            deletion_protection=environment.stateful.deletion_protection,
            removal_policy=removal_policy(environment, deletable=not environment.stateful.deletion_protection),
        )
        self.client = self._client(settings)
        self._acknowledge(settings)

    def _client(self, settings: UserPool) -> cognito.UserPoolClient:
        return self.add_client(
            "Client",
            generate_secret=False,
            auth_flows=cognito.AuthFlow(user_srp=True, user_password=settings.password_flow),
            # CDK's default leaves the implicit and code grants on, with a redirect to https://example.com.
            disable_o_auth=True,
            supported_identity_providers=[cognito.UserPoolClientIdentityProvider.COGNITO],
            prevent_user_existence_errors=True,
            enable_token_revocation=True,
            access_token_validity=TOKEN_VALIDITY,
            id_token_validity=TOKEN_VALIDITY,
            refresh_token_validity=REFRESH_VALIDITY,
            read_attributes=cognito.ClientAttributes().with_standard_attributes(email=True, email_verified=True),
            write_attributes=cognito.ClientAttributes().with_standard_attributes(email=True),
        )

    def _acknowledge(self, settings: UserPool) -> None:
        accept(
            self,
            "AwsSolutions-COG2",
            reason="A second factor is each user's own choice: the service only holds data that its users send it, "
            "and threat protection judges sign-ins where real users are.",
        )
        if not settings.threat_protection:
            accept(
                self,
                "AwsSolutions-COG8",
                reason="Threat protection is off by configuration outside prod: the pool holds the team's own test "
                "users, and the Plus plan that it needs is charged per user.",
            )


def _password_policy(settings: UserPool) -> cognito.PasswordPolicy:
    return cognito.PasswordPolicy(
        min_length=settings.password_minimum_length,
        require_digits=True,
        require_lowercase=True,
        require_symbols=True,
        require_uppercase=True,
        temp_password_validity=TEMPORARY_PASSWORD_DAYS,
    )


class TestUser(Construct):
    """A user for tests, whose password the deployment generates into a secret.

    Secrets Manager generates the password; a function reads and sets it, so that it appears in no template, event or
    log. If the pool or the secret is replaced, the user is updated too.

    Args:
        scope: The security stack.
        construct_id: Id in it.
        service: The service's name.
        environment: Settings of the environment.
        assets: The built assets.
        key: The service's key.
        pool: The user's pool.
        handler: The function that answers CloudFormation's requests for `Custom::TestUser`.
    """

    # Otherwise pytest would take the class for a test.
    __test__ = False

    NAME = "test-user"
    EMAIL = "test-user@example.com"

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        environment: Environment,
        assets: AssetStore,
        key: ServiceKey,
        pool: ServiceUserPool,
        handler: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.secret = self._generated_secret(environment, key)
        self.function = ServiceFunction(
            self,
            "Function",
            service=service,
            environment=environment,
            settings=FUNCTION,
            assets=assets,
            key=key,
            handler=handler,
            description="Creates the test user for CloudFormation",
            dead_letters=DeadLetterQueue(self, "DeadLetters", key=key),
            # CloudFormation sends its requests as asynchronous invocations.
            asynchronous=True,
        )
        self.function.allow(actions=["secretsmanager:GetSecretValue"], resources=[self.secret.secret_arn])
        self.function.allow(
            actions=["cognito-idp:AdminCreateUser", "cognito-idp:AdminDeleteUser", "cognito-idp:AdminSetUserPassword"],
            resources=[pool.user_pool_arn],
        )
        user = CustomResource(
            self,
            "User",
            resource_type="Custom::TestUser",
            service_token=self.function.live.function_arn,
            service_timeout=Duration.minutes(5),
            properties={"UserPoolId": pool.user_pool_id, "SecretArn": self.secret.secret_arn},
        )
        user.node.add_dependency(self.function, pool)

    def _generated_secret(self, environment: Environment, key: ServiceKey) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            "Secret",
            description="User name and password of the test user",
            encryption_key=key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps({"username": self.NAME, "email": self.EMAIL}),
                generate_string_key="password",
                password_length=PASSWORD_LENGTH,
                # The password policy requires every kind of character.
                require_each_included_type=True,
            ),
            removal_policy=removal_policy(environment),
        )
        accept(
            secret,
            *NO_ROTATION,
            reason="The user is for tests in dev and only sees data that tests created; replacing the secret, and "
            "with it the password, takes one deployment.",
        )
        return secret
