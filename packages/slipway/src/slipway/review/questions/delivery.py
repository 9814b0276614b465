"""Answers of the delivery, and of identities and permissions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from slipway.review.questions.model import (
    HIGH,
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
    on,
    rises,
)

_HOLDS_NOTHING = {Question.LOSES_DATA: "it holds no data"}
_SERVES_NOBODY = {Question.LOSES_SERVICE: "it serves no requests; the shift of versions counts as monitoring"}
_UNWATCHED = {Question.LOSES_WATCH: "no monitoring depends on it"}
_NO_REACH = {Question.GETS_DATA: "it grants no access and sends no data"}
_ACCESS = "lost permissions are compared as access"

ANSWERS: Final[Mapping[str, Answers]] = {
    "AWS::CloudFormation::WaitConditionHandle": Answers(
        removed="it is only an address for signals during a deployment",
        no=dict.fromkeys(Question, "nothing uses it after the deployment"),
    ),
    "AWS::CloudFormation::Stack": Answers(
        removed="its contents are compared resource by resource",
        settings=goes("NotificationARNs/*", "subscriber-removed", "nobody is notified of its deployments"),
        harmless={
            "Parameters": "their effect within the stack is compared there",
            "TemplateURL": "the template is compared resource by resource",
            "TimeoutInMinutes": "it only limits how long CloudFormation waits",
        },
        no=dict.fromkeys(
            (Question.LOSES_DATA, Question.GETS_DATA, Question.LOSES_SERVICE),
            "the stack is compared resource by resource",
        ),
    ),
    "AWS::CodeBuild::Project": Answers(
        removed=Removal("stage-removed", "the build's work is no longer done", MEDIUM),
        settings=(
            *changes(
                "Source/Type Source/Location SecondarySources SourceVersion",
                "source-changed",
                "it builds a different source",
            ),
            *changes(
                "Artifacts Cache Environment/ComputeType Environment/Type Environment/ImagePullCredentialsType "
                "FileSystemLocations SecondaryArtifacts Triggers",
                "build-changed",
                "it builds differently, or from leftovers of other builds",
                LOW,
            ),
            *changes("VpcConfig", "network-opened", "the build reaches another network", MEDIUM),
            *changes("LogsConfig/CloudWatchLogs/GroupName", "logging-dropped", "it logs elsewhere", LOW),
            *changes("LogsConfig/CloudWatchLogs/Status", "logging-dropped", "it starts or stops logging"),
            *changes("LogsConfig/S3Logs", "destination-changed", "its log is sent to a different destination"),
            *changes("Visibility", "public-access", "others may read its builds"),
            *falls(
                "TimeoutInMinutes QueuedTimeoutInMinutes ConcurrentBuildLimit", "limit-lowered", "builds are cut off"
            ),
        ),
    ),
    "AWS::AppConfig::Application": Answers(
        removed=Removal("interface-changed", "functions find no flags, so every flag is off"),
        settings=changes("Name", "interface-changed", "functions that use its name find no flags any more"),
        no={**_HOLDS_NOTHING, **_NO_REACH, **_UNWATCHED},
    ),
    "AWS::AppConfig::ConfigurationProfile": Answers(
        removed=Removal("interface-changed", "functions find no flags, so every flag is off"),
        settings=(
            *changes(
                "ApplicationId LocationUri Name Type RetrievalRoleArn",
                "interface-changed",
                "functions get their flags from a different source, or find none",
            ),
            *changes("KmsKeyIdentifier", "key-changed", "readers of the flags need a different key"),
            *changes("Validators", "limit-lowered", "AppConfig refuses different flags, or fewer"),
            *changes(
                "DeletionProtectionCheck", "limit-lowered", "it decides if it can be deleted while functions read it"
            ),
        ),
        no={**_NO_REACH, **_UNWATCHED},
    ),
    "AWS::AppConfig::Deployment": Answers(
        removed="the flags that were deployed last stay effective",
        settings=(
            *changes(
                "ApplicationId ConfigurationProfileId EnvironmentId",
                "interface-changed",
                "different functions get the flags",
            ),
            *changes("KmsKeyIdentifier", "key-changed", "readers of the flags need a different key"),
            *changes("DynamicExtensionParameters", "runtime-changed", "extensions act on it differently"),
        ),
        harmless={
            "ConfigurationVersion": "its own check compares the version's content",
            "DeploymentStrategyId": "the strategy's settings are compared there",
        },
        no={**_NO_REACH, **_UNWATCHED},
    ),
    "AWS::AppConfig::DeploymentStrategy": Answers(
        removed="its deployments name a different strategy instead",
        settings=(
            *falls(
                "DeploymentDurationInMinutes FinalBakeTimeInMinutes",
                "canary-loosened",
                "a change of the flags reaches all functions sooner, or is watched for a shorter time",
                MEDIUM,
            ),
            *rises("GrowthFactor", "canary-loosened", "a change of the flags reaches more functions at once", MEDIUM),
            *changes("GrowthType", "canary-loosened", "a change of the flags spreads differently", MEDIUM),
        ),
        harmless={
            "Name": "deployments refer to its id",
            "ReplicateTo": "the strategy's copy in Systems Manager's documents is not used",
        },
        no={**_HOLDS_NOTHING, **_NO_REACH, **_SERVES_NOBODY},
    ),
    "AWS::AppConfig::Environment": Answers(
        removed=Removal("interface-changed", "functions find no flags, so every flag is off"),
        settings=(
            *changes("ApplicationId Name", "interface-changed", "functions that use it find no flags any more"),
            *goes("Monitors/*", "rollback-loosened", "an alarm no longer rolls back changes of the flags"),
            *changes("Monitors/*/AlarmArn", "rollback-loosened", "a different alarm rolls back changes of the flags"),
            *changes("Monitors/*/AlarmRoleArn", "rollback-loosened", "AppConfig reads the alarm with a different role"),
            *changes(
                "DeletionProtectionCheck", "limit-lowered", "it decides if it can be deleted while functions read it"
            ),
        ),
        no=_HOLDS_NOTHING,
    ),
    "AWS::AppConfig::HostedConfigurationVersion": Answers(
        removed="the deployment names the version that replaces it",
        settings=(
            *changes(
                "ApplicationId ConfigurationProfileId ContentType",
                "interface-changed",
                "functions get their flags from a different source, or in a different format",
            ),
        ),
        harmless={
            "LatestVersionNumber": "it only makes concurrent changes fail",
            "VersionLabel": "a name for people",
        },
        no={**_HOLDS_NOTHING, **_NO_REACH, **_UNWATCHED},
    ),
    "AWS::CodeDeploy::Application": Answers(
        removed="its deployment groups are reported themselves",
        settings=changes("ComputePlatform", "canary-loosened", "it deploys something different"),
        no={
            **_HOLDS_NOTHING,
            **_SERVES_NOBODY,
            Question.GETS_DATA: "it grants no access",
        },
    ),
    "AWS::CodeDeploy::DeploymentGroup": Answers(
        removed="its own check reports which traffic shifts without it",
        settings=(
            *changes("DeploymentStyle", "canary-loosened", "traffic shifts differently"),
            *changes("ApplicationName", "canary-loosened", "it belongs to a different application", MEDIUM),
            *goes("TriggerConfigurations/*", "subscriber-removed", "nobody is notified of its deployments"),
        ),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY},
    ),
    "AWS::CodePipeline::Pipeline": Answers(
        removed="its own check reports what is removed with it",
        settings=(
            *changes(
                "ArtifactStore/Location ArtifactStore/Type ArtifactStores",
                "destination-changed",
                "artifacts go elsewhere",
            ),
            *changes("PipelineType", "pipeline-loosened", "its conditions and triggers change"),
            *changes("Variables", "build-changed", "actions read different values", LOW),
        ),
        harmless={"ArtifactStore/EncryptionKey/Type": "KMS is the only value"},
    ),
    "AWS::Cognito::IdentityPool": Answers(
        removed="the loss is a separate finding",
        settings=(
            *on("AllowClassicFlow", "sign-in-loosened", "identities may choose the role themselves"),
            *comes(
                "CognitoIdentityProviders OpenIdConnectProviderARNs SamlProviderARNs SupportedLoginProviders",
                "sign-in-loosened",
                "different users can sign in",
            ),
            *goes(
                "CognitoIdentityProviders OpenIdConnectProviderARNs SamlProviderARNs SupportedLoginProviders",
                "interface-changed",
                "users who signed in there are refused",
                HIGH,
            ),
        ),
    ),
    "AWS::Cognito::UserPool": Answers(
        removed="the loss is a separate finding",
        settings=(
            *differs("LambdaConfig", "runtime-changed", "different code, or none, decides who signs in", HIGH),
            *comes("LambdaConfig", "runtime-changed", "code decides who signs in"),
            *changes("AccountRecoverySetting", "sign-in-loosened", "accounts are recovered differently", MEDIUM),
            *comes("EnabledMfas/*", "sign-in-loosened", "an additional second factor is accepted", LOW),
            *goes("EnabledMfas/*", "interface-changed", "users with that second factor cannot sign in", HIGH),
            *changes(
                "UserPoolTier", "sign-in-loosened", "a different plan with different features protects it", MEDIUM
            ),
            *differs("UserAttributeUpdateSettings", "sign-in-loosened", "an address changes before it is verified"),
            *changes(
                "EmailConfiguration SmsConfiguration",
                "interface-changed",
                "messages have a different sender, or are not sent",
            ),
            *changes(
                "EmailVerificationMessage EmailVerificationSubject SmsVerificationMessage SmsAuthenticationMessage "
                "EmailAuthenticationMessage EmailAuthenticationSubject VerificationMessageTemplate "
                "AdminCreateUserConfig/InviteMessageTemplate",
                "interface-changed",
                "users get a different message",
                LOW,
            ),
            *changes(
                "DeviceConfiguration WebAuthnRelyingPartyID WebAuthnUserVerification",
                "sign-in-loosened",
                "devices are recognised differently",
                MEDIUM,
            ),
            *changes("Policies/SignInPolicy", "sign-in-loosened", "users sign in differently", MEDIUM),
            *rises("Policies/PasswordPolicy/MinimumLength", "interface-changed", "new passwords are refused", LOW),
            *on(
                "Policies/PasswordPolicy/RequireLowercase Policies/PasswordPolicy/RequireNumbers "
                "Policies/PasswordPolicy/RequireSymbols Policies/PasswordPolicy/RequireUppercase",
                "interface-changed",
                "new passwords are refused",
                LOW,
            ),
        ),
        harmless={
            "UserPoolName": "a display name; clients use its id",
            "UserPoolTags": "a label",
        },
        no=_UNWATCHED,
    ),
    "AWS::Cognito::UserPoolClient": Answers(
        removed="the effect on sign-ins is a separate finding",
        settings=(
            *goes(
                "ExplicitAuthFlows/* AllowedOAuthFlows/* AllowedOAuthScopes/* CallbackURLs/* LogoutURLs/* "
                "SupportedIdentityProviders/* ReadAttributes/*",
                "interface-changed",
                "sign-ins that use it are refused",
            ),
            *comes(
                "AllowedOAuthScopes/* SupportedIdentityProviders/*", "sign-in-loosened", "tokens contain and allow more"
            ),
            *comes("ReadAttributes/* WriteAttributes/*", "sign-in-loosened", "the client reads or writes more", MEDIUM),
            *goes(
                "ReadAttributes WriteAttributes", "sign-in-loosened", "the client reads and writes all of them", MEDIUM
            ),
            *comes(
                "LogoutURLs/* DefaultRedirectURI ExplicitAuthFlows/* AllowedOAuthFlows/*",
                "sign-in-loosened",
                "it only adds another way to sign in or out",
                LOW,
            ),
            *on("AllowedOAuthFlowsUserPoolClient", "sign-in-loosened", "tokens are issued by OAuth", MEDIUM),
            *rises("AuthSessionValidity", "sign-in-loosened", "a sign-in may take longer", LOW),
            *changes("GenerateSecret", "interface-changed", "it signs in differently"),
            *differs("RefreshTokenRotation", "sign-in-loosened", "a stolen token is valid for longer", MEDIUM),
            *falls("AccessTokenValidity IdTokenValidity RefreshTokenValidity", "limit-lowered", "sessions end sooner"),
            *changes("UserPoolId", "interface-changed", "it applies to different users", HIGH),
        ),
        harmless={"ClientName": "a display name; callers use its id"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::IAM::ManagedPolicy": Answers(removed=_ACCESS, no={**_HOLDS_NOTHING, **_UNWATCHED}),
    "AWS::IAM::Policy": Answers(
        removed=_ACCESS,
        harmless={"PolicyName": "a name; its permissions are compared independently of it"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::IAM::Role": Answers(
        removed=_ACCESS,
        settings=rises("MaxSessionDuration", "trust-widened", "sessions of the role last longer", LOW),
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
}
"""Answers by type."""
