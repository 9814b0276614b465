"""What `make doctor` reports; `tests/local` runs it against an account hosted by the emulator."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import CredentialRetrievalError
from botocore.stub import Stubber

import specimen
from slipway.accounts.bootstrap import plan
from slipway.accounts.bootstrap.policies import execution_policies, policies
from slipway.accounts.doctor import account as account_checks
from slipway.accounts.doctor import command, machine
from slipway.accounts.doctor.findings import CheckResult, CheckStatus
from slipway.project import ROOT
from unit.typed import typed

SETTINGS = specimen.SETTINGS
ACCOUNTS = {account.label: account for account in plan.accounts(SETTINGS)}
NOWHERE = Path("nowhere")


class Stubbed:
    """A session whose clients return a test's answers in order, and reject any other call."""

    profile_name = "default"

    def __init__(self, **answers: Sequence[tuple[str, Any]]) -> None:
        self._answers = answers

    def get_credentials(self) -> object:
        return object()

    def client(self, service: str, region_name: str) -> Any:
        client = boto3.client(  # type: ignore[call-overload]
            service, region_name=region_name, aws_access_key_id="x", aws_secret_access_key="x"
        )
        stubber = Stubber(client)
        for method, answer in self._answers.get("lambda_" if service == "lambda" else service.replace("-", "_"), ()):
            if isinstance(answer, str):
                stubber.add_client_error(method, service_error_code=answer)
            else:
                stubber.add_response(method, answer)
        stubber.activate()
        return client


class Nobody:
    """A session without credentials."""

    profile_name = "default"

    def get_credentials(self) -> None:
        return None


def _look(label: str, check: str, assembly: Path = NOWHERE, **answers: Any) -> list[CheckResult]:
    session: Any = Stubbed(**answers)
    look = account_checks._Look(ACCOUNTS[label], SETTINGS, session, assembly)
    method: Callable[..., Any] = getattr(look, check)
    return list(method("dev") if check in {"concurrency", "quotas"} else method())


def _by_check(findings: Any) -> dict[str, CheckResult]:
    return {finding.check: finding for finding in findings}


# --- Accounts ---


def test_without_credentials_no_account_is_checked() -> None:
    nobody: Any = Nobody()
    found = list(account_checks.check_accounts(SETTINGS, [nobody], NOWHERE))
    assert [each.area for each in found] == list(ACCOUNTS)
    assert {each.status for each in found} == {CheckStatus.UNCHECKED}
    assert all("no credentials" in each.found for each in found)


def test_credentials_of_a_stranger_are_wrong() -> None:
    caller = {"Account": "444444444444", "Arn": "arn:aws:iam::444444444444:user/x", "UserId": "x"}
    stranger: Any = Stubbed(sts=[("get_caller_identity", caller)])
    first, *_ = account_checks.check_accounts(SETTINGS, [stranger], NOWHERE)
    assert first.status is CheckStatus.WRONG
    assert "444444444444 is not in the configuration" in first.found


def test_expired_credentials_are_reported() -> None:
    expired: Any = Stubbed(sts=[("get_caller_identity", "ExpiredToken")])
    first, *others = account_checks.check_accounts(SETTINGS, [expired], NOWHERE)
    assert first.status is CheckStatus.WRONG
    assert {each.status for each in others} == {CheckStatus.UNCHECKED}


def test_checks_the_credentials_may_not_make_are_unchecked() -> None:
    # Given credentials without any permission in the account
    refused: Any = Stubbed(
        ssm=[("get_parameter", "AccessDeniedException")],
        iam=[("get_role", "AccessDenied")],
        lambda_=[("get_account_settings", "AccessDeniedException")],
    )
    # When the doctor checks the account
    found = list(account_checks.check_account(ACCOUNTS["dev"], SETTINGS, refused, NOWHERE))
    # Then no check is reported as OK
    assert {each.status for each in found} == {CheckStatus.UNCHECKED}
    assert any("AccessDenied" in each.found for each in found)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"Connection": {"ConnectionStatus": "AVAILABLE"}}, CheckStatus.OK),
        ({"Connection": {"ConnectionStatus": "PENDING"}}, CheckStatus.WRONG),
        ({"Connection": {"ConnectionStatus": "ERROR"}}, CheckStatus.WRONG),
        ("ResourceNotFoundException", CheckStatus.WRONG),
    ],
)
def test_connection_must_be_available(answer: Any, status: CheckStatus) -> None:
    (found,) = _look("tools", "connection", codeconnections=[("get_connection", answer)])
    assert found.status is status
    assert bool(found.fix) is (status is CheckStatus.WRONG)


