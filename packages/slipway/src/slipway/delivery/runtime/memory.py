"""Storage for the metrics in a DynamoDB table whose records expire, and their queries to CodePipeline."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_codepipeline import CodePipelineClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

KEEP_SECONDS = 90 * 24 * 60 * 60
"""Expiry of a record: longer than any execution lasts, and longer than EventBridge retries an event (24 hours)."""

ALARM = "ALARM"
QUIET = "QUIET"


class TableMemory:
    """`figures.FiguresMemory` in a table with the partition key `id` and the TTL attribute `expiration`.

    Args:
        table_name: The table.
        dynamodb: Client of DynamoDB.
    """

    def __init__(self, table_name: str, dynamodb: DynamoDBClient) -> None:
        self._table = table_name
        self._dynamodb = dynamodb

    def first_time(self, key: str) -> bool:
        """Return True the first time a key is seen, and False afterwards."""
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=_item(f"seen#{key}", "-"),
                ConditionExpression="attribute_not_exists(id)",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def get(self, key: str) -> str | None:
        """Return the value stored under a key."""
        item = self._dynamodb.get_item(TableName=self._table, Key={"id": {"S": key}}, ConsistentRead=True).get("Item")
        return item["value"]["S"] if item else None

    def put(self, key: str, value: str | None) -> None:
        """Store a value under a key, or delete it."""
        if value is None:
            self._dynamodb.delete_item(TableName=self._table, Key={"id": {"S": key}})
        else:
            self._dynamodb.put_item(TableName=self._table, Item=_item(key, value))

    def set_alarm(self, environment: str, alarm: str, *, at: datetime, in_alarm: bool) -> int:
        """Store an alarm's state, unless a later one is stored, and return the number of alarms in ALARM."""
        key = _alarms_key(environment)
        # One record for all alarms of an environment, so that their number is read as of this change. It does not
        # expire: an alarm stays active until it is fixed.
        self._dynamodb.update_item(
            TableName=self._table,
            Key=key,
            UpdateExpression="SET alarms = if_not_exists(alarms, :none)",
            ExpressionAttributeValues={":none": {"M": {}}},
        )
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=key,
                UpdateExpression="SET alarms.#alarm = :state",
                ConditionExpression="attribute_not_exists(alarms.#alarm) OR alarms.#alarm < :state",
                ExpressionAttributeNames={"#alarm": alarm},
                # The time comes first, so that the later of two states sorts higher.
                ExpressionAttributeValues={":state": {"S": f"{at.timestamp():017.6f} {ALARM if in_alarm else QUIET}"}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
        return self.alarms_on(environment)

    def alarms_on(self, environment: str) -> int:
        """Return the number of the environment's alarms that are in ALARM."""
        found = self._dynamodb.get_item(TableName=self._table, Key=_alarms_key(environment), ConsistentRead=True)
        alarms = found["Item"]["alarms"]["M"] if "Item" in found else {}
        return sum(state["S"].endswith(ALARM) for state in alarms.values())


def _alarms_key(environment: str) -> dict[str, AttributeValueTypeDef]:
    return {"id": {"S": f"alarms#{environment}"}}


def _item(key: str, value: str) -> dict[str, AttributeValueTypeDef]:
    return {"id": {"S": key}, "value": {"S": value}, "expiration": {"N": str(int(time.time()) + KEEP_SECONDS)}}


class PipelineExecutions:
    """`figures.Executions` from CodePipeline's API.

    Args:
        codepipeline: Client of CodePipeline.
    """

    def __init__(self, codepipeline: CodePipelineClient) -> None:
        self._codepipeline = codepipeline

    def rollback_target(self, pipeline: str, execution: str) -> str | None:
        """Return the execution that a rollback returns to; None if this is not a rollback."""
        found = self._codepipeline.get_pipeline_execution(pipelineName=pipeline, pipelineExecutionId=execution)
        return found["pipelineExecution"].get("rollbackMetadata", {}).get("rollbackTargetPipelineExecutionId")

    def committed(self, pipeline: str, execution: str) -> datetime | None:
        """Return when the execution's commit was made: `AuthorDate` of CodeConnections and CodeCommit; None for S3."""
        pages = self._codepipeline.get_paginator("list_action_executions").paginate(
            pipelineName=pipeline, filter={"pipelineExecutionId": execution}
        )
        for page in pages:
            for detail in page["actionExecutionDetails"]:
                said = detail.get("output", {}).get("outputVariables", {}).get("AuthorDate")
                if said:
                    return datetime.fromisoformat(said)
        return None
