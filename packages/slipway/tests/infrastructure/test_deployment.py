"""Deployments: how traffic moves to a new version, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from slipway.cloudwatch import Alarm, AlarmState, MetricStore, evaluate
from slipway.testing.templates import DeployedTemplates

# Hooks by the function that they check
HOOKS = {"api.handler": "hooks.api_handler", "stream.handler": "hooks.stream_handler"}

# Lambda's own metrics that roll each back: callers can throttle the API, and the stream's duration depends on its batch
ROLLS_BACK = {"api.handler": {"Errors", "Duration"}, "stream.handler": {"Errors", "Throttles"}}


def _live(deployment: DeployedTemplates, handler: str) -> dict[str, Any]:
    return deployment.behind(deployment.aliases(handler)["live"])


def _update(deployment: DeployedTemplates, handler: str) -> dict[str, Any]:
    update: dict[str, Any] = _live(deployment, handler)["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    return update


def _group(deployment: DeployedTemplates, handler: str) -> dict[str, Any]:
    group = deployment["compute"].resources[_update(deployment, handler)["DeploymentGroupName"]["Ref"]]
    assert group["Type"] == "AWS::CodeDeploy::DeploymentGroup"
    properties: dict[str, Any] = group["Properties"]
    return properties


def _alarms(deployment: DeployedTemplates, handler: str) -> dict[str, dict[str, Any]]:
    """Return the alarms of the deployment group by the metric they watch; the one on faults watches two."""
    names = [alarm["Name"]["Ref"] for alarm in _group(deployment, handler)["AlarmConfiguration"]["Alarms"]]
    alarms = [deployment["compute"].resources[name]["Properties"] for name in names]
    return {alarm.get("MetricName", "Faults"): alarm for alarm in alarms}


def _of_lambda(deployment: DeployedTemplates, handler: str) -> dict[str, dict[str, Any]]:
    """Return the alarms on metrics that Lambda itself emits."""
    return {metric: alarm for metric, alarm in _alarms(deployment, handler).items() if metric != "Faults"}


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("handler", HOOKS)
def test_code_deploy_moves_live_with_the_configured_strategy(deployment: DeployedTemplates, handler: str) -> None:
    group = _group(deployment, handler)

    shift = deployment.environment.deployment.shift
    if shift.predefined:
        assert group["DeploymentConfigName"] == f"CodeDeployDefault.Lambda{shift.name}"
    else:
        # A custom configuration belongs to the stack: its deployment groups share it
        (own,) = deployment["compute"].of_type("AWS::CodeDeploy::DeploymentConfig")
        assert group["DeploymentConfigName"] == {"Ref": own}
    assert group["DeploymentStyle"] == {"DeploymentType": "BLUE_GREEN", "DeploymentOption": "WITH_TRAFFIC_CONTROL"}
    application = deployment["compute"].resources[group["ApplicationName"]["Ref"]]["Properties"]
    assert application["ComputePlatform"] == "Lambda"
    assert _update(deployment, handler)["ApplicationName"] == group["ApplicationName"]


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("handler", HOOKS)
def test_a_deployment_rolls_back_on_alarm_failure_and_stop(deployment: DeployedTemplates, handler: str) -> None:
    group = _group(deployment, handler)

    assert group["AutoRollbackConfiguration"]["Enabled"] is True
    assert set(group["AutoRollbackConfiguration"]["Events"]) == {
        "DEPLOYMENT_FAILURE",
        "DEPLOYMENT_STOP_ON_ALARM",
        "DEPLOYMENT_STOP_ON_REQUEST",
    }
    assert group["AlarmConfiguration"]["Enabled"] is True
    assert not group["AlarmConfiguration"].get("IgnorePollAlarmFailure", False)


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("handler", HOOKS)
def test_alarms_watch_what_lambda_emits_of_the_new_version_alone(deployment: DeployedTemplates, handler: str) -> None:
    # Given the alarms that roll back
    stack, function = deployment.place_of_function(handler)
    alarms = _of_lambda(deployment, handler)
    version = _live(deployment, handler)["Properties"]["FunctionVersion"]

    # Then each watches a metric that Lambda emits for the version that `live` moves to
    assert set(alarms) == ROLLS_BACK[handler]
    for alarm in alarms.values():
        assert alarm["Namespace"] == "AWS/Lambda"
        dimensions = {entry["Name"]: entry["Value"] for entry in alarm["Dimensions"]}
        assert set(dimensions) == {"FunctionName", "Resource", "ExecutedVersion"}
        assert dimensions["FunctionName"] == {"Ref": function}
        assert deployment.text(stack, dimensions["Resource"]) == f"<{stack}/{function}>:live"
        assert dimensions["ExecutedVersion"] == version


@pytest.mark.requirement("safe deployments", "a canary's alarm that treats missing data as breaching")
@pytest.mark.parametrize("handler", HOOKS)
def test_a_version_without_traffic_trips_no_alarm(deployment: DeployedTemplates, handler: str) -> None:
    # These metrics only exist while the alias has two versions
    for alarm in _alarms(deployment, handler).values():
        assert alarm["TreatMissingData"] == "notBreaching"


@pytest.mark.parametrize("handler", HOOKS)
def test_one_error_one_throttle_or_slow_answers_are_enough(deployment: DeployedTemplates, handler: str) -> None:
    alarms = _of_lambda(deployment, handler)

    for metric in ROLLS_BACK[handler] - {"Duration"}:
        alarm = alarms[metric]
        assert (alarm["Statistic"], alarm["Threshold"], alarm["Period"]) == ("Sum", 1, 60)
    for alarm in alarms.values():
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert alarm["EvaluationPeriods"] == 1


@pytest.mark.requirement("safe deployments")
def test_latency_is_measured_against_the_functions_own_setting(deployment: DeployedTemplates) -> None:
    # Given the alarm on the function that callers wait for
    alarm = _of_lambda(deployment, "api.handler")["Duration"]
    settings = deployment.environment.services.catalog.api

    # Then its threshold is the function's own, below its timeout
    assert alarm["ExtendedStatistic"] == "p99"
    assert alarm["Threshold"] == settings.latency_threshold_ms < settings.timeout_seconds * 1000


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("handler", HOOKS)
def test_alarm_counts_the_new_versions_own_faults(deployment: DeployedTemplates, handler: str) -> None:
    # Given the metrics of the alarm on faults
    stack, function = deployment.place_of_function(handler)
    version = _live(deployment, handler)["Properties"]["FunctionVersion"]
    queries = {query["Id"]: query for query in _alarms(deployment, handler)["Faults"]["Metrics"]}
    watched = {
        name: (
            query["MetricStat"]["Metric"],
            {entry["Name"]: entry["Value"] for entry in query["MetricStat"]["Metric"]["Dimensions"]},
        )
        for name, query in queries.items()
        if "MetricStat" in query
    }
    assert {
        (query["MetricStat"]["Stat"], query["MetricStat"]["Period"])
        for query in queries.values()
        if "MetricStat" in query
    } == {("Sum", 60)}
    # Then one is counted by the functions, under the names in their own variables (slipway_runtime.telemetry)
    variables = deployment.function(handler)["Environment"]["Variables"]
    faults, dimensions = watched["faults"]
    assert (faults["Namespace"], faults["MetricName"]) == (variables["POWERTOOLS_METRICS_NAMESPACE"], "Faults")
    assert dimensions == {
        "service": variables["POWERTOOLS_SERVICE_NAME"],
        "function_name": {"Ref": function},
        "function_version": version,
    }
    # And the other is Lambda's count for this version
    invocations, dimensions = watched["invocations"]
    assert (invocations["Namespace"], invocations["MetricName"]) == ("AWS/Lambda", "Invocations")
    assert deployment.text(stack, dimensions["Resource"]) == f"<{stack}/{function}>:live"
    assert dimensions["ExecutedVersion"] == version


@dataclass
class _Watch:
    """The synthesised alarm on faults, and the minutes that it evaluates."""

    alarm: Alarm
    store: MetricStore = field(default_factory=MetricStore)
    now: float = 0
    state: AlarmState = AlarmState.INSUFFICIENT_DATA

    def minute(self, *, faults: int = 0, invocations: int | None = 10) -> AlarmState:
        """Let a minute pass with these metrics; None: the alias has only one version."""
        if invocations is not None:
            self._put("Invocations", invocations)
        self._put("Faults", faults)
        return self.later()

    def later(self) -> AlarmState:
        """Let a minute pass whose metrics CloudWatch does not have yet."""
        self.now += 60
        self.state = evaluate(self.alarm, self.store, self.now, self.state).state
        return self.state

    def _put(self, name: str, number: int) -> None:
        (metric,) = (metric for metric in self.alarm.metrics if metric.name == name)
        self.store.put_values(metric, [1.0], self.now, counts=[number])


@pytest.fixture
def watch(deployment: DeployedTemplates) -> _Watch:
    """Return the alarm of the API's function."""
    properties = _alarms(deployment, "api.handler")["Faults"]
    resolved = json.loads(json.dumps(properties), object_hook=lambda each: _resolved(deployment, each))
    return _Watch(Alarm.from_template(resolved))


