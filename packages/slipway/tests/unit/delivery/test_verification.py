"""A service's tests run against its deployed stacks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

import specimen
from slipway import process
from slipway.cli import main
from slipway.project import ROOT
from slipway.settings.model import EnvironmentKind
from slipway.tasks import verification
from slipway.tasks.verification import VerificationError, command, outputs, variables

DEV = specimen.SETTINGS.environment("dev")
STACKS = {
    "dev-foundation": {"ApiGatewayLoggingRoleArn": "arn"},
    "dev-items-security": {"KeyId": "key"},
    "dev-items-data": {"TableName": "table", "PublishOutputRefTable": "table"},
    "dev-items-compute": {"ApiEndpoint": "https://api/live/", "DistributionDomain": "d1.cloudfront.net"},
    "dev-items-observability": {},
}


class CloudFormation:
    """Stacks and their outputs."""

    def __init__(self, stacks: dict[str, dict[str, str]]) -> None:
        self.stacks = stacks

    def describe_stacks(self, **call: str) -> dict[str, Any]:
        name = call["StackName"]
        if name not in self.stacks:
            error = {"Code": "ValidationError", "Message": f"Stack with id {name} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")  # type: ignore[typeddict-item]
        return {
            "Stacks": [
                {"Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in self.stacks[name].items()]}
            ]
        }


def fake(stacks: dict[str, dict[str, str]]) -> Any:
    return CloudFormation(stacks)


@pytest.mark.requirement("tests after each environment")
def test_a_service_is_found_by_its_stacks_outputs() -> None:
    assert outputs(fake(STACKS), DEV, "items") == {
        "foundation": {"ApiGatewayLoggingRoleArn": "arn"},
        "items": {
            "KeyId": "key",
            "TableName": "table",
            "ApiEndpoint": "https://api/live/",
            "DistributionDomain": "d1.cloudfront.net",
            # The edge's own address
            "EdgeEndpoint": "https://d1.cloudfront.net/",
        },
    }


def test_stacks_without_outputs_are_an_error() -> None:
    with pytest.raises(VerificationError, match="dev-items"):
        outputs(fake({name: {} for name in STACKS}), DEV, "items")


def test_tests_get_only_the_roles_credentials() -> None:
    found = variables(
        ReadOnlyCredentials("id", "secret", "token"),
        DEV,
        Path("/outputs.json"),
        {"PATH": "/bin", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/build", "AWS_ACCESS_KEY_ID": "build"},
    )

    assert found == {
        "PATH": "/bin",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "SLIPWAY_OUTPUTS": "/outputs.json",
    }


@pytest.mark.requirement("tests after each environment")
@pytest.mark.parametrize("name", ["dev", "live"])
@pytest.mark.parametrize("kind", EnvironmentKind)
def test_production_is_verified_by_reading_only(name: str, kind: EnvironmentKind) -> None:
    # Given an environment of a kind, with an arbitrary name
    environment = specimen.SETTINGS.environments[0].model_copy(update={"name": name, "kind": kind})

    said = command(environment, "items")

    # Then tests that write are deselected in production only
    assert (said[-2:] == ["-m", "not writes"]) is (kind is EnvironmentKind.PRODUCTION)
    assert "services/items/tests/smoke" in said
    # And a report is written
    assert any(part.startswith("--junit-xml=") for part in said)


def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str, ends: Sequence[int], stacks: Any = None
) -> int:
    """Run the command line, with each service's tests ending with a given exit code."""
    client = fake(STACKS if stacks is None else stacks)
    session = Mock(spec=boto3.Session)
    session.client.return_value = client
    session.get_credentials.return_value.get_frozen_credentials.return_value = ReadOnlyCredentials("i", "s", "t")
    monkeypatch.setattr(verification, "assumed", lambda *_, **__: session)
    monkeypatch.setattr(verification, "FOLDER", tmp_path)
    monkeypatch.setattr(verification, "REPORTS", tmp_path)
    monkeypatch.setattr(process, "run", Mock(side_effect=[Mock(returncode=each, stdout="") for each in ends]))
    return main(["verify", *arguments])


# Exit codes: 0 passed, 1 failed, 4 no such file, 5 no tests were collected.
@pytest.mark.requirement("tests after each environment")
@pytest.mark.parametrize("code", [0, 1, 2, 4, 5])
def test_exit_code_is_that_of_the_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int) -> None:
    assert run(monkeypatch, tmp_path, "--env", "dev", "--service", "items", ends=[code]) == code

    written = json.loads((tmp_path / "dev-items.json").read_text(encoding="utf-8"))
    assert written["items"]["TableName"] == "table"


@pytest.mark.parametrize(("codes", "ends"), [((0, 0), 0), ((0, 1), 1), ((5, 0), 5)])
def test_one_failing_service_fails_the_verification(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, codes: tuple[int, int], ends: int
) -> None:
    stacks = STACKS | {name.replace("items", "ingest"): found for name, found in STACKS.items()}
    services = ("--env", "dev", "--service", "items", "--service", "ingest")
    assert run(monkeypatch, tmp_path, *services, ends=codes, stacks=stacks) == ends
    assert {path.name for path in tmp_path.glob("*.json")} == {"dev-items.json", "dev-ingest.json"}


@pytest.mark.parametrize(
    "case",
    [
        (("--env", "qa", "--service", "items"), None, "unknown environment 'qa'; choose from dev, staging, prod"),
        (("--env", "dev", "--service", "items"), {}, "dev-foundation does not exist"),
    ],
)
def test_unknown_environment_or_stack_fails_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    case: tuple[tuple[str, ...], Any, str],
) -> None:
    arguments, stacks, says = case
    assert run(monkeypatch, tmp_path, *arguments, ends=[0], stacks=stacks) == 1

    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


@pytest.mark.programs
@pytest.mark.parametrize("module", ["slipway.tasks.protection", "slipway.tasks.verification"])
def test_step_of_every_environment_does_not_start_cdk(module: str) -> None:
    code = f"import sys, {module}; sys.exit('aws_cdk' in sys.modules or 'jsii' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
