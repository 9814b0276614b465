"""Flags on the emulator: a function reads them from AppConfig over HTTP, as its role may, and alarms take them back."""

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
    """An account with nothing in it."""
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
    """Ids of the service's application, environment and profile, and of its first alarm."""
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
    """Path of an entry, and the header with which the edge asks for it."""
    made = signed("POST", "/items", service="catalog", json={"name": "quiet kettle"}).json()
    secrets = local.emulator.session().client("secretsmanager")
    secret = secrets.get_secret_value(SecretId=outputs["catalog"]["OriginSecretArn"])["SecretString"]
    return f"/items/{made['id']}", {"X-Origin-Verify": json.loads(secret)["header"]}


def _deploy(appconfig: Any, place: dict[str, str], content: Any, *, bake_minutes: int = 0) -> int:
    """Deploy flags as AppConfig's own API does, and return the deployment's number."""
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
    """End the function's environments: the next one reads the flags anew, without the wait for its cache."""
    assert place
    functions = local.emulator.session().client("lambda")
    for page in functions.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            if function["FunctionName"].startswith(f"{STACK_PREFIX}-ApiFunction"):
                version = functions.get_alias(FunctionName=function["FunctionName"], Name="live")["FunctionVersion"]
                local.emulator.recycle(function["FunctionName"], version)


@pytest.mark.timeout(600)
def test_function_follows_a_flag_that_is_deployed_and_taken_back(
    local: LocalEnvironment,
    appconfig: Any,
    place: dict[str, str],
    unsigned: Request,
    entry: tuple[str, dict[str, str]],
) -> None:
    # Given a service whose flag is off for this entry
    assert _name(unsigned, entry) == "quiet kettle"

    # When the flag is opened for all
    number = _deploy(appconfig, place, {"shouted_names": {"default": True}}, bake_minutes=60)
    _restarted(local, place)

    # Then the function that is deployed does otherwise
    assert _name(unsigned, entry) == "QUIET KETTLE"

    # When an alarm of the environment goes off within the bake
    cloudwatch = local.emulator.session().client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=place["alarm"], StateValue="ALARM", StateReason="planted")
    where = {"ApplicationId": place["Application"], "EnvironmentId": place["Environment"]}
    until(lambda: appconfig.get_deployment(**where, DeploymentNumber=number)["State"] == "ROLLED_BACK" or None)
    cloudwatch.set_alarm_state(AlarmName=place["alarm"], StateValue="OK", StateReason="over")
    _restarted(local, place)

    # Then the flags before hold again
    assert _name(unsigned, entry) == "quiet kettle"


def test_rules_of_the_configuration_reach_the_function(
    unsigned: Request, signed: Request, entry: tuple[str, dict[str, str]]
) -> None:
    # Given dev's rule, which opens the flag for names that begin with `loud`
    made = signed("POST", "/items", service="catalog", json={"name": "loud kettle"}).json()

    assert _name(unsigned, (f"/items/{made['id']}", entry[1])) == "LOUD KETTLE"


def test_role_reads_the_configuration_it_may_and_no_other(emulator: Emulator) -> None:
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

    # Then it gets a session for its own alone, by names as by ids
    start, read = "appconfig:StartConfigurationSession", "appconfig:GetLatestConfiguration"
    both = reader(start, read)
    with pytest.raises(ClientError, match="AccessDenied"):
        begin(both, "other")
    for profile, name in (("own", "app"), (profiles["own"], application)):
        token = begin(both, profile, name)
        answer = both.get_latest_configuration(ConfigurationToken=token)
        assert json.loads(answer["Configuration"].read()) == {"a": {"default": True}}
    # And a token alone does not let it read
    half = reader(start)
    with pytest.raises(ClientError, match="AccessDenied"):
        half.get_latest_configuration(ConfigurationToken=begin(half, "own"))


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
