"""REST APIs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from aws_cdk import Duration, Size, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.function import ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.logs import ServiceLogGroup
from slipway.blocks.schema import draft_4
from slipway.blocks.waf import EdgeProof, RegionalWebAcl
from slipway.settings import Environment, Throttle
from slipway.settings.model import StageCache

STAGE = "live"
"""Name of the API's only stage: each environment has its own account, so the path needs no name."""

COMPRESS_FROM = Size.kibibytes(1)

ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Api-Key",
)
"""Request headers that a browser may send from another origin."""

_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "caller": "$context.identity.caller",
    "user": "$context.identity.user",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "protocol": "$context.protocol",
    "requestTime": "$context.requestTime",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    # The error's type, one of AWS's own words. `$context.error.message` may repeat what the caller sent and is not
    # escaped; AWS does not say what `messageString`, which is quoted, contains without an error. The message itself is
    # in the execution log, under the request's id.
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html
    "error": "$context.error.responseType",
    "integrationError": "$context.integrationErrorMessage",
}

_PROBLEM_TAIL = {"instance": "$context.path", "request_id": "$context.requestId", "errors": []}

_NAMES_THE_FIELD = {"errors": [{"field": "body", "message": "$context.error.validationErrorString"}]}
"""Message of API Gateway's validator: property names and types of the schema, never the values that were sent."""

_GATEWAY_PROBLEMS = (
    # (response type, status, title, detail). API Gateway's own texts may repeat what the caller sent; ours do not.
    # REQUEST_TOO_LARGE is missing: API Gateway sends its own answer to a body of more than 10 MB, whatever is
    # configured. https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    ("ACCESS_DENIED", 403, "Forbidden", "The signature is valid, but the caller is not allowed to do this."),
    ("API_CONFIGURATION_ERROR", 500, "Internal Server Error", "API Gateway cannot answer this request."),
    ("AUTHORIZER_CONFIGURATION_ERROR", 500, "Internal Server Error", "API Gateway cannot answer this request."),
    ("AUTHORIZER_FAILURE", 500, "Internal Server Error", "API Gateway cannot answer this request."),
    ("BAD_REQUEST_BODY", 400, "Bad Request", "The body does not match the schema of this route."),
    ("BAD_REQUEST_PARAMETERS", 400, "Bad Request", "A required parameter or header is missing."),
    ("EXPIRED_TOKEN", 403, "Forbidden", "The credentials have expired."),
    ("INTEGRATION_FAILURE", 502, "Bad Gateway", "The service did not answer. Try again."),
    ("INTEGRATION_TIMEOUT", 504, "Gateway Timeout", "The service did not answer in time. Try again."),
    ("INVALID_API_KEY", 403, "Forbidden", "The API key is missing or unknown."),
    ("INVALID_SIGNATURE", 403, "Forbidden", "The request's signature is not valid."),
    ("MISSING_AUTHENTICATION_TOKEN", 403, "Forbidden", "The request is not signed, or the route does not exist."),
    ("QUOTA_EXCEEDED", 429, "Too Many Requests", "The quota is used up."),
    ("RESOURCE_NOT_FOUND", 404, "Not Found", "The route does not exist."),
    ("THROTTLED", 429, "Too Many Requests", "Too many requests. Try again later."),
    ("UNAUTHORIZED", 401, "Unauthorized", "The request carries no valid credentials."),
    ("UNSUPPORTED_MEDIA_TYPE", 415, "Unsupported Media Type", "The content type is not supported."),
    ("WAF_FILTERED", 403, "Forbidden", "The request was refused by the firewall."),
)

_MORE_HEADERS = {
    # Encodings that request bodies may be compressed with (RFC 9110, 15.5.16); API Gateway decompresses both:
    # docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-enable-compression.html
    "UNSUPPORTED_MEDIA_TYPE": {"Accept-Encoding": "'gzip, deflate, identity'"},
}

_GATEWAY_DEFAULTS = (
    # Everything that no type above covers. No status is set, because a default's status would apply to every type
    # (docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html). The client's errors
    # are unreadable signatures and unknown keys. The others are throttled invocations, 500, and failed ones, 502
    # (docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html): the template cannot tell which, and RFC
    # 9457 allows leaving out both members.
    ("DEFAULT_4XX", 403, "Forbidden", "API Gateway refused the request: its credentials are not valid."),
    ("DEFAULT_5XX", None, None, "API Gateway got no answer from the service. Try again."),
)

_KEYED = (
    "The gateway refuses callers without an API key of the usage plan, and the handler gives each key only its "
    "own data."
)
"""Reason for routes with an API key to need no users."""


_REQUEST = "method.request"
"""Prefix of the location of a request's parameter."""


