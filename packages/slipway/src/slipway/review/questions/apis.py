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
_UNWATCHED = {
    Question.LOSES_WATCH: "no monitoring depends on it: logs, metrics and alarms belong to stages and functions"
}
_NO_ACCESS = {Question.GETS_DATA: "it grants no access and sends no data"}
_SERVES_NOBODY = {Question.LOSES_SERVICE: "it serves no requests"}
_ANSWERED = "callers get answers that differ from the contract"

ANSWERS: Final[Mapping[str, Answers]] = {
    "AWS::ApiGateway::Account": Answers(
        removed=Removal("logging-dropped", "API Gateway writes no execution log in this account and region"),
        settings=goes("CloudWatchRoleArn", "logging-dropped", "API Gateway writes no execution log in this region"),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY},
    ),
    "AWS::ApiGateway::ApiKey": Answers(
        removed=Removal("service-stopped", "callers with the key are refused", HIGH),
        settings=(
            *off("Enabled", "service-stopped", "callers with the key are refused", HIGH),
            *goes("StageKeys/*", "service-stopped", "the key is refused there", HIGH),
        ),
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::ApiGateway::Deployment": Answers(
        removed="a deployment is a snapshot; the stage decides which one answers",
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
        removed=Removal("route-removed", "its callers get 403, as for any unknown path"),
        settings=(
            *changes("Integration/Uri Integration/ConnectionId", "destination-changed", "requests go elsewhere"),
            *goes("Integration/CacheKeyParameters/*", "cache-key-narrowed", "the cache no longer distinguishes by it"),
            *changes("HttpMethod ResourceId RestApiId", "route-removed", "the old route is removed"),
            *falls("Integration/TimeoutInMillis", "limit-lowered", "slow answers are cut off sooner"),
            *changes(
                "Integration/Type Integration/IntegrationHttpMethod Integration/RequestTemplates "
                "Integration/RequestParameters Integration/ContentHandling Integration/ResponseTransferMode "
                "Integration/ConnectionType Integration/CacheNamespace",
                "interface-changed",
                "the code behind it receives different requests",
            ),
            *changes(
                "Integration/PassthroughBehavior", "interface-changed", "different requests reach the code behind it"
            ),
            *changes("Integration/IntegrationResponses MethodResponses", "interface-changed", _ANSWERED),
            *differs(
                "RequestModels RequestParameters RequestValidatorId",
                "interface-changed",
                "requests that were refused reach the code, or vice versa",
            ),
            *comes(
                "RequestModels RequestParameters RequestValidatorId", "interface-changed", "requests are refused", LOW
            ),
        ),
        harmless={"OperationName": "a name for generated clients; requests are routed by path and method"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGateway::Model": Answers(
        removed=Removal("interface-changed", "bodies that its schema refused reach the code"),
        settings=changes(
            "Schema ContentType Name", "interface-changed", "different bodies are refused or reach the code"
        ),
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::ApiGateway::RequestValidator": Answers(
        removed=Removal("interface-changed", "requests that it refused reach the code"),
        settings=(
            *off(
                "ValidateRequestBody ValidateRequestParameters",
                "interface-changed",
                "requests that it refused are accepted",
            ),
            *on("ValidateRequestBody ValidateRequestParameters", "interface-changed", "requests are refused", LOW),
        ),
        harmless={"Name": "methods refer to it by its id"},
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::ApiGateway::Resource": Answers(
        removed=Removal("route-removed", "the path and everything below it no longer exist"),
        settings=changes("ParentId PathPart RestApiId", "route-removed", "the old path no longer exists"),
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::ApiGateway::RestApi": Answers(
        removed=Removal("route-removed", "the whole API no longer exists", CRITICAL),
        settings=(
            *changes("BinaryMediaTypes ApiKeySourceType SecurityPolicy", "interface-changed", _ANSWERED),
            *changes("EndpointConfiguration", "interface-changed", "its addresses change", HIGH),
            *on("DisableExecuteApiEndpoint", "route-removed", "callers of AWS's own address are refused"),
            *changes("CloneFrom Mode Parameters", "interface-changed", "its routes come from a different source"),
            *changes("BodyS3Location", "open-route", "its routes come from a file that the review does not read", HIGH),
        ),
        harmless={
            "FailOnWarnings": "it decides if an import with warnings fails, which the deployment reports",
            "MinimumCompressionSize": "clients request compression themselves",
            "Name": "a display name; callers use its id",
            "Version": "a display name",
        },
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGateway::Stage": Answers(
        removed=Removal("route-removed", "its address no longer answers", CRITICAL),
        settings=(
            *changes(
                "AccessLogSetting/DestinationArn",
                "destination-changed",
                "the access log is sent to a different destination",
            ),
            *changes("AccessLogSetting/Format", "logging-dropped", "the content of the access log changes", LOW),
            *off("CacheClusterEnabled MethodSettings/*/CachingEnabled", "limit-lowered", "all requests reach the code"),
            *on("MethodSettings/*/CachingEnabled", "cache-key-narrowed", "answers are cached", MEDIUM),
            *rises("MethodSettings/*/CacheTtlInSeconds", "interface-changed", "answers are older", LOW),
            *falls("MethodSettings/*/CacheTtlInSeconds", "limit-lowered", "more requests reach the code"),
            *on("MethodSettings/*/DataTraceEnabled", "destination-changed", "complete requests are logged", HIGH),
            *off("MethodSettings/*/DataTraceEnabled", "logging-dropped", "requests are logged without bodies", LOW),
            *off(
                "MethodSettings/*/MetricsEnabled TracingEnabled",
                "logging-dropped",
                "its metrics are no longer recorded",
                LOW,
            ),
            *falls(
                "MethodSettings/*/ThrottlingRateLimit MethodSettings/*/ThrottlingBurstLimit",
                "limit-lowered",
                "callers are refused sooner",
            ),
            *changes("Variables DeploymentId StageName RestApiId", "runtime-changed", "different code may answer"),
            *differs("ClientCertificateId", "interface-changed", "the origin no longer recognises API Gateway by it"),
            *changes(
                "CanarySetting", "canary-loosened", "a different share of the requests reaches the canary", MEDIUM
            ),
        ),
        harmless={
            "CacheClusterSize": "it only limits the cache; other answers come from the origin again",
            "DocumentationVersion": "a description",
            # The level itself is checked; the resource and the method only select it.
            "MethodSettings/*/HttpMethod": "it only selects the method, whose settings are compared",
            "MethodSettings/*/ResourcePath": "it only selects the path, whose settings are compared",
        },
        no=_HOLDS_NOTHING,
    ),
    "AWS::ApiGateway::UsagePlan": Answers(
        removed=Removal("service-stopped", "the keys of the plan are refused", HIGH),
        settings=(
            *goes("ApiStages/*/Stage ApiStages/*/ApiId", "service-stopped", "keys of the plan are refused there", HIGH),
            *comes("ApiStages/*/Stage ApiStages/*/ApiId", "key-not-required", "its keys are accepted there too", LOW),
            *changes("ApiStages/*/Throttle", "interface-changed", "callers are refused sooner or later", LOW),
            *falls("Throttle/RateLimit Throttle/BurstLimit Quota/Limit", "limit-lowered", "callers are refused sooner"),
            *other("Quota/Period Quota/Offset", "throttle-raised", "the quota applies to a different period"),
        ),
        harmless={"UsagePlanName": "a display name"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGateway::UsagePlanKey": Answers(
        removed=Removal("service-stopped", "the key is refused: it is in no plan", HIGH),
        settings=changes("KeyId UsagePlanId KeyType", "service-stopped", "the old key is refused", HIGH),
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::ApiGatewayV2::Api": Answers(
        removed=Removal("route-removed", "the whole API no longer exists", CRITICAL),
        settings=(
            *goes(
                "CorsConfiguration/AllowHeaders/* CorsConfiguration/AllowMethods/* CorsConfiguration/AllowOrigins/* "
                "CorsConfiguration/ExposeHeaders/*",
                "interface-changed",
                "browsers refuse requests that they sent before",
            ),
            *comes(
                "CorsConfiguration/AllowHeaders/* CorsConfiguration/ExposeHeaders/*",
                "cors-widened",
                "scripts of other origins may send or read it",
                LOW,
            ),
            *on("DisableExecuteApiEndpoint", "route-removed", "callers of AWS's own address are refused"),
            *changes("RouteKey Target BasePath", "interface-changed", "its routes come from a different source"),
            *changes("BodyS3Location", "open-route", "its routes come from a file that the review does not read", HIGH),
        ),
        harmless={
            "CorsConfiguration/MaxAge": "how long browsers cache the preflight; its content is compared",
            "FailOnWarnings": "it decides if an import with warnings fails, which the deployment reports",
            "Name": "a display name; callers use its id",
            "Version": "a display name",
        },
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGatewayV2::Authorizer": Answers(
        removed=Removal("authorizer-loosened", "it is no longer used; each route's own finding names the replacement"),
        settings=(
            *changes("IdentitySource", "interface-changed", "the token is read from a different place", HIGH),
            *goes("JwtConfiguration/Audience/*", "interface-changed", "its clients are refused"),
            *rises("AuthorizerResultTtlInSeconds", "authorizer-loosened", "revoked callers keep access longer", MEDIUM),
        ),
        harmless={"Name": "a display name; routes refer to it by its id"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGatewayV2::Integration": Answers(
        removed=Removal("route-removed", "routes that use it get no answer"),
        settings=(
            *changes("IntegrationUri ConnectionId", "destination-changed", "requests go elsewhere"),
            *falls("TimeoutInMillis", "limit-lowered", "slow answers are cut off sooner"),
            *changes(
                "IntegrationType IntegrationMethod IntegrationSubtype PayloadFormatVersion RequestParameters "
                "ResponseParameters RequestTemplates ConnectionType",
                "interface-changed",
                "the code behind it receives different requests, or callers get different answers",
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
        harmless={"OperationName": "a name for generated clients; requests are routed by path and method"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::ApiGatewayV2::Stage": Answers(
        removed=Removal("route-removed", "its address no longer answers", CRITICAL),
        settings=(
            *changes(
                "AccessLogSettings/DestinationArn",
                "destination-changed",
                "the access log is sent to a different destination",
            ),
            *changes("AccessLogSettings/Format", "logging-dropped", "the content of the access log changes", LOW),
            *off("AutoDeploy", "runtime-changed", "changes of routes no longer reach callers"),
            *off("DefaultRouteSettings/DetailedMetricsEnabled", "logging-dropped", "routes have no metrics", LOW),
            *falls(
                "DefaultRouteSettings/ThrottlingRateLimit DefaultRouteSettings/ThrottlingBurstLimit "
                "RouteSettings/*/ThrottlingRateLimit RouteSettings/*/ThrottlingBurstLimit",
                "limit-lowered",
                "callers are refused sooner",
            ),
            *changes("StageVariables DeploymentId", "runtime-changed", "different code may answer"),
        ),
        no=_HOLDS_NOTHING,
    ),
    "AWS::CloudFront::CachePolicy": Answers(
        removed="the distribution that uses it refers to a different one, which is compared there",
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
                "answers have a different encoding",
                LOW,
            ),
        ),
        harmless={"CachePolicyConfig/Name": "a display name", "CachePolicyConfig/Comment": "a description"},
        no={**_HOLDS_NOTHING, **_UNWATCHED},
    ),
    "AWS::CloudFront::Distribution": Answers(
        removed=Removal("service-stopped", "its address no longer answers"),
        settings=(
            *off("DistributionConfig/Enabled", "service-stopped", "the distribution answers no requests"),
            *changes(
                "DistributionConfig/Origins/*/DomainName DistributionConfig/Origins/*/OriginPath "
                "DistributionConfig/DefaultCacheBehavior/TargetOriginId "
                "DistributionConfig/CacheBehaviors/*/TargetOriginId",
                "destination-changed",
                "requests go to a different origin, with the headers that authenticate CloudFront",
            ),
            *differs("DistributionConfig/Origins/*/Id", "destination-changed", "requests go to another origin"),
            *differs(
                "DistributionConfig/Origins/*/OriginCustomHeaders",
                "interface-changed",
                "the origin refuses requests without it",
                HIGH,
            ),
            *comes(
                "DistributionConfig/Origins/*/OriginCustomHeaders", "destination-changed", "the origin receives it", LOW
            ),
            *changes(
                "DistributionConfig/DefaultCacheBehavior/CachePolicyId "
                "DistributionConfig/CacheBehaviors/*/CachePolicyId "
                "DistributionConfig/DefaultCacheBehavior/ForwardedValues "
                "DistributionConfig/CacheBehaviors/*/ForwardedValues",
                "cache-key-narrowed",
                "a different policy determines the caching",
            ),
            *changes(
                "DistributionConfig/DefaultCacheBehavior/OriginRequestPolicyId "
                "DistributionConfig/CacheBehaviors/*/OriginRequestPolicyId",
                "interface-changed",
                "the origin receives different headers, cookies or parameters",
            ),
            *changes(
                "DistributionConfig/DefaultCacheBehavior/ResponseHeadersPolicyId "
                "DistributionConfig/CacheBehaviors/*/ResponseHeadersPolicyId",
                "interface-changed",
                "browsers get different headers, including those that protect visitors",
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
                "answers to it are cached, or no longer",
                LOW,
            ),
            *changes(
                "DistributionConfig/DefaultCacheBehavior/FunctionAssociations "
                "DistributionConfig/CacheBehaviors/*/FunctionAssociations "
                "DistributionConfig/DefaultCacheBehavior/LambdaFunctionAssociations "
                "DistributionConfig/CacheBehaviors/*/LambdaFunctionAssociations",
                "runtime-changed",
                "different code, or none, handles each request",
                HIGH,
            ),
            *goes(
                "DistributionConfig/CacheBehaviors/*/PathPattern",
                "route-removed",
                "the default behavior handles the path",
            ),
            *goes("DistributionConfig/Aliases/*", "route-removed", "the name is no longer answered", CRITICAL),
            *changes("DistributionConfig/DefaultRootObject", "interface-changed", "`/` gets a different answer"),
            *changes("DistributionConfig/CustomErrorResponses", "interface-changed", _ANSWERED),
            *changes(
                "DistributionConfig/ViewerCertificate/AcmCertificateArn "
                "DistributionConfig/ViewerCertificate/IamCertificateId "
                "DistributionConfig/ViewerCertificate/SslSupportMethod",
                "interface-changed",
                "clients get a different certificate",
            ),
            *changes("DistributionConfig/HttpVersion", "interface-changed", "clients use a different version", LOW),
            *off("DistributionConfig/IPV6Enabled", "limit-lowered", "IPv6-only callers cannot connect"),
            *changes("DistributionConfig/PriceClass", "limit-lowered", "different edge locations answer"),
            *changes(
                "DistributionConfig/Logging/Bucket", "destination-changed", "the log is sent to a different destination"
            ),
            *other(
                "DistributionConfig/Logging/Prefix", "logging-dropped", "the log is written to a different place", LOW
            ),
            *other("DistributionConfig/WebACLId", "waf-loosened", "a different firewall protects it", MEDIUM),
        ),
        harmless={
            "DistributionConfig/Comment": "a description",
            "DistributionConfig/DefaultCacheBehavior/Compress": "clients choose it themselves",
            "DistributionConfig/CacheBehaviors/*/Compress": "clients choose it themselves",
            "DistributionConfig/ViewerCertificate/CloudFrontDefaultCertificate": (
                "it follows from the certificate, which is compared"
            ),
        },
        no=_HOLDS_NOTHING,
    ),
    "AWS::CloudFront::OriginRequestPolicy": Answers(
        removed="the distribution that uses it refers to a different one, which is compared there",
        settings=changes(
            "OriginRequestPolicyConfig/CookiesConfig OriginRequestPolicyConfig/HeadersConfig "
            "OriginRequestPolicyConfig/QueryStringsConfig",
            "interface-changed",
            "the origin receives different headers, cookies or parameters",
        ),
        harmless={
            "OriginRequestPolicyConfig/Name": "a display name",
            "OriginRequestPolicyConfig/Comment": "a description",
        },
        no={**_HOLDS_NOTHING, **_NO_ACCESS, **_UNWATCHED},
    ),
    "AWS::WAFv2::LoggingConfiguration": Answers(
        removed="its own check reports what is no longer logged",
        settings=(
            *changes(
                "LogDestinationConfigs", "destination-changed", "the firewall's log is sent to a different destination"
            ),
            *changes("LoggingFilter", "logging-dropped", "other requests are logged"),
            *differs("RedactedFields", "destination-changed", "redacted fields appear in the log", HIGH),
            *comes("RedactedFields", "logging-dropped", "the log contains less", INFO),
            *changes("ResourceArn", "logging-dropped", "another firewall is logged"),
        ),
        no={**_HOLDS_NOTHING, **_SERVES_NOBODY},
    ),
    "AWS::WAFv2::WebACL": Answers(
        removed="its own check reports what it no longer protects",
        settings=(
            *other("Rules/*/Priority", "waf-loosened", "rules are evaluated in a different order", MEDIUM),
            *off(
                "VisibilityConfig/CloudWatchMetricsEnabled VisibilityConfig/SampledRequestsEnabled",
                "logging-dropped",
                "blocked requests are not counted or sampled",
                LOW,
            ),
            # A removed rule is reported as such, with everything in it.
            *other(
                "Rules/*/VisibilityConfig/CloudWatchMetricsEnabled Rules/*/VisibilityConfig/SampledRequestsEnabled",
                "logging-dropped",
                "blocked requests are counted or sampled, or no longer",
                LOW,
            ),
            *other(
                "VisibilityConfig/MetricName Rules/*/VisibilityConfig/MetricName",
                "logging-dropped",
                "alarms and dashboards on the old metric get no data",
                LOW,
            ),
            *comes("Rules/*/Action Rules/*/OverrideAction", "interface-changed", "other requests are refused", LOW),
            *changes("CustomResponseBodies CaptchaConfig ChallengeConfig", "interface-changed", _ANSWERED, LOW),
            *goes("DefaultAction/Allow", "interface-changed", "requests that match no rule are refused", HIGH),
            *comes("TokenDomains/*", "waf-loosened", "tokens of another domain are accepted", MEDIUM),
        ),
        harmless={"Name": "a display name; associations refer to it by its ARN"},
        no=_HOLDS_NOTHING,
    ),
    "AWS::WAFv2::WebACLAssociation": Answers(
        removed="its own check reports what the firewall no longer protects",
        settings=changes("WebACLArn", "waf-loosened", "a different firewall protects it", MEDIUM),
        no={
            **_HOLDS_NOTHING,
            **_UNWATCHED,
            Question.LOSES_SERVICE: "the firewall's own rules decide whom it refuses",
        },
    ),
}
"""Answers by type."""
