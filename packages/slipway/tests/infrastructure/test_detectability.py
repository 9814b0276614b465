"""The committed configuration is surveyed completely, and the page and the picture match it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN
from slipway.cloudwatch import Alarm, MissingData
from slipway.detectability import MetricScope, Rollout, Survey, SurveyedFunction, Trigger, read
from slipway.testing.templates import DeployedTemplates
from specimen.delivery import SERVICES

ENVIRONMENTS = [environment.name for environment in SPECIMEN.environments]


def _stacks(deployment: DeployedTemplates) -> Mapping[str, Any]:
    return {template.stack_name: template.raw for template in deployment}


def _rollouts(environment: str) -> Iterator[Rollout]:
    for service in SERVICES:
        yield from read(_stacks(synthesis.deployment(environment, service)), environment, service.name)


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_function_under_codedeploy_is_surveyed(environment: str) -> None:
    # Given every alias that CodeDeploy moves
    aliases = [
        resource
        for service in SERVICES
        for template in synthesis.deployment(environment, service)
        for resource in template.of_type("AWS::Lambda::Alias").values()
        if "CodeDeployLambdaAliasUpdate" in resource.get("UpdatePolicy", {})
    ]
    # When the deployment groups are read
    rollouts = list(_rollouts(environment))
    # Then each alias has a rollout with the environment's strategy, alarms only on the new version, none of them blind,
    # and a configured rate
    assert len(rollouts) == len(aliases) > 0
    settings = SPECIMEN.environment(environment)
    for rollout in rollouts:
        assert rollout.shift == settings.deployment.shift
        kinds = {alarm.name.rpartition("Deployment")[2] for alarm in rollout.alarms}
        assert kinds == {"Errors", "Faults", *ALSO_WATCHED[rollout.trigger]}
        assert not rollout.blind
        assert set(rollout.scopes.values()) == {MetricScope.VERSION}
        assert all(alarm.treat_missing_data is MissingData.NOT_BREACHING for alarm in rollout.alarms)
        assert getattr(settings.services, rollout.service).traffic.of(rollout.function) > 0


ALSO_WATCHED = {
    Trigger.REQUESTS: {"Latency"},
    Trigger.QUEUE: {"Throttles"},
    Trigger.STREAM: {"Throttles"},
    Trigger.ASYNCHRONOUS: set[str](),
}
"""Additional metrics that a canary watches, by what invokes the function."""


def test_trigger_of_each_function_is_known() -> None:
    found = {rollout.name: rollout.trigger for rollout in _rollouts("prod")}

    assert found == {
        "catalog api": Trigger.REQUESTS,
        "catalog stream": Trigger.STREAM,
        "intake api": Trigger.REQUESTS,
        "intake worker": Trigger.QUEUE,
        "studio api": Trigger.REQUESTS,
        "studio worker": Trigger.ASYNCHRONOUS,
        "sweep worker": Trigger.ASYNCHRONOUS,
    }


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_alarm_can_be_evaluated(environment: str, service: type) -> None:
    # Given every alarm of a service, with readable names instead of references
    deployment = synthesis.deployment(environment, service)
    alarms = [
        (template.name, properties)
        for template in deployment
        for properties in template.properties_of("AWS::CloudWatch::Alarm")
    ]
    assert alarms
    for stack, properties in alarms:
        watched = {key: properties[key] for key in properties.keys() - {"AlarmActions", "OKActions"}}
        # When it is read, then the evaluator supports it
        assert Alarm.from_template(_resolved(deployment, stack, watched)).period >= 60


def _resolved(deployment: DeployedTemplates, stack: str, value: Any) -> Any:
    match value:
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Join": _} | {"Fn::GetStackOutput": _} | {"Fn::Select": _}:
            return deployment.text(stack, value)
        case dict():
            return {key: _resolved(deployment, stack, inner) for key, inner in value.items()}
        case list():
            return [_resolved(deployment, stack, inner) for inner in value]
    return value


@pytest.mark.requirement("safe deployments")
def test_some_canaries_detect_failures_and_others_do_not() -> None:
    # Given every rollout with the specimen's traffic, when every failure is simulated
    survey = Survey()
    findings: list[SurveyedFunction] = []
    for environment in SPECIMEN.environments:
        for rollout in _rollouts(environment.name):
            traffic = getattr(environment.services, rollout.service).traffic
            findings.append(survey.examine(rollout, traffic.of(rollout.function)))
    # Then some canaries detect it and others do not
    assert {finding.verdict.sees for finding in findings} == {True, False}