def _resolved(deployment: DeployedTemplates, value: dict[str, Any]) -> Any:
    return deployment.text("compute", value) if {"Ref", "Fn::GetAtt", "Fn::Join"} & value.keys() else value


class TestAlarmOnFaults:
    """What triggers it, and what does not, by CloudWatch's rules."""

    @pytest.mark.requirement("safe deployments")
    def test_one_fault_of_a_shifting_version_is_enough(self, watch: _Watch) -> None:
        assert [watch.minute(), watch.minute(), watch.minute(faults=1)] == [
            AlarmState.OK,
            AlarmState.OK,
            AlarmState.ALARM,
        ]

    def test_healthy_version_is_quiet_for_the_whole_canary(self, watch: _Watch) -> None:
        assert {watch.minute() for _ in range(30)} == {AlarmState.OK}

    @pytest.mark.requirement("safe deployments")
    def test_faults_after_full_traffic_do_not_count(self, watch: _Watch) -> None:
        # Given a failing version that has long had all traffic, whose fix must not be stopped by an active alarm
        assert {watch.minute(faults=5, invocations=None) for _ in range(30)} <= {
            AlarmState.OK,
            AlarmState.INSUFFICIENT_DATA,
        }

    def test_alarm_ends_a_while_after_full_traffic(self, watch: _Watch) -> None:
        # Given a version whose faults trigger the alarm late in its canary
        watch.minute()
        assert watch.minute(faults=3) is AlarmState.ALARM
        # When it has all traffic and keeps failing, then the alarm ends after a while
        states = [watch.minute(faults=3, invocations=None) for _ in range(15)]
        assert states[-1] is AlarmState.OK

    def test_late_metrics_trigger_it_too(self, watch: _Watch) -> None:
        # Given a minute whose metrics arrive after the next two minutes
        watch.minute()
        start = watch.now
        watch.later()
        watch.later()
        for metric in watch.alarm.metrics:
            watch.store.put_values(metric, [1.0], start, counts=[4])
        # When the alarm is evaluated again, then it triggers
        assert watch.later() is AlarmState.ALARM

    def test_faults_known_before_their_invocations_trigger_it(self, watch: _Watch) -> None:
        watch.minute()
        assert watch.minute(faults=1, invocations=None) is AlarmState.ALARM


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize(("handler", "hook"), HOOKS.items())
def test_a_contract_check_runs_before_traffic(deployment: DeployedTemplates, handler: str, hook: str) -> None:
    # Given the hook of the deployment
    name = deployment.text("compute", _update(deployment, handler)["BeforeAllowTrafficHook"])

    # Then it is the name of the function that checks this one, as CodeDeploy requires
    stack, function = deployment.place_of_function(hook)
    assert name == f"<{stack}/{function}>"
    # And it calls the new version
    target = deployment.function(hook)["Environment"]["Variables"]["TARGET_ALIAS_ARN"]
    assert deployment.text("compute", target) == deployment.aliases(handler)["staging"]


