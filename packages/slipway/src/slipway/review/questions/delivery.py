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
_SERVES_NOBODY = {Question.LOSES_SERVICE: "no request is answered by it; how versions move is the watch over them"}
_UNWATCHED = {Question.LOSES_WATCH: "nothing watches by it"}
_NO_REACH = {Question.GETS_DATA: "it decides nobody's access, and nothing is sent to anybody by it"}
_ACCESS = "who may do what without it is a question of access"

ANSWERS: Final[Mapping[str, Answers]] = {
    "AWS::CloudFormation::WaitConditionHandle": Answers(
        removed="it is an address to which a deployment signals, and nothing uses it afterwards",
        no=dict.fromkeys(Question, "nothing uses it after the deployment"),
    ),
    "AWS::CloudFormation::Stack": Answers(
        removed="its contents are compared resource by resource",
        settings=goes("NotificationARNs/*", "subscriber-removed", "nobody is notified of its deployments"),
        harmless={
            "Parameters": "what they decide within the stack is compared there",
            "TemplateURL": "what the template says is compared resource by resource",
            "TimeoutInMinutes": "how long CloudFormation waits for it; nothing is served by it",
        },
        no=dict.fromkeys(
            (Question.LOSES_DATA, Question.GETS_DATA, Question.LOSES_SERVICE),
            "what is in the stack is compared resource by resource",
        ),
    ),
    "AWS::CodeBuild::Project": Answers(
        removed=Removal("stage-removed", "what the build did is done no more", MEDIUM),
        settings=(
            *changes(
                "Source/Type Source/Location SecondarySources SourceVersion",
                "source-changed",
                "it builds another source",
            ),
            *changes(
                "Artifacts Cache Environment/ComputeType Environment/Type Environment/ImagePullCredentialsType "
                "FileSystemLocations SecondaryArtifacts Triggers",
                "build-changed",
                "it builds otherwise, or from what others left",
                LOW,
            ),
            *changes("VpcConfig", "network-opened", "the build reaches another network", MEDIUM),
            *changes("LogsConfig/CloudWatchLogs/GroupName", "logging-dropped", "it logs elsewhere", LOW),
            *changes("LogsConfig/CloudWatchLogs/Status", "logging-dropped", "it logs, or no longer"),
            *changes("LogsConfig/S3Logs", "destination-changed", "its log is sent elsewhere"),
            *changes("Visibility", "public-access", "others may read its builds"),
            *falls(
                "TimeoutInMinutes QueuedTimeoutInMinutes ConcurrentBuildLimit", "limit-lowered", "builds are cut off"
            ),
        ),
    ),
    "AWS::AppConfig::Application": Answers(
        removed=Removal("interface-changed", "functions that ask for flags find none: every flag is off for them"),
        settings=changes("Name", "interface-changed", "functions that know it by its name find no flags any more"),
        no={**_HOLDS_NOTHING, **_NO_REACH, **_UNWATCHED},
    ),
    "AWS::AppConfig::ConfigurationProfile": Answers(
        removed=Removal("interface-changed", "functions that ask for flags find none: every flag is off for them"),
        settings=(
            *changes(
                "ApplicationId LocationUri Name Type RetrievalRoleArn",
                "interface-changed",
                "functions get their flags from elsewhere, or find none",
            ),
            *changes("KmsKeyIdentifier", "key-changed", "who reads the flags needs another key"),
            *changes("Validators", "limit-lowered", "AppConfig refuses other flags than before, or fewer"),
            *changes("DeletionProtectionCheck", "limit-lowered", "it can be deleted while functions read it, or not"),
        ),
        no={**_NO_REACH, **_UNWATCHED},
    ),
    "AWS::AppConfig::Deployment": Answers(
        removed="the flags that were deployed last go on holding",
        settings=(
            *changes(
                "ApplicationId ConfigurationProfileId EnvironmentId",
                "interface-changed",
                "other functions than before get the flags",
            ),
            *changes("KmsKeyIdentifier", "key-changed", "who reads the flags needs another key"),
            *changes("DynamicExtensionParameters", "runtime-changed", "extensions act on it in another way"),
        ),
        harmless={
            "ConfigurationVersion": "what the version says, its own check compares",
            "DeploymentStrategyId": "what the strategy says is compared there",
        },
        no={**_NO_REACH, **_UNWATCHED},
    ),
    "AWS::AppConfig::DeploymentStrategy": Answers(
        removed="a deployment that needs one names another",
        settings=(
            *falls(
                "DeploymentDurationInMinutes FinalBakeTimeInMinutes",
                "canary-loosened",
                "a change of the flags meets all functions sooner, or is watched for less time",
                MEDIUM,
            ),
            *rises("GrowthFactor", "canary-loosened", "a change of the flags meets more functions at once", MEDIUM),
            *changes("GrowthType", "canary-loosened", "a change of the flags spreads in another way", MEDIUM),
        ),
        harmless={
            "Name": "its id is what deployments name",
            "ReplicateTo": "a copy of the strategy in Systems Manager's documents deploys nothing",
        },
        no={**_HOLDS_NOTHING, **_NO_REACH, **_SERVES_NOBODY},
    ),
    "AWS::AppConfig::Environment": Answers(
        removed=Removal("interface-changed", "functions that ask for flags find none: every flag is off for them"),
        settings=(
            *changes("ApplicationId Name", "interface-changed", "functions that know it find no flags any more"),
            *goes("Monitors/*", "rollback-loosened", "an alarm takes no change of the flags back any more"),
            *changes("Monitors/*/AlarmArn", "rollback-loosened", "another alarm takes a change of the flags back"),
            *changes("Monitors/*/AlarmRoleArn", "rollback-loosened", "AppConfig looks at the alarm as another role"),
            *changes("DeletionProtectionCheck", "limit-lowered", "it can be deleted while functions read it, or not"),
        ),
        no=_HOLDS_NOTHING,
    ),
    "AWS::AppConfig::HostedConfigurationVersion": Answers(
        removed="a deployment names the version that takes its place",
        settings=(
            *changes(
                "ApplicationId ConfigurationProfileId ContentType",
                "interface-changed",
                "functions get their flags from elsewhere, or in another format",
            ),
        ),
        harmless={
            "LatestVersionNumber": "it makes a concurrent change fail, and nothing else",
            "VersionLabel": "a name for people",
        },
        no={**_HOLDS_NOTHING, **_NO_REACH, **_UNWATCHED},
    ),
    "AWS::CodeDeploy::Application": Answers(
        removed="its deployment groups say what they no longer do",
        settings=changes("ComputePlatform", "canary-loosened", "it deploys something else"),
        no={
            **_HOLDS_NOTHING,
            **_SERVES_NOBODY,
            Question.GETS_DATA: "it grants no access",
        },
    ),
    "AWS::CodeDeploy::DeploymentGroup": Answers(
        removed="its own check says what moves without it",
        settings=(
            *changes("DeploymentStyle", "canary-loosened", "traffic moves in another way"),
            *changes("ApplicationName", "canary-loosened", "it belongs to another application", MEDIUM),
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
            *changes("PipelineType", "pipeline-loosened", "it has other conditions and triggers"),
            *changes("Variables", "build-changed", "actions read other values", LOW),
        ),
        harmless={"ArtifactStore/EncryptionKey/Type": "KMS is the only one there is"},
    ),
    "AWS::Cognito::IdentityPool": Answers(
        removed="what is lost with it is a finding of its own",
        settings=(
            *on("AllowClassicFlow", "sign-in-loosened", "identities may choose the role themselves"),
            *comes(
                "CognitoIdentityProviders OpenIdConnectProviderARNs SamlProviderARNs SupportedLoginProviders",
                "sign-in-loosened",
                "others sign in",
            ),
            *goes(
                "CognitoIdentityProviders OpenIdConnectProviderARNs SamlProviderARNs SupportedLoginProviders",
                "interface-changed",
                "who signed in there is refused",
                HIGH,
            ),
        ),
    ),
    "AWS::Cognito::UserPool": Answers(
        removed="what is lost with it is a finding of its own",
        settings=(
            *differs("LambdaConfig", "runtime-changed", "other code decides who signs in, or none", HIGH),
            *comes("LambdaConfig", "runtime-changed", "code decides who signs in"),
            *changes("AccountRecoverySetting", "sign-in-loosened", "accounts are recovered in another way", MEDIUM),
            *comes("EnabledMfas/*", "sign-in-loosened", "a further second factor is taken", LOW),
            *goes("EnabledMfas/*", "interface-changed", "who has that second factor cannot sign in", HIGH),
            *changes("UserPoolTier", "sign-in-loosened", "another plan protects it, with other features", MEDIUM),
            *differs("UserAttributeUpdateSettings", "sign-in-loosened", "an address changes before it is verified"),
            *changes(
                "EmailConfiguration SmsConfiguration", "interface-changed", "messages come from elsewhere, or not"
            ),
            *changes(
                "EmailVerificationMessage EmailVerificationSubject SmsVerificationMessage SmsAuthenticationMessage "
                "EmailAuthenticationMessage EmailAuthenticationSubject VerificationMessageTemplate "
                "AdminCreateUserConfig/InviteMessageTemplate",
                "interface-changed",
                "users get another message",
                LOW,
            ),
            *changes(
                "DeviceConfiguration WebAuthnRelyingPartyID WebAuthnUserVerification",
                "sign-in-loosened",
                "devices count otherwise",
                MEDIUM,
            ),
            *changes("Policies/SignInPolicy", "sign-in-loosened", "users sign in by other means", MEDIUM),
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
            "UserPoolName": "a name for people; clients know its id",
            "UserPoolTags": "a label",
        },
        no=_UNWATCHED,
    ),
    "AWS::Cognito::UserPoolClient": Answers(
        removed="the effect on sign-ins with it is a finding of its own",
        settings=(
            *goes(
                "ExplicitAuthFlows/* AllowedOAuthFlows/* AllowedOAuthScopes/* CallbackURLs/* LogoutURLs/* "
                "SupportedIdentityProviders/* ReadAttributes/*",
                "interface-changed",
                "what signs in by it is refused",
            ),
            *comes(
                "AllowedOAuthScopes/* SupportedIdentityProviders/*", "sign-in-loosened", "tokens say, and allow, more"
            ),
            *comes("ReadAttributes/* WriteAttributes/*", "sign-in-loosened", "the client reads or writes more", MEDIUM),
            *goes(
                "ReadAttributes WriteAttributes", "sign-in-loosened", "the client reads and writes all of them", MEDIUM
            ),
            *comes(
                "LogoutURLs/* DefaultRedirectURI ExplicitAuthFlows/* AllowedOAuthFlows/*",
                "sign-in-loosened",
                "it is one way more",
                LOW,
            ),
            *on("AllowedOAuthFlowsUserPoolClient", "sign-in-loosened", "tokens are given by OAuth", MEDIUM),
            *rises("AuthSessionValidity", "sign-in-loosened", "a sign-in may take longer", LOW),
            *changes("GenerateSecret", "interface-changed", "it signs in otherwise"),
            *differs("RefreshTokenRotation", "sign-in-loosened", "a stolen token is good for longer", MEDIUM),
            *falls("AccessTokenValidity IdTokenValidity RefreshTokenValidity", "limit-lowered", "sessions end sooner"),
            *changes("UserPoolId", "interface-changed", "it is for other users", HIGH),
        ),
        harmless={"ClientName": "a name for people; callers know its id"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::IAM::ManagedPolicy": Answers(removed=_ACCESS, no={**_HOLDS_NOTHING, **_UNWATCHED}),
    "AWS::IAM::Policy": Answers(
        removed=_ACCESS,
        harmless={"PolicyName": "a name; what it allows is compared whatever it is called"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::IAM::Role": Answers(
        removed=_ACCESS,
        settings=rises("MaxSessionDuration", "trust-widened", "who is the role stays it longer", LOW),
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
}
"""By type."""