@pytest.mark.parametrize(
    ("limit", "status"), [(10, CheckStatus.WRONG), (100, CheckStatus.WRONG), (1000, CheckStatus.OK)]
)
def test_reserved_concurrency_must_leave_a_hundred(limit: int, status: CheckStatus) -> None:
    # Given an account's concurrency quota, and functions that reserve part of it
    answer = {"AccountLimit": {"ConcurrentExecutions": limit}}
    (found,) = _look("dev", "concurrency", lambda_=[("get_account_settings", answer)])
    # Then a hundred executions must stay unreserved
    assert found.status is status
    if status is CheckStatus.WRONG:
        assert "leave reserved_concurrency out" in found.fix


@pytest.fixture
def scaling(tmp_path: Path) -> Path:
    """Write an assembly of dev in which one table and its index scale to 1,000 units."""
    folder = tmp_path / "assembly-Pipeline-dev-items"
    folder.mkdir()
    targets = {
        f"T{index}": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {"ScalableDimension": f"dynamodb:{kind}:{way}CapacityUnits", "MaxCapacity": 1000},
        }
        for index, (kind, way) in enumerate([("table", "Read"), ("table", "Write"), ("index", "Read")])
    }
    (folder / "Data.template.json").write_text(json.dumps({"Resources": targets}))
    stack = {
        "type": "aws:cloudformation:stack",
        "properties": {"templateFile": "Data.template.json", "requiresBootstrapStackVersion": 8},
    }
    stage = {"type": "cdk:cloud-assembly", "properties": {"directoryName": folder.name}}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": {"Data": stack}}))
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {"stage": stage}}))
    return tmp_path


def test_quotas_are_compared_with_what_the_tables_scale_to(scaling: Path) -> None:
    values = [2000.0, 500.0, 1000.0, 1000.0]
    answers = [("get_service_quota", {"Quota": {"Value": value}}) for value in values]
    session: Any = Stubbed(service_quotas=answers)
    look = account_checks._Look(ACCOUNTS["dev"], SETTINGS, session, scaling)
    found = list(look.quotas("dev"))
    assert [each.status for each in found] == [CheckStatus.OK, CheckStatus.WRONG, CheckStatus.OK, CheckStatus.OK]
    assert "500, and dev scales to 1,000" in found[1].found


def test_quotas_are_not_checked_before_the_synthesis() -> None:
    (found,) = _look("dev", "quotas")
    assert (found.status, found.fix) == (CheckStatus.UNCHECKED, "make synth")


@pytest.mark.parametrize(
    ("version", "status"), [("5", CheckStatus.WRONG), ("8", CheckStatus.OK), ("33", CheckStatus.OK)]
)
def test_bootstrap_must_be_as_new_as_the_assembly_asks(version: str, status: CheckStatus, scaling: Path) -> None:
    session: Any = Stubbed(ssm=[("get_parameter", {"Parameter": {"Value": version}})])
    look = account_checks._Look(ACCOUNTS["dev"], SETTINGS, session, scaling)
    (found,) = look.bootstrap("us-east-1")
    assert found.status is status


