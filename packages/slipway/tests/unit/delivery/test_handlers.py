"""The two Lambda handlers write metrics to standard output, and send messages to the topic and the chat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from slipway.delivery.observation import SERVICE
from slipway.delivery.runtime import handlers as module
from unit.delivery.delivery import DELIVERY, Desk, recorded

CONTEXT: Any = SimpleNamespace(
    function_name="figures",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:us-east-1:999999999999:function:figures:live",
    aws_request_id="request",
)
TOPIC = "arn:aws:sns:us-east-1:999999999999:notifications"


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import the module as Lambda does."""
    described = {
        "stages": dict(DELIVERY.stages),
        "last_stages": sorted(DELIVERY.last_stages),
        "accounts": dict(DELIVERY.accounts),
        "namespace": "Slipway/Delivery",
    }
    for name, value in {
        "POWERTOOLS_SERVICE_NAME": SERVICE,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "TABLE_NAME": "memory",
        "TOPIC_ARN": TOPIC,
        "DELIVERY": json.dumps(described),
    }.items():
        monkeypatch.setenv(name, value)
    module._delivery.cache_clear()
    module._described.cache_clear()
    yield module
    module._delivery.cache_clear()
    module._described.cache_clear()


@pytest.mark.requirement("notifications and figures")
def test_figures_are_metrics_of_the_environment(
    handlers: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk()
    monkeypatch.setattr(handlers, "_memory", lambda: desk)
    monkeypatch.setattr(handlers, "_executions", lambda: desk)

    handlers.figures_handler(recorded("stage-failed"), CONTEXT)

    found = {}
    for line in capsys.readouterr().out.splitlines():
        document = json.loads(line)
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "Slipway/Delivery"
        # The dashboard and the alarms query these two dimensions
        assert directive["Dimensions"] == [["Environment", "service"]]
        assert (document["Environment"], document["service"]) == ("prod", SERVICE)
        (metric,) = directive["Metrics"]
        found[metric["Name"]] = document[metric["Name"]]
    assert found == {"Deployments": [1.0], "ChangeFailures": [1.0]}


def test_an_event_of_no_interest_makes_no_metric(handlers: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    handlers.figures_handler(recorded("action-failed"), CONTEXT)

    assert capsys.readouterr().out == ""


class Clients:
    """The clients of the function that sends notifications."""

    def __init__(self) -> None:
        self.sns = Mock()
        self.secretsmanager = Mock()
        self.secretsmanager.get_secret_value.return_value = {"SecretString": "https://hooks.example.com/secret"}

    def client(self, service: str) -> Any:
        return getattr(self, service)


@pytest.mark.requirement("notifications and figures")
@pytest.mark.parametrize("chat", [True, False])
def test_people_are_notified_by_mail_and_chat(
    handlers: ModuleType, monkeypatch: pytest.MonkeyPatch, chat: bool
) -> None:
    clients, posted = Clients(), Mock()
    monkeypatch.setattr(handlers, "aws", clients)
    monkeypatch.setattr(handlers.webhook, "post", posted)
    if chat:
        monkeypatch.setenv("WEBHOOK_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:999999999999:secret:chat-AbCdEf")

    handlers.notify_handler(recorded("approval-waiting"), CONTEXT)

    sent = clients.sns.publish.call_args.kwargs
    assert sent["TopicArn"] == TOPIC
    assert sent["Subject"] == "slipway: prod-approval waits for an approval"
    assert posted.call_count == (1 if chat else 0)


def test_a_started_stage_is_not_notified(handlers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = Clients()
    monkeypatch.setattr(handlers, "aws", clients)

    handlers.notify_handler(recorded("stage-started"), CONTEXT)

    clients.sns.publish.assert_not_called()


@pytest.mark.parametrize("chat", [True, False])
def test_alarms_go_to_the_chat_alone(handlers: ModuleType, monkeypatch: pytest.MonkeyPatch, chat: bool) -> None:
    # Given that the environment's own topic already mails its alarms
    clients, posted = Clients(), Mock()
    monkeypatch.setattr(handlers, "aws", clients)
    monkeypatch.setattr(handlers.webhook, "post", posted)
    if chat:
        monkeypatch.setenv("WEBHOOK_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:999999999999:secret:chat-AbCdEf")

    handlers.notify_handler(recorded("alarm-on"), CONTEXT)

    assert not clients.sns.publish.called
    said = [call.args[1] for call in posted.call_args_list]
    assert [line.split("\n")[0] for line in said] == ["prod: prod-items-observability-AlarmsApi5xx is in alarm"] * chat
