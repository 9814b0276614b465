"""The probe: its permissions, its schedule, and which of its alarms count for a release."""

from __future__ import annotations

import json
from typing import Any

from slipway.blocks.alarms import SET_OFF_BY_CALLERS
from slipway.testing.contract.reading import functions
from slipway.testing.templates import DeployedTemplates


def _alarms(deployment: DeployedTemplates) -> dict[str, dict[str, Any]]:
    return {
        key: resource["Properties"]
        for key, resource in deployment["observability"].of_type("AWS::CloudWatch::Alarm").items()
        if str(resource["Properties"].get("MetricName", "")).startswith("Probe")
    }


def test_without_the_setting_there_is_no_probe(dev: DeployedTemplates) -> None:
    assert not [function for function in functions(dev) if function.is_probe]
    assert _alarms(dev) == {}


def test_a_probe_requests_the_public_address_on_a_schedule(prod: DeployedTemplates) -> None:
    (function,) = (function for function in functions(prod) if function.is_probe)
    variables = function.properties["Environment"]["Variables"]

    assert function.properties["Handler"] == "services.catalog.runtime.hooks.probe_handler"
    assert prod.text("compute", variables["PROBE_API"]) == prod.output("ApiEndpoint")
    assert prod.text("compute", variables["PROBE_EDGE"]) == f"https://{prod.output('DistributionDomain')}/"
    (rule,) = prod["compute"].properties_of("AWS::Events::Rule")
    alias, _ = function.aliases["live"]
    assert rule["ScheduleExpression"] == "rate(5 minutes)"
    assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": alias}]
    # It may write its log and traces, use the key, and send failed events to a queue
    actions = {action for statement in function.statements() for action in _listed(statement["Action"])}
    assert {action.partition(":")[0] for action in actions} == {"kms", "logs", "sqs", "xray"}


def test_a_probe_is_updated_after_the_version_it_requests(prod: DeployedTemplates) -> None:
    (function,) = (function for function in functions(prod) if function.is_probe)
    resource = prod["compute"].resources[function.key]
    asked, _ = next(each for each in functions(prod) if each.key.startswith("ApiFunction")).aliases["live"]

    assert asked in resource["DependsOn"]


def test_alarms_that_callers_can_trigger_count_in_no_bake(prod: DeployedTemplates) -> None:
    alarms = _alarms(prod)
    failed, unanswered = (
        next((key, alarm) for key, alarm in alarms.items() if alarm["MetricName"] == name)
        for name in ("ProbeSuccess", "ProbeUnanswered")
    )

    assert len(alarms) == 2
    assert (failed[1]["ComparisonOperator"], failed[1]["Threshold"], failed[1]["Period"]) == (
        "LessThanThreshold",
        1,
        300,
    )
    assert (failed[1]["Statistic"], failed[1]["EvaluationPeriods"]) == ("Minimum", 1)
    assert SET_OFF_BY_CALLERS not in failed[0]
    assert SET_OFF_BY_CALLERS in unanswered[0]


def test_the_dashboard_shows_success_and_latency(prod: DeployedTemplates) -> None:
    dashboard = prod["observability"].only("AWS::CloudWatch::Dashboard")
    body = json.loads(prod.text("observability", dashboard["DashboardBody"]))
    shown = {
        metric[1]
        for widget in body["widgets"]
        if widget["properties"].get("title", "").startswith("Probe")
        for metric in widget["properties"]["metrics"]
    }

    assert {"ProbeSuccess", "ProbeUnanswered"} <= shown


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
