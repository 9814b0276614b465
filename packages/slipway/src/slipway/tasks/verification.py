"""Run the tests of services against their deployment.

    slipway verify --env dev --service NAME

A step of the pipeline after each environment. The tests find the service by its stacks' outputs, sign with their own
role in the environment's account, and clean up after themselves; in production, tests that write are skipped. They get
the same as from `make up`: the outputs as JSON in the file that SLIPWAY_OUTPUTS names, and credentials in AWS's own
variables.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slipway import process
from slipway import settings as config
from slipway.delivery.names import DESCRIBED_STACKS, foundation_stack, verification_role
from slipway.errors import SlipwayError
from slipway.project import ROOT
from slipway.settings import Environment
from slipway.settings.model import EnvironmentKind
from slipway.tasks.session import assumed

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from mypy_boto3_cloudformation import CloudFormationClient

FOLDER = ROOT / "build" / "verification"
REPORTS = ROOT / "build" / "reports"

AT_ONCE = 4
"""Services that are tested in parallel: on a small build's two processors, the tests mostly wait."""

Outputs = dict[str, dict[str, str]]
"""service → output → value, as `make up` writes them."""


class VerificationError(SlipwayError):
    """The tests cannot be run. The message is one line."""


def outputs(client: CloudFormationClient, environment: Environment, service: str) -> Outputs:
    """Return the outputs of a service's stacks, and of the foundation.

    Args:
        client: CloudFormation in the environment's account.
        environment: The environment.
        service: Name of the service.

    Raises:
        VerificationError: The stacks have no outputs.
    """
    found: Outputs = {"foundation": _outputs(client, foundation_stack(environment)), service: {}}
    for stack in DESCRIBED_STACKS:
        found[service] |= _outputs(client, f"{environment.name}-{service}-{stack}")
    if not found[service]:
        raise VerificationError(f"{environment.name}-{service}: no stack has outputs")
    domain = found[service].get("DistributionDomain")
    if domain:
        found[service]["EdgeEndpoint"] = f"https://{domain}/"
    return found


def command(environment: Environment, service: str) -> list[str]:
    """Return pytest's arguments: quiet, with a JUnit report, and in production without tests marked `writes`."""
    return [
        *(sys.executable, "-m", "pytest", f"services/{service}/tests/smoke", "-q"),
        *("-p", "no:cacheprovider", "-p", "slipway.testing.smoke"),
        f"--junit-xml={REPORTS / f'verify-{environment.name}-{service}.xml'}",
        *(("-m", "not writes") if environment.kind is EnvironmentKind.PRODUCTION else ()),
    ]


def variables(
    credentials: ReadOnlyCredentials, environment: Environment, outputs_file: Path, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment variables of the tests: with the role's credentials instead of the build's.

    Args:
        credentials: Credentials of the role.
        environment: Settings of the environment.
        outputs_file: File with the outputs.
        inherited: The variables of this process.
    """
    return {
        **{name: value for name, value in inherited.items() if not name.startswith("AWS_CONTAINER_")},
        "AWS_ACCESS_KEY_ID": credentials.access_key or "",
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key or "",
        "AWS_SESSION_TOKEN": credentials.token or "",
        "AWS_REGION": environment.region,
        "AWS_DEFAULT_REGION": environment.region,
        "SLIPWAY_OUTPUTS": str(outputs_file),
    }


def verify(
    env: Annotated[str, typer.Option(help="Environment: the name of a file in config/.")],
    service: Annotated[list[str], typer.Option(help="Service: the name of a folder in services/. May be repeated.")],
) -> None:
    """Run the tests of services against an environment, in parallel."""
    environment = find_environment(env)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        codes = list(pool.map(lambda name: _verify(environment, name), service))
    # pytest's exit code, which is also not 0 if it found no test.
    raise typer.Exit(next((code for code in codes if code), 0))


def _verify(environment: Environment, service: str) -> int:
    """Run the tests of one service, print their output at the end, and return their exit code."""
    code, said = run_tests(environment, service)
    typer.echo(f"{service}:\n{said}")
    return code


def run_tests(environment: Environment, service: str) -> tuple[int, str]:
    """Run the tests of one service, and return their exit code and output.

    Args:
        environment: Settings of the environment.
        service: Name of the service.

    Raises:
        VerificationError: The tests cannot be run.
    """
    name = environment.name
    session = assumed(environment, verification_role(environment, service), session_name=f"verify-{service}")
    credentials = session.get_credentials()
    if credentials is None:
        raise VerificationError(f"no credentials for {verification_role(environment, service)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    REPORTS.mkdir(parents=True, exist_ok=True)
    outputs_file = FOLDER / f"{name}-{service}.json"
    outputs_file.write_text(
        json.dumps(outputs(session.client("cloudformation"), environment, service), indent=2), encoding="utf-8"
    )
    done = process.run(
        command(environment, service),
        folder=ROOT,
        environment=variables(credentials.get_frozen_credentials(), environment, outputs_file, os.environ),
        merge=True,
    )
    return done.returncode, done.stdout


def _outputs(client: CloudFormationClient, stack: str) -> dict[str, str]:
    described = client.describe_stacks(StackName=stack)["Stacks"][0]
    return {
        output["OutputKey"]: output["OutputValue"]
        for output in described.get("Outputs", [])
        # CDK's own outputs, through which one stack reads another.
        if not output["OutputKey"].startswith("PublishOutput")
    }


def find_environment(name: str) -> Environment:
    """Return a configured environment.

    Args:
        name: Its name.

    Raises:
        VerificationError: It is not configured.
    """
    settings = config.load()
    try:
        return settings.environment(name)
    except KeyError:
        known = ", ".join(environment.name for environment in settings.environments)
        raise VerificationError(f"unknown environment {name!r}; choose from {known}") from None
