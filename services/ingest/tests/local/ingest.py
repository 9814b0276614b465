"""What the tests of `ingest` on the emulator share: a caller with a key, and a look behind the API as the root."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import httpx

from slipway.testing.emulated import until

DONE = frozenset({"completed", "failed"})


@dataclass(frozen=True)
class Caller:
    """A program with an API key."""

    http: httpx.Client
    endpoint: str
    key: str | None

    def call(self, method: str, path: str, **content: Any) -> httpx.Response:
        headers = dict(content.pop("headers", {}))
        if self.key is not None:
            headers["x-api-key"] = self.key
        return self.http.request(method, self.endpoint + path.removeprefix("/"), headers=headers, **content)

    def send(self, payload: str) -> dict[str, Any]:
        response = self.call("POST", "/data", json={"payload": payload})
        assert response.status_code == 201, response.text
        record: dict[str, Any] = response.json()
        return record

    def read(self, record_id: str) -> httpx.Response:
        return self.call("GET", "/data", params={"id": record_id})

    def start(self) -> dict[str, Any]:
        response = self.call("POST", "/process")
        assert response.status_code == 202, response.text
        job: dict[str, Any] = response.json()
        assert response.url.join(response.headers["location"]) == f"{self.endpoint}process/{job['id']}"
        return job

    def job(self, job_id: str) -> dict[str, Any]:
        response = self.call("GET", f"/process/{job_id}")
        assert response.status_code == 200, response.text
        job: dict[str, Any] = response.json()
        return job

    def ended(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """The job once it has ended."""
        return until(lambda: job if (job := self.job(job_id))["status"] in DONE else None, seconds)


@dataclass(frozen=True)
class Behind:
    """The service's resources, seen by the root of the account."""

    session: boto3.Session
    outputs: Mapping[str, str]

    def client(self, name: Any) -> Any:
        return self.session.client(name)

    def key_value(self, key_id: str | None = None) -> str:
        answer = self.client("apigateway").get_api_key(apiKey=key_id or self.outputs["ApiKeyId"], includeValue=True)
        value: str = answer["value"]
        return value

    def new_key(self, plan_id: str | None = None) -> str:
        """Value of another key in a usage plan. Default: the service's own."""
        gateway = self.client("apigateway")
        key = gateway.create_api_key(name="test", enabled=True)
        gateway.create_usage_plan_key(
            usagePlanId=plan_id or self.outputs["UsagePlanId"], keyId=key["id"], keyType="API_KEY"
        )
        return self.key_value(key["id"])

    def new_plan(self, **limits: Any) -> str:
        """Id of another usage plan on the API's stage."""
        stages = [{"apiId": self.outputs["ApiId"], "stage": "live"}]
        plan: str = self.client("apigateway").create_usage_plan(name="test", apiStages=stages, **limits)["id"]
        return plan

    def items(self, output: str) -> list[dict[str, Any]]:
        """Everything in a table."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs[output])
        return [item for page in pages for item in page["Items"]]

    def waiting(self, output: str) -> int:
        """Messages in a queue, those that somebody works on among them."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=self.outputs[output], AttributeNames=names)
        return sum(int(attributes["Attributes"][name]) for name in names)

    def put(self, output: str, body: Any) -> None:
        """Sends a message to a queue; what is no text goes as JSON."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.client("sqs").send_message(QueueUrl=self.outputs[output], MessageBody=text)

    def take(self, output: str) -> list[dict[str, Any]]:
        """Takes all messages that are in a queue now."""
        sqs, url = self.client("sqs"), self.outputs[output]
        taken: list[dict[str, Any]] = []
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=60
        ).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken += messages
        return taken


def reason(message: Mapping[str, Any]) -> str | None:
    """Why a message is a dead letter."""
    text: str | None = message.get("MessageAttributes", {}).get("reason", {}).get("StringValue")
    return text