def _declared(
    cache_keys: Sequence[str], required_headers: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> dict[str, bool]:
    """Return the declared parameters of a route, and which of them a request needs."""
    return {
        # Every part of the cache key must be declared; required parameters stay required.
        **{f"{_REQUEST}.{key}": False for key in cache_keys},
        **{f"{_REQUEST}.header.{name}": True for name in required_headers},
        **{f"{_REQUEST}.querystring.{name}": True for name in required},
        **{f"{_REQUEST}.querystring.{name}": False for name in optional},
    }


class RestEntry(Construct):
    """A regional REST API whose methods reach aliases, with logs, traces, throttling, validation and CORS.

    Errors that API Gateway answers itself have the same format as the service's own.

    Args:
        scope: The compute stack.
        construct_id: Id in it.
        service: The service's name.
        environment: Settings; `logs`, `cors` and `waf` apply.
        key: The service's key.
        throttle: Rate and burst of the stage.
        description: One line, shown in the console.
        binary_types: Media types that API Gateway passes on as bytes.
        cache: Size and age of the stage's cache. Default: none.
        cached: Paths whose `GET` the cache answers; everything else goes to its function each time.
        edge: Proof that a request came through the edge, whose web ACL has counted it. Default: no edge.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        environment: Environment,
        key: ServiceKey,
        throttle: Throttle,
        description: str,
        binary_types: Sequence[str] = (),
        cache: StageCache | None = None,
        cached: Sequence[str] = (),
        edge: EdgeProof | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._environment = environment
        self.api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=f"{service}-{environment.name}",
            description=description,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            binary_media_types=list(binary_types),
            min_compression_size=COMPRESS_FROM,
            # The logging role exists once per account and region: the foundation stack creates it.
            cloud_watch_role=False,
            deploy_options=self._stage_options(
                ServiceLogGroup(self, "AccessLog", environment=environment, key=key), throttle, cache, cached
            ),
            default_cors_preflight_options=apigateway.CorsOptions(
                allow_origins=list(environment.cors.origins),
                allow_methods=["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"],
                allow_headers=list(ALLOWED_HEADERS),
            ),
        )
        self.stage = self.api.deployment_stage
        """The API's only stage."""
        self._acknowledge_stage(cache)
        self.signed_routes: list[str] = []
        """ARNs of the routes that a caller needs permission to invoke."""
        # CDK adds its own output; ours have stable names.
        self.api.node.try_remove_child("Endpoint")
        self._keep_execution_log(key)
        self._answer_in_problem_details()
        self._validator = self.api.add_request_validator(
            "Validator", validate_request_body=True, validate_request_parameters=True
        )
        if environment.waf.enabled:
            self._protect(service, key, edge)
        else:
            accept(
                self.stage,
                "AwsSolutions-APIG3",
                reason="WAF is off in dev by configuration: dev serves no users, throttling applies, and the "
                "configuration requires WAF in every other environment.",
            )

    @staticmethod
    def _stage_options(
        access_log: logs.ILogGroup, throttle: Throttle, cache: StageCache | None, cached: Sequence[str]
    ) -> apigateway.StageOptions:
        return apigateway.StageOptions(
            stage_name=STAGE,
            access_log_destination=apigateway.LogGroupLogDestination(access_log),
            access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
            logging_level=apigateway.MethodLoggingLevel.INFO,
            # A data trace writes bodies and tokens into the log.
            data_trace_enabled=False,
            metrics_enabled=True,
            tracing_enabled=True,
            throttling_rate_limit=throttle.rate,
            throttling_burst_limit=throttle.burst,
            cache_cluster_enabled=True if cache else None,
            cache_cluster_size=cache.size_gb if cache else None,
            method_options={f"{path}/GET": _cached(cache, throttle) for path in cached} if cache else None,
        )

    def _acknowledge_stage(self, cache: StageCache | None) -> None:
        accept(
            self.stage,
            "NIST.800.53.R5-APIGWSSLEnabled",
            "HIPAA.Security-APIGWSSLEnabled",
            "PCI.DSS.321-APIGWSSLEnabled",
            reason="A client certificate proves to an HTTP backend that a call comes from API Gateway; these backends "
            "are functions, which Lambda lets only this API invoke.",
        )
        accept(
            self.stage,
            "NIST.800.53.R5-APIGWCacheEnabledAndEncrypted",
            "HIPAA.Security-APIGWCacheEnabledAndEncrypted",
            "PCI.DSS.321-APIGWCacheEnabledAndEncrypted",
            reason="The cache is encrypted, and on for the reads that may be cached; other methods change something "
            "or answer for one caller."
            if cache
            else "Nothing is cached here, so nothing is stored unencrypted: cacheable answers are cached at the edge, "
            "for seconds.",
        )

    @property
    def endpoint(self) -> str:
        """URL of the stage, with a slash at its end."""
        return self.api.url

    @property
    def host(self) -> str:
        """Host name of the API."""
        stack = Stack.of(self)
        return f"{self.api.rest_api_id}.execute-api.{stack.region}.{stack.url_suffix}"

    def route(
        self,
        method: str,
        path: str,
        *,
        function: ServiceFunction,
        signed: bool = False,
        body: Mapping[str, Any] | None = None,
        required_headers: Sequence[str] = (),
        required_parameters: Sequence[str] = (),
        parameters: Sequence[str] = (),
        keyed: bool = False,
        cache_keys: Sequence[str] = (),
        open_because: str | None = None,
    ) -> None:
        """Send a route to a function's alias `live`, and with a `GET` the same `HEAD`, which is never cached.

        Args:
            method: HTTP method.
            path: Path template such as `/items/{id}`.
            function: The function that answers.
            signed: True if the caller must sign with SigV4 and be allowed `execute-api:Invoke`.
            body: JSON schema that the gateway checks a JSON body against, as OpenAPI 3.1 writes it.
            required_headers: Headers without which the gateway refuses a request.
            required_parameters: Query parameters without which the gateway refuses a request.
            parameters: Optional query parameters of the route.
            keyed: True if the caller must send an API key of a usage plan.
            cache_keys: Request parts that select a cached answer, such as `querystring.id` or `header.X-Api-Key`.
                The caller's `Origin` is always included, because an answer names the origin that it is for.
            open_because: For a route that is neither signed nor keyed, why that is safe.

        Raises:
            ValueError: The route is not exactly one of signed, keyed and open.
        """
        if [signed, keyed, bool(open_because)].count(True) != 1:
            raise ValueError(f"{method} {path}: pass exactly one of signed=True, keyed=True and open_because=…")
        resource = self.api.root.resource_for_path(path)
        for verb in ("GET", "HEAD") if method == "GET" else (method,):
            keys = (*cache_keys, "header.Origin") if cache_keys and verb == method else ()
            added = resource.add_method(
                verb,
                self._integration(function, cache_keys=[f"{_REQUEST}.{key}" for key in keys]),
                authorization_type=apigateway.AuthorizationType.IAM if signed else apigateway.AuthorizationType.NONE,
                api_key_required=keyed or None,
                request_validator=self._validator,
                request_models={"application/json": self._model(verb, path, body)} if body else None,
                request_parameters=_declared(keys, required_headers, required_parameters, parameters),
            )
            arn = self._let_invoke(verb, path, function)
            if signed:
                self.signed_routes.append(arn)
            self._acknowledge_no_users(added, open_because or (_KEYED if keyed else None))

    def _let_invoke(self, method: str, path: str, function: ServiceFunction) -> str:
        """Let the API invoke a route's function, and return the route's ARN."""
        arn = self.api.arn_for_execute_api(method, re.sub(r"\{[^}]+\}", "*", path), STAGE)
        function.live.add_permission(
            f"Invoke{_route_id(method, path)}",
            principal=iam.ServicePrincipal("apigateway.amazonaws.com"),
            source_arn=arn,
        )
        return arn

    def mock(self, path: str, *, answer: Mapping[str, str], open_because: str) -> None:
        """Answer `GET` and `HEAD` at the gateway itself, so that the API answers whatever the state of its functions.

        Args:
            path: Path such as `/health`.
            answer: The JSON object to answer with.
            open_because: Why anyone may safely call it.
        """
        origin = self._environment.cors.origins[0]
        headers = {"Access-Control-Allow-Origin": f"'{origin}'", "Cache-Control": "'no-store'"}
        parameters = {f"method.response.header.{name}": value for name, value in headers.items()}
        for method in ("GET", "HEAD"):
            added = self._add_mock(method, path, answer, parameters)
            self._acknowledge_no_users(added, open_because)

    def _add_mock(
        self, method: str, path: str, answer: Mapping[str, str], parameters: Mapping[str, str]
    ) -> apigateway.Method:
        return self.api.root.resource_for_path(path).add_method(
            method,
            apigateway.MockIntegration(
                passthrough_behavior=apigateway.PassthroughBehavior.NEVER,
                request_templates={"application/json": json.dumps({"statusCode": 200})},
                integration_responses=[
                    apigateway.IntegrationResponse(
                        status_code="200",
                        response_parameters=dict(parameters),
                        response_templates={"application/json": json.dumps(answer)},
                    )
                ],
            ),
            authorization_type=apigateway.AuthorizationType.NONE,
            request_validator=self._validator,
            method_responses=[
                apigateway.MethodResponse(status_code="200", response_parameters=dict.fromkeys(parameters, True))
            ],
        )

    @staticmethod
    def _acknowledge_no_users(method: apigateway.Method, open_because: str | None) -> None:
        if open_because:
            accept(method, "AwsSolutions-APIG4", reason=open_because)
        accept(
            method,
            "AwsSolutions-COG4",
            reason="This API has no users who sign in: its callers are programs with IAM credentials or an API "
            "key, and open routes give their reason.",
        )

    def _integration(self, function: ServiceFunction, cache_keys: Sequence[str] = ()) -> apigateway.Integration:
        # Not CDK's LambdaIntegration: the ids of its permissions contain the environment's name.
        stack = Stack.of(self)
        return apigateway.Integration(
            type=apigateway.IntegrationType.AWS_PROXY,
            integration_http_method="POST",
            uri=stack.format_arn(
                service="apigateway",
                account="lambda",
                resource="path",
                resource_name=f"2015-03-31/functions/{function.live.function_arn}/invocations",
            ),
            options=apigateway.IntegrationOptions(cache_key_parameters=list(cache_keys)) if cache_keys else None,
        )

    def _model(self, method: str, path: str, body: Mapping[str, Any]) -> apigateway.IModel:
        model = self.api.add_model(
            f"{_route_id(method, path)}Model",
            content_type="application/json",
            schema=apigateway.JsonSchema(schema=apigateway.JsonSchemaVersion.DRAFT4),
        )
        # The L2's schema type cannot express everything in the document; the L1 takes JSON unchanged.
        schema = draft_4(body)
        cast("apigateway.CfnModel", model.node.default_child).schema = schema
        if self.api.latest_deployment is not None:
            # The L2 hashed the empty schema: without this, a changed schema would never be deployed to the stage.
            self.api.latest_deployment.add_to_logical_id({"path": path, "schema": schema})
        return model

    def _keep_execution_log(self, key: ServiceKey) -> None:
        # Unless it exists, API Gateway creates this group itself at the first request, unencrypted and without expiry.
        group = ServiceLogGroup(
            self,
            "ExecutionLog",
            environment=self._environment,
            key=key,
            name=f"API-Gateway-Execution-Logs_{self.api.rest_api_id}/{STAGE}",
        )
        self.stage.node.add_dependency(group)

    def _answer_in_problem_details(self) -> None:
        # A gateway response cannot choose among several origins, so only the first one can read the error.
        headers = {
            "Access-Control-Allow-Origin": f"'{self._environment.cors.origins[0]}'",
            "Cache-Control": "'no-store'",
            "Content-Type": "'application/problem+json'",
        }
        for name, status, title, detail in _GATEWAY_PROBLEMS:
            self.api.add_gateway_response(
                f"On{name.title().replace('_', '')}",
                type=apigateway.ResponseType.of(name),
                status_code=str(status),
                response_headers=headers | _MORE_HEADERS.get(name, {}),
                templates={
                    "application/json": _problem(
                        status, title, detail, **(_NAMES_THE_FIELD if name == "BAD_REQUEST_BODY" else {})
                    )
                },
            )
        for kind, *members in _GATEWAY_DEFAULTS:
            self.api.add_gateway_response(
                f"On{kind.title().replace('_', '')}",
                type=apigateway.ResponseType.of(kind),
                response_headers=headers,
                templates={"application/json": _problem(*members)},
            )

    def _protect(self, service: str, key: ServiceKey, edge: EdgeProof | None) -> None:
        acl = RegionalWebAcl(self, "WebAcl", service=service, environment=self._environment, key=key, edge=edge)
        wafv2.CfnWebACLAssociation(
            self,
            "WebAclAssociation",
            resource_arn=self.stage.stage_arn,
            web_acl_arn=acl.arn,
        )


def _route_id(method: str, path: str) -> str:
    return method.capitalize() + "".join(part.strip("{}").capitalize() for part in path.split("/"))


def _cached(cache: StageCache, throttle: Throttle) -> apigateway.MethodDeploymentOptions:
    """Return the settings of a cached method. They replace the stage's settings, so they repeat those."""
    return apigateway.MethodDeploymentOptions(
        caching_enabled=True,
        cache_data_encrypted=True,
        cache_ttl=Duration.seconds(cache.ttl_seconds),
        logging_level=apigateway.MethodLoggingLevel.INFO,
        data_trace_enabled=False,
        metrics_enabled=True,
        throttling_rate_limit=throttle.rate,
        throttling_burst_limit=throttle.burst,
    )


def _problem(status: int | None, title: str | None, detail: str, **more: Any) -> str:
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, **_PROBLEM_TAIL, **more}
    return json.dumps({name: value for name, value in problem.items() if value is not None})
