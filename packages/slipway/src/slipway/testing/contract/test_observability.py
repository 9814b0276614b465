"""Alarms and dashboards: everything that can fail is watched, and somebody is notified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from slipway.settings import Environment
from slipway.testing.contract.reading import functions, references
from slipway.testing.templates import DeployedTemplates

_COMPOSITE = "AWS::CloudWatch::CompositeAlarm"
_APIS = ("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api")


def _alarms(deployment: DeployedTemplates) -> list[dict[str, Any]]:
    """Return the properties of the alarms, except those that a composite alarm combines and reports in their place."""
    template = deployment["observability"]
    joined = {name for alarm in template.properties_of(_COMPOSITE) for name in references(alarm["AlarmRule"])}
    return [
        resource["Properties"]
        for key, resource in template.of_type("AWS::CloudWatch::Alarm").items()
        if key not in joined
    ]


def _has_api(deployment: DeployedTemplates) -> bool:
    return any(deployment["compute"].of_type(kind) for kind in _APIS)


def _widgets(deployment: DeployedTemplates) -> list[dict[str, Any]]:
    dashboard = deployment["observability"].only("AWS::CloudWatch::Dashboard")
    body = json.loads(deployment.text("observability", dashboard["DashboardBody"]))
    return [widget["properties"] | {"y": widget["y"]} for widget in body["widgets"]]


def _watched(deployment: DeployedTemplates) -> Iterator[tuple[str, str, str]]:
    """Yield namespace, metric, and the target of each alarm."""
    for alarm in _alarms(deployment):
        queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
        for metric in [*queries, *([alarm] if "MetricName" in alarm else [])]:
            of = [deployment.text("observability", entry["Value"]) for entry in metric.get("Dimensions", [])]
            yield metric["Namespace"], metric["MetricName"], ",".join(of)


@pytest.mark.requirement("ingest: alarms", "items: alarms")
def test_alarms_watch_every_function_table_index_and_queue(deployment: DeployedTemplates) -> None:
    watched = set(_watched(deployment))

    for function in functions(deployment):
        if function.takes_traffic:
            for metric in ("Errors", "Throttles", "Duration"):
                assert ("AWS/Lambda", metric, function.reference) in watched
    for key, table in deployment["data"].of_type("AWS::DynamoDB::Table").items():
        for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
            assert ("AWS/DynamoDB", metric, f"<data/{key}>") in watched
            for index in table["Properties"].get("GlobalSecondaryIndexes", []):
                assert ("AWS/DynamoDB", metric, f"{index['IndexName']},<data/{key}>") in watched
    # A queue with a dead-letter queue is watched by the age of its messages, any other by their number
    for key, queue in deployment["compute"].of_type("AWS::SQS::Queue").items():
        works = "RedrivePolicy" in queue["Properties"]
        metric = "ApproximateAgeOfOldestMessage" if works else "ApproximateNumberOfMessagesVisible"
        assert ("AWS/SQS", metric, f"<compute/{key}.QueueName>") in watched
    # And both kinds of errors of an API
    of_api = {metric.upper().removesuffix("ERROR") for space, metric, _ in watched if space == "AWS/ApiGateway"}
    assert of_api == ({"4XX", "5XX", "COUNT"} if _has_api(deployment) else set())


def test_silence_is_no_alarm(deployment: DeployedTemplates) -> None:
    for alarm in _alarms(deployment):
        assert alarm["TreatMissingData"] == "notBreaching", alarm["AlarmDescription"]


@pytest.mark.requirement("alarm notifications")
def test_every_alarm_tells_the_topic_when_it_begins_and_ends(deployment: DeployedTemplates) -> None:
    topic = deployment.output("AlarmTopicArn")

    assert _alarms(deployment)
    for alarm in [*_alarms(deployment), *deployment["observability"].properties_of(_COMPOSITE)]:
        assert deployment.texts("observability", alarm["AlarmActions"]) == {topic}
        assert deployment.texts("observability", alarm["OKActions"]) == {topic}
        assert alarm.get("ActionsEnabled", True)
        assert alarm["AlarmDescription"]


@pytest.mark.requirement("an alarm on `UserErrors` whose text hides that it counts the whole account")
def test_no_alarm_counts_the_account_without_saying_so(deployment: DeployedTemplates) -> None:
    # Given that `UserErrors` of DynamoDB has no dimension for the table
    for alarm in _alarms(deployment):
        if alarm.get("MetricName") == "UserErrors":
            assert not alarm.get("Dimensions")
            assert "in the whole account" in alarm["AlarmDescription"]
        elif "MetricName" in alarm:
            assert alarm["Dimensions"], alarm["AlarmDescription"]


@pytest.mark.requirement("alarm notifications", "a topic whose policy lets no alarm publish")
def test_alarms_of_this_account_may_publish_to_the_topic(
    deployment: DeployedTemplates, environment: Environment
) -> None:
    # Given that a topic's policy takes the place of the one that lets the account's own services publish
    topic = deployment.output("AlarmTopicArn")
    (statement,) = [
        statement
        for policy in deployment["observability"].properties_of("AWS::SNS::TopicPolicy")
        if topic in deployment.texts("observability", policy["Topics"])
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]

    # Then CloudWatch may, for the alarms of this account and region alone
    account, region = environment.account, environment.region
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Action"] == "sns:Publish"
    assert deployment.text("observability", statement["Resource"]) == topic
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": account}
    source = deployment.text("observability", statement["Condition"]["ArnLike"]["aws:SourceArn"])
    assert source.partition(":")[2].partition(":")[2] == f"cloudwatch:{region}:{account}:alarm:*"


@pytest.mark.requirement("alarm notifications")
def test_the_topic_tells_the_configured_addresses(deployment: DeployedTemplates, environment: Environment) -> None:
    subscriptions = deployment["observability"].properties_of("AWS::SNS::Subscription")

    assert {entry["Endpoint"] for entry in subscriptions} == set(environment.alarms.emails)
    for entry in subscriptions:
        assert entry["Protocol"] == "email"
        assert deployment.text("observability", entry["TopicArn"]) == deployment.output("AlarmTopicArn")


@pytest.mark.requirement("the dashboard")
def test_the_dashboard_shows_everything_that_works(deployment: DeployedTemplates) -> None:
    shown = json.dumps([widget.get("metrics") for widget in _widgets(deployment)])

    for function in functions(deployment):
        if function.takes_traffic:
            for metric in ("Invocations", "Errors", "Duration", "ConcurrentExecutions"):
                assert f'"AWS/Lambda", "{metric}", "FunctionName", "{function.reference}"' in shown
    for key in deployment["data"].of_type("AWS::DynamoDB::Table"):
        for metric in ("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents"):
            assert f'"AWS/DynamoDB", "{metric}", "TableName", "<data/{key}>"' in shown
    for key in deployment["compute"].of_type("AWS::SQS::Queue"):
        for metric in ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"):
            assert f'"AWS/SQS", "{metric}", "QueueName", "<compute/{key}.QueueName>"' in shown
    for metric in ("Count", "Latency"):
        assert (f'"AWS/ApiGateway", "{metric}"' in shown) is _has_api(deployment)
    for statistic in ("p50", "p90", "p99"):
        assert f'"stat": "{statistic}"' in shown


@pytest.mark.requirement("the dashboard")
def test_the_dashboard_begins_with_an_apis_requests_latency_and_errors(deployment: DeployedTemplates) -> None:
    values = [widget for widget in _widgets(deployment) if widget["view"] == "singleValue"]

    if _has_api(deployment):
        titles = [widget["title"].partition(",")[0].lower() for widget in values]
        assert titles == ["requests", "latency p90", "error rate"]
    assert {widget["y"] for widget in values} <= {0}


@pytest.mark.requirement("outputs")
def test_the_dashboards_address_is_an_output(deployment: DeployedTemplates) -> None:
    url = deployment.output("DashboardUrl")
    ((key, dashboard),) = deployment["observability"].of_type("AWS::CloudWatch::Dashboard").items()
    name = dashboard["Properties"].get("DashboardName", f"<observability/{key}>")

    assert url.startswith("https://")
    assert deployment.environment.region in url
    assert url.endswith(f"/{name}")
