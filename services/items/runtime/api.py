"""The function behind the REST API."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import os
from typing import Any

from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_REST
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from aws_lambda_powertools.utilities.typing import LambdaContext

from services.items.runtime import routes
from services.items.runtime.cursor import SignedCursors
from services.items.runtime.idempotency import CreatedOnce
from services.items.runtime.logic import ItemService
from services.items.runtime.storage import DynamoDBHealthProbe, DynamoDBItemStorage
from slipway_runtime import aws
from slipway_runtime.http import Cors
from slipway_runtime.secrets import CachedSecret
from slipway_runtime.telemetry import flush_metrics, logger, tracer


def wiring(environment: "os._Environ[str] | dict[str, str]") -> routes.Wiring:
    """The routes' wiring on AWS, from the function's environment variables.

    The client of DynamoDB is made here, while Lambda gives a starting function its full CPU; that of Secrets Manager at
    the first request that needs a secret.
    """
    table_name = environment["TABLE_NAME"]
    dynamodb = aws.client("dynamodb")

    def secret(variable: str, field: str, *stages: str) -> CachedSecret:
        return CachedSecret(lambda: aws.client("secretsmanager"), environment[variable], field, stages=stages)

    return routes.Wiring(
        items=ItemService(
            storage=DynamoDBItemStorage(dynamodb, table_name),
            cursors=SignedCursors(secret("CURSOR_SECRET_ARN", "key", "AWSCURRENT", "AWSPREVIOUS")),
            once=CreatedOnce(DynamoDBPersistenceLayer(environment["IDEMPOTENCY_TABLE_NAME"], boto3_client=dynamodb)),
        ),
        # A health check that hangs tells nobody anything: one attempt, one second.
        probe=DynamoDBHealthProbe(lambda: aws.client("dynamodb", attempts=1, read_seconds=1.0), table_name),
        origin_secret=secret("ORIGIN_SECRET_ARN", "header", "AWSCURRENT"),
        cors=Cors(environment["CORS_ORIGINS"]),
        environment=environment["ENVIRONMENT"],
    )


routes.bind(wiring(os.environ))


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_REST, clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers a REST API's proxy event."""
    try:
        return routes.respond(event, context)
    finally:
        flush_metrics()


startup.finished()
