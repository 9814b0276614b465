"""Contract of what every service keeps confidential: its secrets, and the data that clients send.

The app subclasses `SecrecyContract` in its own local tests.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import boto3
import httpx

from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.contract.callers import Callers
from slipway.testing.contract.http import JSON, OfOperations, Operation, Sender, each
from slipway.testing.emulated import until

_QUIET_LOOKS = 3
"""Number of consecutive reads of the logs without anything new after which the logs count as complete."""

_WHOSE = {"username", "email"}
"""Members of a secret that identify its owner, and aren't secret themselves."""


class SecrecyContract(OfOperations):
    """The suite. Subclass it in a module of the app's local tests, under a name that pytest collects."""

    def test_no_secret_is_in_functions_outputs_or_templates(
        self, local: LocalEnvironment, session: Callable[..., boto3.Session], outputs: Outputs
    ) -> None:
        root = session()
        secrets = list(_secret_values(root))
        assert secrets
        # Given everything that can be read about the services without access to their secrets
        functions, formation = root.client("lambda"), root.client("cloudformation")
        said = {name: json.dumps(values) for name, values in outputs.items()}
        for page in functions.get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                name = function["FunctionName"]
                said[name] = json.dumps(functions.get_function(FunctionName=name), default=str)
        for stack in formation.describe_stacks()["Stacks"]:
            template = formation.get_template(StackName=stack["StackName"])["TemplateBody"]
            said[stack["StackName"]] = json.dumps([template, stack], default=str)
        for file in (local.folder / "assembly").rglob("*.json"):
            said[file.name] = file.read_text(encoding="utf-8")
        # Then none of it holds a value of a secret
        assert [where for where, text in said.items() for value in secrets if value in text] == []

    @each(lambda operation: operation.restricted)
    def test_no_log_holds_what_a_client_sent(
        self,
        send: Sender,
        operation: Operation,
        callers: Callable[[str], Callers],
        session: Callable[..., boto3.Session],
    ) -> None:
        # Given valid and invalid requests with a unique word wherever a client may put text
        root, began, canary = session(), time.time(), f"canary{uuid4().hex}"
        good = callers(operation.service).good
        answers = [send(operation, **content) for content in _telling(operation, canary)]
        answers.append(send(operation, auth=None, headers={"Authorization": f"Bearer {canary}"}))
        assert not [answer.text for answer in answers if answer.is_server_error]
        # When all of them have been processed
        texts = until(lambda: _settled(lambda: _logged(root, began)))
        # Then no log contains the word, the caller's credentials, or a secret
        shown = next(good.auth_flow(httpx.Request("GET", "https://example.com/"))).headers
        kept = {canary, *(shown[name] for name in ("x-api-key", "authorization") if name in shown)}
        kept |= {*callers(operation.service).fuzz.values(), *_secret_values(root)} - {"yes"}
        assert [(group, word) for group, text in texts.items() for word in kept if word in text] == []
        # And the function's own lines are JSON, with the service's name
        lines = [json.loads(line) for text in texts.values() for line in text.splitlines() if line.startswith("{")]
        assert operation.service in {line.get("service") for line in lines}


def _telling(operation: Operation, canary: str) -> Iterator[dict[str, Any]]:
    """Yield the contents of requests with a word in their headers, parameters and bodies."""
    headers = {"X-Token": canary, "Cookie": f"session={canary}", "If-None-Match": f'"{canary}"'}
    headers |= {name: f"{canary}-x" for name, _ in operation.parameters("header")}
    yield {"headers": headers}
    for name, _ in operation.parameters("query"):
        yield {"params": {name: canary}}
    if operation.route.body is None:
        return
    texts = {name: canary for name, schema in operation.schema["properties"].items() if schema.get("type") == "string"}
    free = {name: {canary: canary} for name, schema in operation.schema["properties"].items() if _is_free(schema)}
    example = json.loads(operation.route.body)
    for body in ({**example, **free, **texts}, {**example, **free}, {**example, canary: 1}, {**example, **texts}):
        yield {"content": json.dumps(body).encode(), "headers": {**JSON, **headers}}
    yield {"content": f'{{"{canary}": "{canary}'.encode(), "headers": JSON}


def _is_free(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object" and "properties" not in schema


def _secret_values(root: boto3.Session) -> Iterator[str]:
    """Yield every value that a secret of the account has or had."""
    secrets = root.client("secretsmanager")
    for page in secrets.get_paginator("list_secrets").paginate():
        for secret in page["SecretList"]:
            for version in secrets.describe_secret(SecretId=secret["ARN"])["VersionIdsToStages"]:
                value = secrets.get_secret_value(SecretId=secret["ARN"], VersionId=version)["SecretString"]
                yield from (each for name, each in json.loads(value).items() if name not in _WHOSE)


def _logged(root: boto3.Session, since: float) -> dict[str, str]:
    """Return what was written to each of the account's log groups since a time."""
    logs = root.client("logs")
    events = logs.get_paginator("filter_log_events")
    return {
        group["logGroupName"]: "\n".join(
            event["message"]
            for page in events.paginate(logGroupName=group["logGroupName"], startTime=int(since * 1000))
            for event in page["events"]
        )
        for groups in logs.get_paginator("describe_log_groups").paginate()
        for group in groups["logGroups"]
    }


def _settled(look: Callable[[], dict[str, str]]) -> dict[str, str] | None:
    """Return the result of repeated reads once nothing new appears; None until then."""
    looks = []
    for _ in range(_QUIET_LOOKS):
        looks.append(look())
        time.sleep(0.2)
    return looks[-1] if all(found == looks[-1] for found in looks) else None