def _role(trusted: list[str], boundary: str | None = None) -> dict[str, Any]:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}],
    }
    role: dict[str, Any] = {
        "Path": "/",
        "RoleName": "r",
        "RoleId": "AROA1011121314153456",
        "CreateDate": "2026-01-01",
        "Arn": "arn:aws:iam::111122223333:role/r",
        "AssumeRolePolicyDocument": json.dumps(document),
    }
    if boundary:
        role["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}
    return {"Role": role}


def test_deploy_role_must_trust_the_tools_account() -> None:
    # Given roles that only trust another account
    roles = [("get_role", _role(["arn:aws:iam::444444444444:root"])) for _ in range(3)]
    attached = {
        "AttachedPolicies": [
            {"PolicyName": policy.name, "PolicyArn": ACCOUNTS["dev"].policy_arn(policy.name)}
            for policy in execution_policies(ACCOUNTS["dev"], SETTINGS)
        ]
    }
    session: Any = Stubbed(iam=[*roles, ("list_attached_role_policies", attached)])
    look = account_checks._Look(ACCOUNTS["dev"], SETTINGS, session, NOWHERE)
    # When the roles are checked
    found = _by_check(look.roles("us-east-1"))
    # Then the trust is wrong, the policies are right, and the boundary is missing
    assert found["trust of deploy-role in us-east-1"].status is CheckStatus.WRONG
    assert "--trust" in found["trust of deploy-role in us-east-1"].fix
    assert found["execution role in us-east-1"].status is CheckStatus.OK
    assert found["boundary of the execution role in us-east-1"].status is CheckStatus.WARNING


@pytest.mark.parametrize(
    ("principal", "trusted"),
    [
        ({"AWS": "101112131415"}, True),
        ({"AWS": ["arn:aws:iam::101112131415:root"]}, True),
        ({"AWS": "arn:aws:iam::111122223333:root"}, False),
        ({"Service": "cloudformation.amazonaws.com"}, False),
    ],
)
def test_trust_is_read_from_a_role(principal: dict[str, Any], trusted: bool) -> None:
    document = {"Statement": {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}}
    assert account_checks._trusts(document, "101112131415") is trusted


def test_policies_that_are_missing_are_wrong() -> None:
    count = len(policies(ACCOUNTS["dev"], SETTINGS))
    (found,) = _look("dev", "policies", iam=[("get_policy", "NoSuchEntity")] * count)
    assert found.status is CheckStatus.WRONG
    assert "slipway-bootstrap-iam" in found.found


# --- This machine ---


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Copy the files that the checks of versions and locks read."""
    for name in ("pyproject.toml", "package.json", "package-lock.json"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    for name in ("aws-cdk", "cdk-assets", "pyodide"):
        target = tmp_path / "node_modules" / name / "package.json"
        target.parent.mkdir(parents=True)
        shutil.copy(ROOT / "node_modules" / name / "package.json", target)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip asking the CLI for its schema, which takes a second; one test asks."""
    monkeypatch.setattr(machine, "_read_schema", lambda *_: 55)


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.programs
def test_versions_of_this_checkout_fit_together() -> None:
    found = list(machine.check_versions())
    assert {each.status for each in found} == {CheckStatus.OK}, found


@pytest.mark.programs
def test_cli_is_asked_which_assemblies_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = _by_check(machine.check_versions())["assembly schema"]
    assert found.status is CheckStatus.OK
    assert "the library writes 55, the CLI reads up to 55" in found.found


@pytest.mark.programs
def test_library_that_writes_a_newer_schema_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_read_schema", lambda *_: 43)
    found = _by_check(machine.check_versions())["assembly schema"]
    assert found.status is CheckStatus.WRONG
    assert "pin a newer aws-cdk" in found.fix


@pytest.mark.programs
def test_an_unknown_schema_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_read_schema", lambda *_: None)
    assert _by_check(machine.check_versions())["assembly schema"].status is CheckStatus.UNCHECKED


@pytest.mark.programs
def test_range_instead_of_a_pin_is_wrong(root: Path) -> None:
    _edit(root / "package.json", '"aws-cdk": "', '"aws-cdk": "^')
    found = _by_check(machine.check_versions(root))["aws-cdk"]
    assert found.status is CheckStatus.WRONG
    assert "not an exact version" in found.found


@pytest.mark.programs
def test_pin_that_the_lock_does_not_have_is_wrong(root: Path) -> None:
    pinned = json.loads((root / "package.json").read_text())["devDependencies"]["aws-cdk"]
    _edit(root / "package.json", pinned, "2.1.0")
    found = _by_check(machine.check_versions(root))["aws-cdk"]
    assert (found.status, found.fix) == (CheckStatus.WRONG, "make lock")


@pytest.mark.programs
def test_cli_that_is_not_installed_is_wrong(root: Path) -> None:
    shutil.rmtree(root / "node_modules")
    found = _by_check(machine.check_versions(root))["aws-cdk"]
    assert (found.status, found.fix) == (CheckStatus.WRONG, "make install")
    assert "is not installed" in found.found


@pytest.mark.programs
def test_library_of_another_version_is_wrong(root: Path) -> None:
    _edit(root / "pyproject.toml", "aws-cdk-lib==", "aws-cdk-lib==1")
    found = _by_check(machine.check_versions(root))["aws-cdk-lib"]
    assert (found.status, found.fix) == (CheckStatus.WRONG, "make install")


@pytest.mark.programs
def test_two_versions_of_uv_are_wrong(root: Path) -> None:
    (root / "requirements" / "bootstrap.in").write_text("uv==0.1.0\n")
    assert _by_check(machine.check_versions(root))["uv of requirements/bootstrap.in"].status is CheckStatus.WRONG


def test_locks_hold_what_the_project_asks_for() -> None:
    found = _by_check(machine.check_locks())
    assert found["dev.txt"].status is CheckStatus.OK
    assert found["layer.txt"].status is CheckStatus.OK


def test_lock_without_a_new_package_is_wrong(root: Path) -> None:
    _edit(root / "pyproject.toml", "app = [", 'app = [\n    "left-pad>=1",')
    found = _by_check(machine.check_locks(root))["dev.txt"]
    assert (found.status, found.fix) == (CheckStatus.WRONG, "make lock")
    assert "left-pad>=1 is missing" in found.found


def test_other_packages_than_the_lock_names_are_wrong(root: Path) -> None:
    _edit(root / "requirements" / "dev.txt", "\nrich==", "\nrich==99.")
    found = _by_check(machine.check_locks(root))["installed"]
    assert (found.status, found.fix) == (CheckStatus.WRONG, "make install")


@pytest.mark.programs
def test_git_without_a_repository_is_not_checked(tmp_path: Path) -> None:
    (found,) = machine.check_git(SETTINGS, tmp_path)
    assert found.status is CheckStatus.UNCHECKED


@pytest.mark.programs
def test_git_check_reports_what_a_push_would_not_deliver(tmp_path: Path) -> None:
    # Given a repository with another branch checked out and an uncommitted change
    def git(*words: str) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--initial-branch", "feature")
    assert [each.check for each in machine.check_git(SETTINGS, tmp_path)] == ["commits"]
    git("commit", "--allow-empty", "--message", "x")
    assert _by_check(machine.check_git(SETTINGS, tmp_path))["changes"].status is CheckStatus.OK
    (tmp_path / "x").touch()
    # When it is checked
    found = _by_check(machine.check_git(SETTINGS, tmp_path))
    # Then there is a warning for each
    assert found["changes"].status is CheckStatus.WARNING
    assert found["branch"].status is CheckStatus.WARNING
    assert "the pipeline follows main" in found["branch"].found


# --- The command ---


@pytest.fixture
def _built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report the zips as built."""
    monkeypatch.setattr(command, "check_assets", lambda: CheckResult("assets", "zips", CheckStatus.OK, "built"))


@pytest.mark.programs
@pytest.mark.usefixtures("_built")
def test_unavailable_credentials_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a session whose credentials come from an address that does not answer
    refused = CredentialRetrievalError(provider="container-role", error_msg="no answer from the container's address")
    session = Mock(get_credentials=Mock(side_effect=refused), profile_name="default")
    monkeypatch.setattr(command, "open_session", lambda _: session)
    # When the doctor runs
    result = typed("doctor", "--json", "-")
    # Then it reports the error as a finding instead of stopping
    assert result.exit_code == 1
    (found,) = [each for each in json.loads(result.stdout) if each["area"] == "accounts"]
    assert found["status"] == "wrong"
    assert "container" in found["found"]


@pytest.mark.programs
@pytest.mark.usefixtures("_built")
def test_command_prints_json_and_succeeds_despite_warnings() -> None:
    result = typed("doctor", "--json", "-")
    found = json.loads(result.stdout)
    wrong = [each for each in found if each["status"] == "wrong"]
    assert result.exit_code == (1 if wrong else 0), wrong
    assert {each["area"] for each in found if each["status"] == "not checked"} >= set(ACCOUNTS)
    assert all(each["fix"] for each in found if each["status"] != "ok")


@pytest.mark.programs
@pytest.mark.usefixtures("_built")
def test_command_fails_when_something_is_wrong(tmp_path: Path) -> None:
    # Given a configuration with two errors
    folder = tmp_path / "config"
    shutil.copytree(specimen.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    _edit(folder / "dev.toml", 'account = "111122223333"', 'account = "11111111111"')
    _edit(folder / "prod.toml", "deletion_protection = true", "deletion_protection = false")
    # When the doctor runs
    result = typed("doctor", "--config", str(folder))
    # Then it reports both, and does not report the accounts as OK
    assert result.exit_code == 1
    assert "dev.toml account" in result.stdout
    assert "prod.toml" in result.stdout
    assert "the configuration cannot be used" in result.stdout


@pytest.mark.programs
@pytest.mark.usefixtures("_built")
def test_command_says_that_a_profile_is_unknown() -> None:
    result = typed("doctor", "--profile", "nobody-has-this", "--json", "-")
    found = [each for each in json.loads(result.stdout) if each["check"] == "nobody-has-this"]
    assert result.exit_code == 1
    assert found[0]["status"] == "wrong"


def test_help_says_what_the_command_is_for() -> None:
    result = typed("doctor", "--help")
    assert result.exit_code == 0
    assert "each finding with its fix" in " ".join(result.stdout.split())
