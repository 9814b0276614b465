"""Flags on the emulator: a function reads them from AppConfig over HTTP, as its role may, and alarms take them back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.emulator.server import Credentials
from slipway.testing.emulated import Request, until

STACK_PREFIX = "dev-catalog-compute"


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
def entry(local: LocalEnvironment, outputs: Outputs, signed: Request) -> Iterator[tuple[str, dict[str, str]]]:
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
        Name="at-once",
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


def test_other_roles_may_not_read_the_flags(local: LocalEnvironment, place: dict[str, str]) -> None:
    # Given a role that may read another configuration of AppConfig
    iam, account = local.emulator.session().client("iam"), local.emulator.account
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="flag-reader", AssumeRolePolicyDocument=_document(trust))["Role"]
    application = f"arn:aws:appconfig:{local.emulator.region}:{account}:application/{place['Application']}"
    own = f"{application}/environment/{place['Environment']}/configuration/{place['ConfigurationProfile']}"
    actions = ["appconfig:StartConfigurationSession", "appconfig:GetLatestConfiguration"]

    def session(resource: str, *allowed: str) -> Any:
        statement = {"Effect": "Allow", "Action": list(allowed), "Resource": resource}
        iam.put_role_policy(RoleName="flag-reader", PolicyName="read", PolicyDocument=_document(statement))
        given = local.emulator.session().client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")
        keys = given["Credentials"]
        credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        return local.emulator.session(credentials).client("appconfigdata")

    request = {
        "ApplicationIdentifier": "dev-catalog",
        "EnvironmentIdentifier": "live",
        "ConfigurationProfileIdentifier": "flags",
    }
    # Then it gets no session for this one, and with half of what it needs no flags
    with pytest.raises(ClientError, match="AccessDenied"):
        session(f"{own}x", *actions).start_configuration_session(**request)
    client = session(own, actions[0])
    token = client.start_configuration_session(**request)["InitialConfigurationToken"]
    with pytest.raises(ClientError, match="AccessDenied"):
        client.get_latest_configuration(ConfigurationToken=token)
    # And with all of it, it reads them
    client = session(own, *actions)
    token = client.start_configuration_session(**request)["InitialConfigurationToken"]
    assert b"shouted_names" in client.get_latest_configuration(ConfigurationToken=token)["Configuration"].read()


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
