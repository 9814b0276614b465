"""Health of a table."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from slipway_runtime import aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOBODY: Final = "health"
"""A key that no item has."""


def _client() -> "DynamoDBClient":
    # A health check that hangs helps nobody: one attempt, one second.
    return aws.client("dynamodb", attempts=1, read_seconds=1.0)


class TableProbe:
    """Reads one key that no item has: the smallest call that exercises the table, its key and our permissions.

    Args:
        table: Name of the table.
        key: Name of its primary key, a string.
        client: Makes the client at the first check. Default: one with short time-outs.
    """

    def __init__(self, table: str, key: str, *, client: "Callable[[], DynamoDBClient]" = _client) -> None:
        self._table = table
        self._key = key
        self._client = client

    def check(self) -> None:
        """Read the table; any exception means that it is unavailable."""
        key = {self._key: {"S": NOBODY}}
        self._client().get_item(TableName=self._table, Key=key, ProjectionExpression=self._key)
