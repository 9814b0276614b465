"""The function behind the REST API."""

from slipway_runtime.startup import finished

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from services.items.runtime import routes
from services.items.runtime.cursor import SignedCursors
from services.items.runtime.idempotency import CreatedOnce
from services.items.runtime.logic import ItemService
from services.items.runtime.storage import DynamoDBItemStorage
from slipway_runtime import aws
from slipway_runtime.http import Cors
from slipway_runtime.probe import TableProbe
from slipway_runtime.secrets import CachedSecret

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer


def _persistence(table_name: str) -> "BasePersistenceLayer":
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer  # noqa: PLC0415 - it is slow

    return DynamoDBPersistenceLayer(table_name, boto3_client=aws.client("dynamodb"))


def wiring(environment: Mapping[str, str]) -> routes.Wiring:
    """Return the routes' dependencies on AWS, from the function's environment variables.

    The DynamoDB client is created here, while Lambda gives a starting function its full CPU; that of Secrets Manager at
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
            once=CreatedOnce(lambda: _persistence(environment["IDEMPOTENCY_TABLE_NAME"])),
        ),
        probe=TableProbe(table_name, "id"),
        origin_secret=secret("ORIGIN_SECRET_ARN", "header", "AWSCURRENT"),
        cors=Cors(environment["CORS_ORIGINS"]),
        environment=environment["ENVIRONMENT"],
    )


routes.api.bind(wiring(os.environ))
handler = routes.api.handler()

finished()
