"""Feature flags: what is deployed for them, who may read them, and what rolls them back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN, changed
from slipway.blocks.flags import document
from slipway.settings.model import Flag
from slipway.testing.templates import DeployedTemplates


def _only(deployment: DeployedTemplates, kind: str) -> dict[str, Any]:
    (found,) = deployment["compute"].properties_of(f"AWS::AppConfig::{kind}")
    properties: dict[str, Any] = found
    return properties


def test_content_matches_the_settings(dev: DeployedTemplates) -> None:
    # Given a flag with a rule in dev
    content = json.loads(_only(dev, "HostedConfigurationVersion")["Content"])

    # Then AppConfig has it in the format that Powertools reads
    assert content["shouted_names"]["default"] is False
    (rule,) = content["shouted_names"]["rules"].values()
    assert rule == {"when_match": True, "conditions": [{"action": "STARTSWITH", "key": "name", "value": "loud"}]}


def test_deployment_deploys_this_version_of_the_flags(dev: DeployedTemplates) -> None:
    compute = dev["compute"]
    (version,) = compute.of_type("AWS::AppConfig::HostedConfigurationVersion")

    deployment = _only(dev, "Deployment")

    assert deployment["ConfigurationVersion"] == {"Ref": version}
    assert _only(dev, "DeploymentStrategy")["FinalBakeTimeInMinutes"] == 10


def test_functions_read_exactly_their_own_configuration(dev: DeployedTemplates) -> None:
    # Given the policies of all roles
    statements = [
        statement
        for policy in dev["compute"].properties_of("AWS::IAM::ManagedPolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if "appconfig:GetLatestConfiguration" in statement["Action"]
    ]

    # Then exactly one statement reads one configuration
    (statement,) = statements
    assert statement["Action"] == ["appconfig:GetLatestConfiguration", "appconfig:StartConfigurationSession"]
    ids = {kind: dev["compute"].of_type(f"AWS::AppConfig::{kind}") for kind in ("Application", "Environment")}
    arn = dev.text("compute", statement["Resource"])
    (application,), (environment,) = ids["Application"], ids["Environment"]
    assert f"application/<compute/{application}>/environment/<compute/{environment}>/configuration/" in arn
    assert "*" not in arn


def test_only_functions_with_flags_know_the_application(dev: DeployedTemplates) -> None:
    def application(handler: str) -> Any:
        return dev.function(handler)["Environment"]["Variables"].get("FLAGS_APPLICATION")

    assert application("api.handler") == _only(dev, "Application")["Name"] == "dev-catalog"
    assert application("stream.handler") is None


def test_alarms_on_live_roll_back_a_change(dev: DeployedTemplates) -> None:
    # Given the monitors of the AppConfig environment
    compute = dev["compute"]
    names = [monitor["AlarmArn"]["Fn::GetAtt"][0] for monitor in _only(dev, "Environment")["Monitors"]]
    alarms = [compute.resources[name]["Properties"] for name in names]

    # Then they watch the failures that Lambda and the version itself count
    assert [alarm["MetricName"] for alarm in alarms] == ["Errors", "Faults"]
    for alarm in alarms:
        assert alarm["Threshold"] == 5
        assert alarm["TreatMissingData"] == "notBreaching"
        assert not alarm.get("AlarmActions")


def test_flags_change_after_the_code_did(dev: DeployedTemplates) -> None:
    compute = dev["compute"]
    (deployment,) = compute.of_type("AWS::AppConfig::Deployment")

    depends = compute.resources[deployment]["DependsOn"]

    aliases = [name for name in depends if compute.resources[name]["Type"] == "AWS::Lambda::Alias"]
    assert [compute.resources[name]["Properties"]["Name"] for name in aliases] == ["live"]


def test_service_without_flags_deploys_no_appconfig() -> None:
    # Given the same service without flags
    environment = changed(SPECIMEN.environment("dev"), {"services.catalog.flags": {}})

    deployment = synthesis.deploy("without-flags", environment)

    # Then it has neither AppConfig resources nor variables
    assert not [each for each in deployment["compute"].resources.values() if "AppConfig" in each["Type"]]
    assert "FLAGS_" not in json.dumps(deployment["compute"].resources)


def test_alarms_can_be_left_out_of_the_first_deployment() -> None:
    environment = changed(SPECIMEN.environment("dev"), {"services.catalog.flag_rollout": {"watched": False}})

    assert not _only(synthesis.deploy("unwatched", environment), "Environment").get("Monitors")


@pytest.mark.parametrize(("minutes", "factor"), [(0, 100), (4, 25), (1440, 1)])
def test_a_change_spreads_evenly(minutes: int, factor: float) -> None:
    environment = changed(SPECIMEN.environment("dev"), {"services.catalog.flag_rollout": {"minutes": minutes}})

    strategy = _only(synthesis.deploy("rollout", environment), "DeploymentStrategy")

    assert (strategy["GrowthType"], strategy["GrowthFactor"]) == ("LINEAR", factor)
    assert strategy["DeploymentDurationInMinutes"] == minutes


def test_the_same_flags_give_the_same_document() -> None:
    settings = SPECIMEN.environment("dev").services.catalog
    one, other = (
        settings.model_copy(update={"flags": {name: Flag() for name in names}}) for names in (("a", "b"), ("b", "a"))
    )

    assert document(one) == document(other)