@pytest.mark.requirement("a permission that is created after the resource that needs it")
@pytest.mark.parametrize("handler", HOOKS)
def test_live_is_updated_after_what_a_deployment_uses(deployment: DeployedTemplates, handler: str) -> None:
    # Given the dependencies of `live`
    compute = deployment["compute"]
    waits_for = set(_live(deployment, handler)["DependsOn"])
    role = _group(deployment, handler)["ServiceRoleArn"]["Fn::GetAtt"][0]
    policies = {
        key
        for key, resource in compute.of_type("AWS::IAM::ManagedPolicy").items()
        if {"Ref": role} in resource["Properties"]["Roles"]
    }
    hook = deployment.aliases(HOOKS[handler])["live"][1:-1].split("/")[1]

    # Then they include the permissions of CodeDeploy and the hook
    assert policies
    assert policies <= waits_for
    assert hook in waits_for


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize(("handler", "hook"), HOOKS.items())
def test_codedeploy_may_move_only_this_alias(deployment: DeployedTemplates, handler: str, hook: str) -> None:
    # Given the role of the deployment group
    compute = deployment["compute"]
    role = _group(deployment, handler)["ServiceRoleArn"]["Fn::GetAtt"][0]
    assert "ManagedPolicyArns" not in compute.resources[role]["Properties"]
    (trust,) = compute.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "codedeploy.amazonaws.com"}
    reached: dict[str, set[str]] = {}
    for policy in compute.properties_of("AWS::IAM::ManagedPolicy"):
        if {"Ref": role} in policy["Roles"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                for action in actions:
                    reached.setdefault(action, set()).update(deployment.texts("compute", statement["Resource"]))

    # Then it only reaches this function and this hook, and reads alarms
    _, function = deployment.place_of_function(handler)
    arn = f"<compute/{function}.Arn>"
    assert set(reached) == {
        "lambda:GetAlias",
        "lambda:UpdateAlias",
        "lambda:GetProvisionedConcurrencyConfig",
        "lambda:InvokeFunction",
        "cloudwatch:DescribeAlarms",
    }
    for action in ("lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"):
        assert reached[action] == {arn, f"{arn}:live"}
    _, checking = deployment.place_of_function(hook)
    assert reached["lambda:InvokeFunction"] == {f"<compute/{checking}.Arn>", deployment.aliases(hook)["live"]}


def test_rollback_alarms_are_in_the_stack_of_their_function(deployment: DeployedTemplates) -> None:
    # Given the rollback alarms, which would create a dependency cycle in another stack
    for handler in HOOKS:
        assert len(_alarms(deployment, handler)) == 3
    # Then no stack depends on observability; the foundation's relay knows its alarms by name
    for template in deployment:
        if template.name not in {"foundation", "observability"}:
            assert deployment["observability"].stack_name not in template.text()
