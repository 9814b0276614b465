"""Moving traffic to a new version, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from slipway.cloudwatch import Alarm, AlarmState, MetricStore, evaluate
from slipway.testing.templates import DeployedTemplates

# The hook that checks each function.
HOOKS = {"api.handler": "hooks.api_handler", "stream.handler": "hooks.stream_handler"}

# What of Lambda's own metrics rolls each back: callers can throttle the one, and the other takes as long as its batch.
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
    """The alarms of the function's deployment group by the metric they watch; the one on faults watches two."""
    names = [alarm["Name"]["Ref"] for alarm in _group(deployment, handler)["AlarmConfiguration"]["Alarms"]]
    alarms = [deployment["compute"].resources[name]["Properties"] for name in names]
    return {alarm.get("MetricName", "Faults"): alarm for alarm in alarms}


def _of_lambda(deployment: DeployedTemplates, handler: str) -> dict[str, dict[str, Any]]:
    """Those on metrics that Lambda itself emits."""
    return {metric: alarm for metric, alarm in _alarms(deployment, handler).items() if metric != "Faults"}


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("handler", HOOKS)
def test_code_deploy_moves_live_with_the_configured_strategy(deployment: DeployedTemplates, handler: str) -> None:
    group = _group(deployment, handler)

    shift = deployment.environment.deployment.shift
    if shift.predefined:
        assert group["DeploymentConfigName"] == f"CodeDeployDefault.Lambda{shift.name}"
    else:
        # An own configuration is the stack's: its deployment groups share it
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

    # Then each is on a metric that Lambda itself emits, of the version that `live` moves to
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
    # Given that these metrics exist only while the alias has two versions
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
    # Given the function that callers wait for
    alarm = _of_lambda(deployment, "api.handler")["Duration"]
    settings = deployment.environment.services.catalog.api

    # Then it is slow at its own figure, which it reaches before its time-out
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
    # Then one is what the functions count, under the names that their own variables give (slipway_runtime.telemetry)
    variables = deployment.function(handler)["Environment"]["Variables"]
    faults, dimensions = watched["faults"]
    assert (faults["Namespace"], faults["MetricName"]) == (variables["POWERTOOLS_METRICS_NAMESPACE"], "Faults")
    assert dimensions == {
        "service": variables["POWERTOOLS_SERVICE_NAME"],
        "function_name": {"Ref": function},
        "function_version": version,
    }
    # And the other is Lambda's count of this version beside another
    invocations, dimensions = watched["invocations"]
    assert (invocations["Namespace"], invocations["MetricName"]) == ("AWS/Lambda", "Invocations")
    assert deployment.text(stack, dimensions["Resource"]) == f"<{stack}/{function}>:live"
    assert dimensions["ExecutedVersion"] == version


@dataclass
class _Watch:
    """The alarm on faults as it is synthesized, and the minutes that it sees."""

    alarm: Alarm
    store: MetricStore = field(default_factory=MetricStore)
    now: float = 0
    state: AlarmState = AlarmState.INSUFFICIENT_DATA

    def minute(self, *, faults: int = 0, invocations: int | None = 10) -> AlarmState:
        """A minute passes; None: the alias has one version alone."""
        if invocations is not None:
            self._put("Invocations", invocations)
        self._put("Faults", faults)
        return self.later()

    def later(self) -> AlarmState:
        """A minute passes of which CloudWatch knows nothing yet."""
        self.now += 60
        self.state = evaluate(self.alarm, self.store, self.now, self.state).state
        return self.state

    def _put(self, name: str, number: int) -> None:
        (metric,) = (metric for metric in self.alarm.metrics if metric.name == name)
        self.store.put_values(metric, [1.0], self.now, counts=[number])


@pytest.fixture
def watch(deployment: DeployedTemplates) -> _Watch:
    """The alarm of the API's function."""
    properties = _alarms(deployment, "api.handler")["Faults"]
    resolved = json.loads(json.dumps(properties), object_hook=lambda each: _resolved(deployment, each))
    return _Watch(Alarm.from_template(resolved))


def _resolved(deployment: DeployedTemplates, value: dict[str, Any]) -> Any:
    return deployment.text("compute", value) if {"Ref", "Fn::GetAtt", "Fn::Join"} & value.keys() else value


class TestAlarmOnFaults:
    """What sets it off, and what does not, by CloudWatch's rules."""

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
        # Given a version that has been alone for long, and fails: its fix must not be stopped by an alarm that is on
        assert {watch.minute(faults=5, invocations=None) for _ in range(30)} <= {
            AlarmState.OK,
            AlarmState.INSUFFICIENT_DATA,
        }

    def test_it_ends_a_while_after_full_traffic(self, watch: _Watch) -> None:
        # Given a version whose faults set it off late in its canary
        watch.minute()
        assert watch.minute(faults=3) is AlarmState.ALARM
        # When it has all traffic, and goes on failing, then the alarm is over by and by
        states = [watch.minute(faults=3, invocations=None) for _ in range(15)]
        assert states[-1] is AlarmState.OK

    def test_what_is_known_late_sets_it_off_too(self, watch: _Watch) -> None:
        # Given a minute of which Lambda's figures and the faults are known when the next two are over
        watch.minute()
        start = watch.now
        watch.later()
        watch.later()
        for metric in watch.alarm.metrics:
            watch.store.put_values(metric, [1.0], start, counts=[4])
        # When it is evaluated again, then it goes off
        assert watch.later() is AlarmState.ALARM

    def test_faults_known_before_their_invocations_trigger_it(self, watch: _Watch) -> None:
        watch.minute()
        assert watch.minute(faults=1, invocations=None) is AlarmState.ALARM


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize(("handler", "hook"), HOOKS.items())
def test_a_contract_check_runs_before_traffic(deployment: DeployedTemplates, handler: str, hook: str) -> None:
    # Given the hook of the deployment
    name = deployment.text("compute", _update(deployment, handler)["BeforeAllowTrafficHook"])

    # Then it is the name of the function that checks this one, as CodeDeploy documents it
    stack, function = deployment.place_of_function(hook)
    assert name == f"<{stack}/{function}>"
    # And it calls the new version
    target = deployment.function(hook)["Environment"]["Variables"]["TARGET_ALIAS_ARN"]
    assert deployment.text("compute", target) == deployment.aliases(handler)["staging"]


@pytest.mark.requirement("a permission that is created after the resource that needs it")
@pytest.mark.parametrize("handler", HOOKS)
def test_live_is_updated_after_what_a_deployment_uses(deployment: DeployedTemplates, handler: str) -> None:
    # Given what `live` waits for
    compute = deployment["compute"]
    waits_for = set(_live(deployment, handler)["DependsOn"])
    role = _group(deployment, handler)["ServiceRoleArn"]["Fn::GetAtt"][0]
    policies = {
        key
        for key, resource in compute.of_type("AWS::IAM::ManagedPolicy").items()
        if {"Ref": role} in resource["Properties"]["Roles"]
    }
    hook = deployment.aliases(HOOKS[handler])["live"][1:-1].split("/")[1]

    # Then the permissions of CodeDeploy and the hook are among it
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

    # Then it reaches this function, this hook, and reads alarms
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


def test_rollback_alarms_stand_with_the_function_they_guard(deployment: DeployedTemplates) -> None:
    # Given that an alarm in another stack would be a cycle of stacks
    for handler in HOOKS:
        assert len(_alarms(deployment, handler)) == 3
    # Then observability reads, and nothing reads it; the relay of the foundation knows its alarms by their names
    for template in deployment:
        if template.name not in {"foundation", "observability"}:
            assert deployment["observability"].stack_name not in template.text()
