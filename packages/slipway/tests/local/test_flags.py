"""Flags on the emulator: a function reads them from AppConfig with its role, and alarms roll them back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.emulator.server import Credentials, Emulator, isolate
from slipway.testing.emulated import Request, until

STACK_PREFIX = "dev-catalog-compute"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """Create an empty account."""
    isolate()
    found = Emulator("444444444444", "us-east-1", tmp_path / "emulator", tls=tmp_path / "tls")
    found.start()
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def appconfig(local: LocalEnvironment) -> Any:
    return local.emulator.session().client("appconfig")


@pytest.fixture
def place(local: LocalEnvironment) -> dict[str, str]:
    """Return the ids of the service's application, environment and profile, and of its first alarm."""
    formation = local.emulator.session().client("cloudformation")
    (stack,) = (
        each["StackName"]
        for each in formation.describe_stacks()["Stacks"]
        if each["StackName"].startswith(STACK_PREFIX)
    )
    found = formation.describe_stack_resources(StackName=stack)["StackResources"]
    ids = {
        each["ResourceType"].rpartition("::")[2]: each["PhysicalResourceId"]
        for each in found
        if "AppConfig" in each["ResourceType"]
    }
    alarm = next(each for each in found if each["LogicalResourceId"].startswith("FlagsApiFunctionErrors"))
    return {**ids, "alarm": alarm["PhysicalResourceId"]}


@pytest.fixture
def entry(local: LocalEnvironment, outputs: Outputs, signed: Request) -> tuple[str, dict[str, str]]:
    """Return the path of an entry, and the header that the edge sends."""
    made = signed("POST", "/items", service="catalog", json={"name": "quiet kettle"}).json()
    secrets = local.emulator.session().client("secretsmanager")
    secret = secrets.get_secret_value(SecretId=outputs["catalog"]["OriginSecretArn"])["SecretString"]
    return f"/items/{made['id']}", {"X-Origin-Verify": json.loads(secret)["header"]}


def _deploy(appconfig: Any, place: dict[str, str], content: Any, *, bake_minutes: int = 0) -> int:
    """Deploy flags with AppConfig's own API, and return the deployment's number."""
    where = {"ApplicationId": place["Application"]}
    version = appconfig.create_hosted_configuration_version(
        **where,
        ConfigurationProfileId=place["ConfigurationProfile"],
        Content=json.dumps(content).encode(),
        ContentType="application/json",
    )["VersionNumber"]
    strategy = appconfig.create_deployment_strategy(
        Name=f"at-once-{version}-{place['ConfigurationProfile']}",
        DeploymentDurationInMinutes=0,
        GrowthFactor=100,
        FinalBakeTimeInMinutes=bake_minutes,
        ReplicateTo="NONE",
    )["Id"]
    started = appconfig.start_deployment(
        **where,
        EnvironmentId=place["Environment"],
        ConfigurationProfileId=place["ConfigurationProfile"],
        ConfigurationVersion=str(version),
        DeploymentStrategyId=strategy,
    )
    return int(started["DeploymentNumber"])


def _name(unsigned: Request, entry: tuple[str, dict[str, str]]) -> str:
    path, headers = entry
    answer = unsigned("GET", path, service="catalog", headers=headers)
    assert answer.status_code == 200, answer.text
    name: str = answer.json()["name"]
    return name


def _restarted(local: LocalEnvironment, place: dict[str, str]) -> None:
    """End the function's environments, so that the next one reads the flags without waiting for its cache."""
    assert place
    functions = local.emulator.session().client("lambda")
    for page in functions.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            if function["FunctionName"].startswith(f"{STACK_PREFIX}-ApiFunction"):
                version = functions.get_alias(FunctionName=function["FunctionName"], Name="live")["FunctionVersion"]
                local.emulator.recycle(function["FunctionName"], version)


@pytest.mark.timeout(600)
def test_function_follows_a_deployed_and_rolled_back_flag(
    local: LocalEnvironment,
    appconfig: Any,
    place: dict[str, str],
    unsigned: Request,
    entry: tuple[str, dict[str, str]],
) -> None:
    # Given a service whose flag is off for this entry
    assert _name(unsigned, entry) == "quiet kettle"

    # When the flag is enabled for all
    number = _deploy(appconfig, place, {"shouted_names": {"default": True}}, bake_minutes=60)
    _restarted(local, place)

    # Then the deployed function behaves differently
    assert _name(unsigned, entry) == "QUIET KETTLE"

    # When an alarm of the environment triggers within the bake
    cloudwatch = local.emulator.session().client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=place["alarm"], StateValue="ALARM", StateReason="planted")
    where = {"ApplicationId": place["Application"], "EnvironmentId": place["Environment"]}
    until(lambda: appconfig.get_deployment(**where, DeploymentNumber=number)["State"] == "ROLLED_BACK" or None)
    cloudwatch.set_alarm_state(AlarmName=place["alarm"], StateValue="OK", StateReason="over")
    _restarted(local, place)

    # Then the previous flags are restored
    assert _name(unsigned, entry) == "quiet kettle"


def test_rules_of_the_configuration_reach_the_function(
    unsigned: Request, signed: Request, entry: tuple[str, dict[str, str]]
) -> None:
    # Given dev's rule, which enables the flag for names that start with `loud`
    made = signed("POST", "/items", service="catalog", json={"name": "loud kettle"}).json()

    assert _name(unsigned, (f"/items/{made['id']}", entry[1])) == "LOUD KETTLE"


def test_role_reads_only_its_own_configuration(emulator: Emulator) -> None:
    # Given two configurations, and a role that may read one
    appconfig, iam = emulator.session().client("appconfig"), emulator.session().client("iam")
    application = appconfig.create_application(Name="app")["Id"]
    environment = appconfig.create_environment(ApplicationId=application, Name="live")["Id"]
    profiles = {
        name: appconfig.create_configuration_profile(ApplicationId=application, Name=name, LocationUri="hosted")["Id"]
        for name in ("own", "other")
    }
    place = {"Application": application, "Environment": environment}
    for profile in profiles.values():
        _deploy(appconfig, {**place, "ConfigurationProfile": profile}, {"a": {"default": True}})
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{emulator.account}:root"},
        "Action": "sts:AssumeRole",
    }
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
    owner = f"arn:aws:appconfig:{emulator.region}:{emulator.account}:application/{application}"
    own = f"{owner}/environment/{environment}/configuration/{profiles['own']}"

    def reader(*actions: str) -> Any:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": own}
        iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=_document(statement))
        given = emulator.session().client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        credentials = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        return emulator.session(credentials).client("appconfigdata")

    def begin(client: Any, profile: str, name: str = "app") -> str:
        answer = client.start_configuration_session(
            ApplicationIdentifier=name, EnvironmentIdentifier="live", ConfigurationProfileIdentifier=profile
        )
        return str(answer["InitialConfigurationToken"])

    # Then it gets a session only for that one, by name and by id
    start, read = "appconfig:StartConfigurationSession", "appconfig:GetLatestConfiguration"
    both = reader(start, read)
    with pytest.raises(ClientError, match="AccessDenied"):
        begin(both, "other")
    for profile, name in (("own", "app"), (profiles["own"], application)):
        token = begin(both, profile, name)
        answer = both.get_latest_configuration(ConfigurationToken=token)
        assert json.loads(answer["Configuration"].read()) == {"a": {"default": True}}
    # And a token alone is not enough to read
    half = reader(start)
    with pytest.raises(ClientError, match="AccessDenied"):
        half.get_latest_configuration(ConfigurationToken=begin(half, "own"))


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
