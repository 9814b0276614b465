"""Inspect what is behind an API: the tables, queues, buckets and keys of a service on the emulator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3


@dataclass(frozen=True)
class Behind:
    """A service's resources, seen by the root of the account.

    Args:
        session: Of the root.
        outputs: Of the service.
    """

    session: boto3.Session
    outputs: Mapping[str, str]

    def client(self, name: Any) -> Any:
        """Return a client of one of AWS's services."""
        return self.session.client(name)

    def key_value(self, key_id: str | None = None) -> str:
        """Return the value of an API key. Default: the service's own."""
        answer = self.client("apigateway").get_api_key(apiKey=key_id or self.outputs["ApiKeyId"], includeValue=True)
        value: str = answer["value"]
        return value

    def new_key(self, plan_id: str | None = None) -> str:
        """Return the value of another key in a usage plan. Default: the service's own."""
        gateway = self.client("apigateway")
        key = gateway.create_api_key(name="test", enabled=True)
        gateway.create_usage_plan_key(
            usagePlanId=plan_id or self.outputs["UsagePlanId"], keyId=key["id"], keyType="API_KEY"
        )
        return self.key_value(key["id"])

    def new_plan(self, **limits: Any) -> str:
        """Return the id of another usage plan on the API's stage."""
        stages = [{"apiId": self.outputs["ApiId"], "stage": "live"}]
        plan: str = self.client("apigateway").create_usage_plan(name="test", apiStages=stages, **limits)["id"]
        return plan

    def items(self, output: str) -> list[dict[str, Any]]:
        """Return everything in the table that an output names."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs[output])
        return [item for page in pages for item in page["Items"]]

    def waiting(self, output: str) -> int:
        """Return the number of messages in a queue, including those that are being processed."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=self.outputs[output], AttributeNames=names)
        return sum(int(attributes["Attributes"][name]) for name in names)

    def put(self, output: str, body: Any) -> None:
        """Send a message to a queue; anything but text is sent as JSON."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.client("sqs").send_message(QueueUrl=self.outputs[output], MessageBody=text)

    def take(self, output: str) -> list[dict[str, Any]]:
        """Receive and delete all messages that are in a queue now."""
        sqs, url = self.client("sqs"), self.outputs[output]
        taken: list[dict[str, Any]] = []
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=60
        ).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken += messages
        return taken
