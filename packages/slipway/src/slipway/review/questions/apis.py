"""Answers of API Gateway, CloudFront and the firewall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from slipway.review.questions.model import (
    CRITICAL,
    HIGH,
    INFO,
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
    off,
    on,
    other,
    rises,
)

_HOLDS_NOTHING = {Question.LOSES_DATA: "it holds no data"}
_UNWATCHED = {Question.LOSES_WATCH: "nothing watches by it: logs, metrics and alarms belong to stages and functions"}
_NO_ACCESS = {Question.GETS_DATA: "it grants no access, and sends nothing"}
_SERVES_NOBODY = {Question.LOSES_SERVICE: "no request is answered by it"}
_ANSWERED = "callers get other answers than the contract says"

ANSWERS: Final[Mapping[str, Answers]] = {
    "AWS::ApiGateway::Account": Answers(
        removed=Removal("logging-dropped", "API Gateway writes no execution log in this account and region"),
        settings=goes("CloudWatchRoleArn", "logging-dropped", "API Gateway writes no execution log in this region"),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY},
    ),
    "AWS::ApiGateway::ApiKey": Answers(
        removed=Removal("service-stopped", "callers that have the key are refused", HIGH),
        settings=(
            *off("Enabled", "service-stopped", "callers that have the key are refused", HIGH),
            *goes("StageKeys/*", "service-stopped", "the key is refused there", HIGH),
        ),
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::ApiGateway::Deployment": Answers(
        removed="a deployment is a snapshot; which of them answers, the stage says",
        no={
            **_HOLDS_NOTHING,
            **_NO_ACCESS,
            **_UNWATCHED,
        },
    ),
    "AWS::ApiGateway::GatewayResponse": Answers(
        removed=Removal("interface-changed", f"{_ANSWERED}: refusals come in AWS's own form"),
        settings=(
            *changes("ResponseParameters ResponseTemplates StatusCode", "interface-changed", _ANSWERED),
            *comes(
                "ResponseParameters/gatewayresponse.header.Access-Control-Allow-Headers",
                "cors-widened",
                "scripts of other origins may send it",
                LOW,
            ),
        ),
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGateway::Method": Answers(
        removed=Removal("route-removed", "its callers get 403, as for any path that is not there"),
        settings=(
            *changes("Integration/Uri Integration/ConnectionId", "destination-changed", "requests go elsewhere"),
            *goes("Integration/CacheKeyParameters/*", "cache-key-narrowed", "the cache no longer tells by it"),
            *changes("HttpMethod ResourceId RestApiId", "route-removed", "the old route is removed"),
            *falls("Integration/TimeoutInMillis", "limit-lowered", "slow answers are cut off sooner"),
            *changes(
                "Integration/Type Integration/IntegrationHttpMethod Integration/RequestTemplates "
                "Integration/RequestParameters Integration/ContentHandling Integration/ResponseTransferMode "
                "Integration/ConnectionType Integration/CacheNamespace",
                "interface-changed",
                "the code behind gets other requests",
            ),
            *changes("Integration/PassthroughBehavior", "interface-changed", "other requests reach the code behind"),
            *changes("Integration/IntegrationResponses MethodResponses", "interface-changed", _ANSWERED),
            *differs(
                "RequestModels RequestParameters RequestValidatorId",
                "interface-changed",
                "requests reach the code that were refused, or the other way round",
            ),
            *comes(
                "RequestModels RequestParameters RequestValidatorId", "interface-changed", "requests are refused", LOW
            ),
        ),
        harmless={"OperationName": "a name for generated clients; requests go by path and method"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGateway::Model": Answers(
        removed=Removal("interface-changed", "what its schema refused reaches the code"),
        settings=changes("Schema ContentType Name", "interface-changed", "other bodies are refused, or reach the code"),
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::ApiGateway::RequestValidator": Answers(
        removed=Removal("interface-changed", "what it refused reaches the code"),
        settings=(
            *off("ValidateRequestBody ValidateRequestParameters", "interface-changed", "what it refused gets through"),
            *on("ValidateRequestBody ValidateRequestParameters", "interface-changed", "requests are refused", LOW),
        ),
        harmless={"Name": "methods refer to it by its id"},
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::ApiGateway::Resource": Answers(
        removed=Removal("route-removed", "the path and all below it are not there any more"),
        settings=changes("ParentId PathPart RestApiId", "route-removed", "the old path is not there any more"),
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::ApiGateway::RestApi": Answers(
        removed=Removal("route-removed", "the whole API is not there any more", CRITICAL),
        settings=(
            *changes("BinaryMediaTypes ApiKeySourceType SecurityPolicy", "interface-changed", _ANSWERED),
            *changes("EndpointConfiguration", "interface-changed", "its addresses change", HIGH),
            *on("DisableExecuteApiEndpoint", "route-removed", "callers of AWS's own address are refused"),
            *changes("CloneFrom Mode Parameters", "interface-changed", "its routes come from elsewhere"),
            *changes("BodyS3Location", "open-route", "its routes come from a file that the review does not read", HIGH),
        ),
        harmless={
            "FailOnWarnings": "it decides whether an import with warnings fails, which the deployment then says",
            "MinimumCompressionSize": "clients say themselves whether they take a compressed answer",
            "Name": "a name for people; callers know its id",
            "Version": "a name for people",
        },
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGateway::Stage": Answers(
        removed=Removal("route-removed", "its address answers no more", CRITICAL),
        settings=(
            *changes("AccessLogSetting/DestinationArn", "destination-changed", "the access log is sent elsewhere"),
            *changes("AccessLogSetting/Format", "logging-dropped", "the access log says something else", LOW),
            *off("CacheClusterEnabled MethodSettings/*/CachingEnabled", "limit-lowered", "all requests reach the code"),
            *on("MethodSettings/*/CachingEnabled", "cache-key-narrowed", "answers are kept and given again", MEDIUM),
            *rises("MethodSettings/*/CacheTtlInSeconds", "interface-changed", "answers are older", LOW),
            *falls("MethodSettings/*/CacheTtlInSeconds", "limit-lowered", "more requests reach the code"),
            *on("MethodSettings/*/DataTraceEnabled", "destination-changed", "whole requests are logged", HIGH),
            *off("MethodSettings/*/DataTraceEnabled", "logging-dropped", "requests are logged without bodies", LOW),
            *off("MethodSettings/*/MetricsEnabled TracingEnabled", "logging-dropped", "it is no longer measured", LOW),
            *falls(
                "MethodSettings/*/ThrottlingRateLimit MethodSettings/*/ThrottlingBurstLimit",
                "limit-lowered",
                "callers are refused sooner",
            ),
            *changes("Variables DeploymentId StageName RestApiId", "runtime-changed", "other code may answer"),
            *differs("ClientCertificateId", "interface-changed", "the origin no longer knows API Gateway by it"),
            *changes("CanarySetting", "canary-loosened", "another share of the requests meets the canary", MEDIUM),
        ),
        harmless={
            "CacheClusterSize": "it decides how much is cached; what is not is asked for again",
            "DocumentationVersion": "a text for people",
            # The level itself is checked; the resource and the method only select it.
            "MethodSettings/*/HttpMethod": "it names which method is meant, and what is set for it is compared",
            "MethodSettings/*/ResourcePath": "it names which path is meant, and what is set for it is compared",
        },
        no=_HOLDS_NOTHING,
    ),
    "AWS::ApiGateway::UsagePlan": Answers(
        removed=Removal("service-stopped", "the keys of the plan are refused", HIGH),
        settings=(
            *goes("ApiStages/*/Stage ApiStages/*/ApiId", "service-stopped", "keys of the plan are refused there", HIGH),
            *comes("ApiStages/*/Stage ApiStages/*/ApiId", "key-not-required", "its keys are taken there too", LOW),
            *changes("ApiStages/*/Throttle", "interface-changed", "callers are refused sooner or later", LOW),
            *falls("Throttle/RateLimit Throttle/BurstLimit Quota/Limit", "limit-lowered", "callers are refused sooner"),
            *other("Quota/Period Quota/Offset", "throttle-raised", "the quota counts for another time"),
        ),
        harmless={"UsagePlanName": "a name for people"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGateway::UsagePlanKey": Answers(
        removed=Removal("service-stopped", "the key is refused: it is in no plan", HIGH),
        settings=changes("KeyId UsagePlanId KeyType", "service-stopped", "the old key is refused", HIGH),
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::ApiGatewayV2::Api": Answers(
        removed=Removal("route-removed", "the whole API is not there any more", CRITICAL),
        settings=(
            *goes(
                "CorsConfiguration/AllowHeaders/* CorsConfiguration/AllowMethods/* CorsConfiguration/AllowOrigins/* "
                "CorsConfiguration/ExposeHeaders/*",
                "interface-changed",
                "browsers refuse what they did before",
            ),
            *comes(
                "CorsConfiguration/AllowHeaders/* CorsConfiguration/ExposeHeaders/*",
                "cors-widened",
                "scripts of other origins may send or read it",
                LOW,
            ),
            *on("DisableExecuteApiEndpoint", "route-removed", "callers of AWS's own address are refused"),
            *changes("RouteKey Target BasePath", "interface-changed", "its routes come from elsewhere"),
            *changes("BodyS3Location", "open-route", "its routes come from a file that the review does not read", HIGH),
        ),
        harmless={
            "CorsConfiguration/MaxAge": "how long a browser remembers what it may do; what it may is compared",
            "FailOnWarnings": "it decides whether an import with warnings fails, which the deployment then says",
            "Name": "a name for people; callers know its id",
            "Version": "a name for people",
        },
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGatewayV2::Authorizer": Answers(
        removed=Removal(
            "authorizer-loosened", "it is no longer used; each route's own finding says what it does instead"
        ),
        settings=(
            *changes("IdentitySource", "interface-changed", "the token is looked for elsewhere", HIGH),
            *goes("JwtConfiguration/Audience/*", "interface-changed", "its clients are refused"),
            *rises("AuthorizerResultTtlInSeconds", "authorizer-loosened", "who lost access keeps it longer", MEDIUM),
        ),
        harmless={"Name": "a name for people; routes refer to it by its id"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGatewayV2::Integration": Answers(
        removed=Removal("route-removed", "the routes that lead to it get no answer"),
        settings=(
            *changes("IntegrationUri ConnectionId", "destination-changed", "requests go elsewhere"),
            *falls("TimeoutInMillis", "limit-lowered", "slow answers are cut off sooner"),
            *changes(
                "IntegrationType IntegrationMethod IntegrationSubtype PayloadFormatVersion RequestParameters "
                "ResponseParameters RequestTemplates ConnectionType",
                "interface-changed",
                "the code behind gets other requests, or callers other answers",
            ),
            *goes("TlsConfig", "tls-lowered", "the name of the host behind is not checked"),
        ),
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGatewayV2::Route": Answers(
        removed=Removal("route-removed", "its callers get 404"),
        settings=(
            *changes("Target", "destination-changed", "requests go elsewhere"),
            *changes("RouteKey", "route-removed", "the old route is removed"),
            *changes("RequestParameters RequestModels", "interface-changed", "other requests are refused"),
        ),
        harmless={"OperationName": "a name for generated clients; requests go by path and method"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGatewayV2::Stage": Answers(
        removed=Removal("route-removed", "its address answers no more", CRITICAL),
        settings=(
            *changes("AccessLogSettings/DestinationArn", "destination-changed", "the access log is sent elsewhere"),
            *changes("AccessLogSettings/Format", "logging-dropped", "the access log says something else", LOW),
            *off("AutoDeploy", "runtime-changed", "what changes of routes does not reach callers"),
            *off("DefaultRouteSettings/DetailedMetricsEnabled", "logging-dropped", "routes are not measured", LOW),
            *falls(
                "DefaultRouteSettings/ThrottlingRateLimit DefaultRouteSettings/ThrottlingBurstLimit "
                "RouteSettings/*/ThrottlingRateLimit RouteSettings/*/ThrottlingBurstLimit",
                "limit-lowered",
                "callers are refused sooner",
            ),
            *changes("StageVariables DeploymentId", "runtime-changed", "other code may answer"),
        ),
        no=_HOLDS_NOTHING,
    ),
    "AWS::CloudFront::CachePolicy": Answers(
        removed="the distribution that asks it names another one, which is compared there",
        settings=(
            *rises(
                "CachePolicyConfig/DefaultTTL CachePolicyConfig/MaxTTL CachePolicyConfig/MinTTL",
                "interface-changed",
                "answers are older",
                LOW,
            ),
            *falls(
                "CachePolicyConfig/DefaultTTL CachePolicyConfig/MaxTTL CachePolicyConfig/MinTTL",
                "limit-lowered",
                "more requests reach the origin",
            ),
            *changes(
                "CachePolicyConfig/ParametersInCacheKeyAndForwardedToOrigin/EnableAcceptEncodingBrotli "
                "CachePolicyConfig/ParametersInCacheKeyAndForwardedToOrigin/EnableAcceptEncodingGzip",
                "interface-changed",
                "answers come in another encoding",
                LOW,
            ),
        ),
        harmless={"CachePolicyConfig/Name": "a name for people", "CachePolicyConfig/Comment": "a text for people"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::CloudFront::Distribution": Answers(
        removed=Removal("service-stopped", "its address answers no more"),
        settings=(
            *off("DistributionConfig/Enabled", "service-stopped", "the distribution answers no requests"),
            *changes(
                "DistributionConfig/Origins/*/DomainName DistributionConfig/Origins/*/OriginPath "
                "DistributionConfig/DefaultCacheBehavior/TargetOriginId "
                "DistributionConfig/CacheBehaviors/*/TargetOriginId",
                "destination-changed",
                "requests go to another origin, with the headers that it is known by",
            ),
            *differs("DistributionConfig/Origins/*/Id", "destination-changed", "requests go to another origin"),
            *differs(
                "DistributionConfig/Origins/*/OriginCustomHeaders",
                "interface-changed",
                "the origin refuses what does not bring it",
                HIGH,
            ),
            *comes(
                "DistributionConfig/Origins/*/OriginCustomHeaders", "destination-changed", "the origin gets it", LOW
            ),
            *changes(
                "DistributionConfig/DefaultCacheBehavior/CachePolicyId "
                "DistributionConfig/CacheBehaviors/*/CachePolicyId "
                "DistributionConfig/DefaultCacheBehavior/ForwardedValues "
                "DistributionConfig/CacheBehaviors/*/ForwardedValues",
                "cache-key-narrowed",
                "another policy says what is cached and by what",
            ),
            *changes(
                "DistributionConfig/DefaultCacheBehavior/OriginRequestPolicyId "
                "DistributionConfig/CacheBehaviors/*/OriginRequestPolicyId",
                "interface-changed",
                "the origin gets other headers, cookies or parameters",
            ),
            *changes(
                "DistributionConfig/DefaultCacheBehavior/ResponseHeadersPolicyId "
                "DistributionConfig/CacheBehaviors/*/ResponseHeadersPolicyId",
                "interface-changed",
                "browsers get other headers, those that protect a visitor among them",
            ),
            *goes(
                "DistributionConfig/DefaultCacheBehavior/AllowedMethods/* "
                "DistributionConfig/CacheBehaviors/*/AllowedMethods/*",
                "route-removed",
                "the method is refused",
            ),
            *comes(
                "DistributionConfig/DefaultCacheBehavior/AllowedMethods/* "
                "DistributionConfig/CacheBehaviors/*/AllowedMethods/*",
                "interface-changed",
                "the method reaches the origin",
                LOW,
            ),
            *changes(
                "DistributionConfig/DefaultCacheBehavior/CachedMethods "
                "DistributionConfig/CacheBehaviors/*/CachedMethods",
                "interface-changed",
                "answers to it are kept and given again, or no longer",
                LOW,
            ),
            *changes(
                "DistributionConfig/DefaultCacheBehavior/FunctionAssociations "
                "DistributionConfig/CacheBehaviors/*/FunctionAssociations "
                "DistributionConfig/DefaultCacheBehavior/LambdaFunctionAssociations "
                "DistributionConfig/CacheBehaviors/*/LambdaFunctionAssociations",
                "runtime-changed",
                "other code handles each request, or none",
                HIGH,
            ),
            *goes("DistributionConfig/CacheBehaviors/*/PathPattern", "route-removed", "the path falls to the default"),
            *goes("DistributionConfig/Aliases/*", "route-removed", "the name is answered no more", CRITICAL),
            *changes("DistributionConfig/DefaultRootObject", "interface-changed", "`/` gets another answer"),
            *changes("DistributionConfig/CustomErrorResponses", "interface-changed", _ANSWERED),
            *changes(
                "DistributionConfig/ViewerCertificate/AcmCertificateArn "
                "DistributionConfig/ViewerCertificate/IamCertificateId "
                "DistributionConfig/ViewerCertificate/SslSupportMethod",
                "interface-changed",
                "clients meet another certificate",
            ),
            *changes("DistributionConfig/HttpVersion", "interface-changed", "clients speak another version", LOW),
            *off("DistributionConfig/IPV6Enabled", "limit-lowered", "callers that only have IPv6 are not reached"),
            *changes("DistributionConfig/PriceClass", "limit-lowered", "it is answered from other places"),
            *changes("DistributionConfig/Logging/Bucket", "destination-changed", "the log is sent elsewhere"),
            *other("DistributionConfig/Logging/Prefix", "logging-dropped", "the log is written elsewhere", LOW),
            *other("DistributionConfig/WebACLId", "waf-loosened", "another firewall protects it", MEDIUM),
        ),
        harmless={
            "DistributionConfig/Comment": "a text for people",
            "DistributionConfig/DefaultCacheBehavior/Compress": "clients say themselves whether they take it",
            "DistributionConfig/CacheBehaviors/*/Compress": "clients say themselves whether they take it",
            "DistributionConfig/ViewerCertificate/CloudFrontDefaultCertificate": (
                "it follows from the certificate, which is compared"
            ),
        },
        no=_HOLDS_NOTHING,
    ),
    "AWS::CloudFront::OriginRequestPolicy": Answers(
        removed="the distribution that asks it names another one, which is compared there",
        settings=changes(
            "OriginRequestPolicyConfig/CookiesConfig OriginRequestPolicyConfig/HeadersConfig "
            "OriginRequestPolicyConfig/QueryStringsConfig",
            "interface-changed",
            "the origin gets other headers, cookies or parameters",
        ),
        harmless={
            "OriginRequestPolicyConfig/Name": "a name for people",
            "OriginRequestPolicyConfig/Comment": "a text for people",
        },
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::WAFv2::LoggingConfiguration": Answers(
        removed="its own check says what is no longer logged",
        settings=(
            *changes("LogDestinationConfigs", "destination-changed", "the firewall's log is sent elsewhere"),
            *changes("LoggingFilter", "logging-dropped", "other requests are logged"),
            *differs("RedactedFields", "destination-changed", "redacted fields appear in the log", HIGH),
            *comes("RedactedFields", "logging-dropped", "the log says less", INFO),
            *changes("ResourceArn", "logging-dropped", "another firewall is logged"),
        ),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY},
    ),
    "AWS::WAFv2::WebACL": Answers(
        removed="its own check reports what it no longer protects",
        settings=(
            *other("Rules/*/Priority", "waf-loosened", "rules are asked in another order", MEDIUM),
            *off(
                "VisibilityConfig/CloudWatchMetricsEnabled VisibilityConfig/SampledRequestsEnabled",
                "logging-dropped",
                "what it stops is not counted or shown",
                LOW,
            ),
            # A removed rule is reported as such, with everything in it.
            *other(
                "Rules/*/VisibilityConfig/CloudWatchMetricsEnabled Rules/*/VisibilityConfig/SampledRequestsEnabled",
                "logging-dropped",
                "what it stops is counted or shown, or no longer",
                LOW,
            ),
            *other(
                "VisibilityConfig/MetricName Rules/*/VisibilityConfig/MetricName",
                "logging-dropped",
                "what looks at the old metric sees nothing",
                LOW,
            ),
            *comes("Rules/*/Action Rules/*/OverrideAction", "interface-changed", "other requests are refused", LOW),
            *changes("CustomResponseBodies CaptchaConfig ChallengeConfig", "interface-changed", _ANSWERED, LOW),
            *goes("DefaultAction/Allow", "interface-changed", "what no rule names is refused", HIGH),
            *comes("TokenDomains/*", "waf-loosened", "tokens of another domain are taken", MEDIUM),
        ),
        harmless={"Name": "a name for people; associations refer to it by its ARN"},
        no=_HOLDS_NOTHING,
    ),
    "AWS::WAFv2::WebACLAssociation": Answers(
        removed="its own check reports what the firewall no longer protects",
        settings=changes("WebACLArn", "waf-loosened", "another firewall protects it", MEDIUM),
        no={
            **_HOLDS_NOTHING,
            **_UNWATCHED,
            Question.LOSES_SERVICE: "whom a firewall refuses, its own rules say",
        },
    ),
}
"""By type."""
