"""HTTP APIs with signed-in callers."""

from __future__ import annotations

import json
from typing import cast

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.function import ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.logs import ServiceLogGroup
from slipway.blocks.user_pool import ServiceUserPool
from slipway.settings import Environment, Throttle

ALLOWED_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key")
"""Request headers that a browser may send from another origin."""

EXPOSED_HEADERS = ("Location", "Retry-After")
"""Response headers that a page of another origin may read."""

PREFLIGHT_AGE = Duration.minutes(10)

_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "caller": "$context.authorizer.claims.client_id",
    "user": "$context.authorizer.claims.sub",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "protocol": "$context.protocol",
    "requestTime": "$context.requestTime",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    # The error's type; its message may repeat what the caller sent, and is not escaped (slipway.blocks.rest).
    "error": "$context.error.responseType",
    "authorizerError": "$context.authorizer.error",
    "integrationError": "$context.integrationErrorMessage",
}


class HttpEntry(Construct):
    """An HTTP API whose routes reach aliases, for callers with a token of a user pool.

    HTTP APIs lack some features of REST APIs: X-Ray (the functions behind it trace), an execution log, request
    validation, gateway responses (a 401 or an unknown route gets API Gateway's own short JSON), and a web ACL. They
    time out after 30 s.

    Only the gateway handles CORS: it answers preflight requests, and its headers replace those that a function sends.

    Args:
        scope: The compute stack.
        construct_id: Id in it.
        service: The service's name.
        environment: Settings; `logs` and `cors` apply.
        key: The service's key.
        throttle: Rate and burst of the stage.
        description: One line, shown in the console.
        users: The callers' pool: a token must be from this pool and its client.
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
        users: ServiceUserPool,
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = apigatewayv2.HttpApi(
            self,
            "Api",
            api_name=f"{service}-{environment.name}",
            description=description,
            create_default_stage=False,
            cors_preflight=apigatewayv2.CorsPreflightOptions(
                allow_origins=list(environment.cors.origins),
                allow_methods=[apigatewayv2.CorsHttpMethod.GET, apigatewayv2.CorsHttpMethod.POST],
                allow_headers=list(ALLOWED_HEADERS),
                expose_headers=list(EXPOSED_HEADERS),
                max_age=PREFLIGHT_AGE,
            ),
        )
        self.stage = apigatewayv2.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            # `$default`: each environment has its own account, so the path needs no name.
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=apigatewayv2.ThrottleSettings(rate_limit=throttle.rate, burst_limit=throttle.burst),
        )
        access_log = ServiceLogGroup(self, "AccessLog", environment=environment, key=key)
        # Set on the L1, because the L2's interface cannot be passed from Python.
        cast(
            "apigatewayv2.CfnStage", self.stage.node.default_child
        ).access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
            destination_arn=Stack.of(self).format_arn(
                service="logs",
                resource="log-group",
                resource_name=access_log.log_group_name,
                arn_format=ArnFormat.COLON_RESOURCE_NAME,
            ),
            format=json.dumps(_ACCESS_LOG),
        )
        self._authorizer = authorizers.HttpUserPoolAuthorizer("Users", users, user_pool_clients=[users.client])

    @property
    def endpoint(self) -> str:
        """URL of the API, with a slash at its end."""
        return self.stage.url

    def route(self, method: str, path: str, *, function: ServiceFunction, open_because: str | None = None) -> None:
        """Send a route to a function's alias `live`, and with a `GET` the same `HEAD`.

        Args:
            method: HTTP method.
            path: Path template such as `/process/{id}`.
            function: The function that answers, in payload format 2.0.
            open_because: For a route without a token, why that is safe. Default: a token is required.
        """
        # Not the API's add_routes: CDK records where a construct was created, and there that is a temporary folder.
        route = apigatewayv2.HttpRoute(
            self,
            f"{method.title()}{_title(path)}",
            http_api=self.api,
            route_key=apigatewayv2.HttpRouteKey.with_(path, apigatewayv2.HttpMethod[method]),
            authorizer=apigatewayv2.HttpNoneAuthorizer() if open_because else self._authorizer,
            integration=integrations.HttpLambdaIntegration(
                f"{function.node.id}Integration",
                function.live,
                payload_format_version=apigatewayv2.PayloadFormatVersion.VERSION_2_0,
            ),
        )
        if open_because:
            accept(route, "AwsSolutions-APIG4", reason=open_because)
        if method == "GET":
            self.route("HEAD", path, function=function, open_because=open_because)


def _title(path: str) -> str:
    return "".join(part.strip("{}").capitalize() for part in path.split("/"))
