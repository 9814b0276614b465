"""AWS FIS experiments exist only where configured, stop on alarms, and use roles that can do nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import ENVIRONMENTS, SPECIMEN, changed
from slipway.service import Service
from slipway.testing.templates import DeployedTemplates
from specimen.services.catalog.infrastructure import Catalog
from specimen.services.intake.infrastructure import Intake
from specimen.services.studio.infrastructure import Studio

ON = "staging, experiments"
TEMPLATE = "AWS::FIS::ExperimentTemplate"
EVERY_API = pytest.mark.parametrize("service", [Catalog, Intake, Studio], ids=lambda service: service.name)
WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"


def _on(service: type[Service]) -> DeployedTemplates:
    return synthesis.deployment(ON, service)


def _actions(deployment: DeployedTemplates) -> dict[str, dict[str, Any]]:
    """Return the action of each experiment, by the output with its template's id."""
    observability = deployment["observability"]
    return {
        name.removesuffix("Experiment"): observability.resources[output["Value"]["Fn::GetAtt"][0]]["Properties"]
        for name, output in observability.outputs.items()
        if name.endswith("Experiment")
    }


@EVERY_API
def test_experiments_exist_only_if_configured(service: type[Service]) -> None:
    text = json.dumps(
        [synthesis.deployment("staging", service)[stack].text() for stack in ("compute", "observability")]
    )
    assert "aws-fis" not in text
    assert "AWS::FIS" not in text
    assert "experiment" not in text.lower()


@EVERY_API
def test_each_experiment_breaks_functions_within_bounds(service: type[Service]) -> None:
    # Given a service in a test environment with experiments
    actions = _actions(_on(service))
    # Then one delays every function, one fails the readers after their work, and one fails the API before its work
    assert set(actions) == {"SlowFunctions", "FailingReaders", "FailingApi"}
    said = {name: properties["Actions"]["fault"] for name, properties in actions.items()}
    assert said["SlowFunctions"]["ActionId"] == "aws:lambda:invocation-add-delay"
    assert said["SlowFunctions"]["Parameters"] == {"duration": "PT4M", "startupDelayMilliseconds": "700"}
    for name, prevented in (("FailingReaders", "false"), ("FailingApi", "true")):
        assert said[name]["ActionId"] == "aws:lambda:invocation-error"
        percent = {"invocationPercentage": "25", "preventExecution": prevented}
        assert said[name]["Parameters"] == {"duration": "PT4M", **percent}
    # And all functions are delayed, and each of them fails in one of the others
    targets = {
        name: {json.dumps(arn) for arn in each["Targets"]["functions"]["ResourceArns"]}
        for name, each in actions.items()
    }
    assert targets["SlowFunctions"] == targets["FailingReaders"] | targets["FailingApi"]
    assert not targets["FailingReaders"] & targets["FailingApi"]


@EVERY_API
def test_alarms_of_the_service_stop_an_experiment(service: type[Service]) -> None:
    deployment = _on(service)
    alarms = deployment["observability"].of_type("AWS::CloudWatch::Alarm")
    for properties in _actions(deployment).values():
        conditions = properties["StopConditions"]
        # At most five, AWS FIS's limit; none that callers can trigger, and lost work first
        assert 1 < len(conditions) <= 5
        names = [condition["Value"]["Fn::GetAtt"][0] for condition in conditions]
        assert {condition["Source"] for condition in conditions} == {"aws:cloudwatch:alarm"}
        assert all(name in alarms and "SetOffByCallers" not in name for name in names)
        assert "DeadLetters" in names[0]
        assert any("Api5xx" in name for name in names)


@EVERY_API
def test_only_the_functions_with_traffic_have_the_extension(service: type[Service]) -> None:
    compute = _on(service)["compute"]
    functions = compute.of_type("AWS::Lambda::Function")
    opened = {
        name: each["Properties"]
        for name, each in functions.items()
        if WRAPPER in each["Properties"]["Environment"]["Variables"]
    }
    assert len(opened) == 2
    assert not any("Hook" in name or "Probe" in name for name in opened)
    for function in opened.values():
        variables = function["Environment"]["Variables"]
        assert variables[WRAPPER] == "/opt/aws-fis/bootstrap"
        assert json.dumps(variables["AWS_FIS_CONFIGURATION_LOCATION"]).endswith('/faults/"]]}')
        assert (
            function["Layers"][-1] == "{{resolve:ssm:/aws/service/fis/lambda-extension/AWS-FIS-extension-arm64/1.x.x}}"
        )
    bucket = compute.only("AWS::S3::Bucket")
    assert "-faults-" in bucket["BucketName"]


@EVERY_API
def test_fis_reaches_these_functions_and_this_bucket_only(service: type[Service]) -> None:
    deployment = _on(service)
    observability = deployment["observability"]
    (role,) = {json.dumps(each["RoleArn"]) for each in _actions(deployment).values()}
    trust = observability.resources[json.loads(role)["Fn::GetAtt"][0]]["Properties"]["AssumeRolePolicyDocument"]
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"Service": "fis.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": deployment.environment.account}
    (policy,) = [
        each["PolicyDocument"]["Statement"]
        for each in observability.properties_of("AWS::IAM::ManagedPolicy")
        if each["Description"].startswith("Faults of")
    ]
    granted = {json.dumps(each["Action"]): json.dumps(each["Resource"]) for each in policy}
    assert set(granted) == {
        json.dumps(["s3:DeleteObject", "s3:PutObject"]),
        '"lambda:GetFunction"',
        '"tag:GetResources"',
    }
    assert granted[json.dumps(["s3:DeleteObject", "s3:PutObject"])].endswith('/faults/*"]]}')
    assert granted['"tag:GetResources"'] == '"*"'
    assert '"*"' not in granted['"lambda:GetFunction"']


@EVERY_API
def test_the_step_starts_these_experiments_and_no_others(service: type[Service]) -> None:
    deployment = _on(service)
    observability = deployment["observability"]
    (role,) = [
        each
        for each in observability.properties_of("AWS::IAM::Role")
        if each.get("RoleName") == f"slipway-staging-{service.name}-experiment"
    ]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert ":role/slipway-staging-experiment" in json.dumps(trust["Condition"]["ArnEquals"]["aws:PrincipalArn"])
    (policy,) = [
        each["PolicyDocument"]["Statement"]
        for each in observability.properties_of("AWS::IAM::ManagedPolicy")
        if each["Description"].startswith("Starts")
    ]
    named = [each for each in policy if "experiment-template" in json.dumps(each["Resource"])]
    assert [each["Action"] for each in named] == ["fis:StartExperiment"]
    assert len(named[0]["Resource"]) == len(_actions(deployment))
    assert not any("*" in json.dumps(each) for each in named[0]["Resource"])


def test_an_api_with_objectives_is_not_failed() -> None:
    promised = changed(ENVIRONMENTS[ON], {"services.catalog.slo": {"availability": 99.5, "latency_ms": 900}})
    deployment = synthesis.deploy("staging, promised", promised)
    assert set(_actions(deployment)) == {"SlowFunctions", "FailingReaders"}


def test_a_delay_that_times_out_is_refused() -> None:
    with pytest.raises(ValueError, match=r"resilience\.delay_ms must be at most half of"):
        changed(
            SPECIMEN.environment("staging"),
            {"resilience": {"delay_ms": 5000}, "services.catalog.api.timeout_seconds": 9},
        )
