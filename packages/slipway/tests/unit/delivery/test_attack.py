"""The scan's targets and findings; `local/test_attack.py` runs a scan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import httpx
import pytest
from botocore.credentials import ReadOnlyCredentials

from slipway.attack import command, target
from slipway.attack.doors import try_doors
from slipway.attack.findings import DOOR, AttackFinding, as_junit, as_sarif, merged, serious
from slipway.attack.fuzz import AttackBounds
from slipway.attack.target import AttackTarget, find_target
from slipway.cli import main
from slipway.emulator.routes import Route
from slipway.emulator.substitutions import _trust_sessions_of_role
from slipway.settings.model import Attack

WEAK = AttackFinding("response_schema_conformance", "GET", "/items", "a field is missing")
FAILS = AttackFinding("not_a_server_error", "GET", "/items", "answered 500", "GET https://api/items?limit=0")

OPEN, SIGNED = Route("GET", "/items", signed=False), Route("POST", "/items", signed=True, body="{}")
KEYED, BEARER = Route("GET", "/data", signed=False, keyed=True), Route("GET", "/jobs", signed=False, bearer=True)


def _target(*found: Route, **more: Any) -> AttackTarget:
    paths: dict[str, Any] = {}
    for route in found:
        paths.setdefault(route.path, {})[route.method.lower()] = {}
    given = {"outputs": {"ApiEndpoint": "https://api/live"}, "headers": {}, **more}
    key = ReadOnlyCredentials("id", "secret", None)
    return AttackTarget("items", {"paths": paths}, found, region="us-east-1", credentials=key, **given)


def test_findings_are_counted_once_and_the_worst_comes_first() -> None:
    found = merged([WEAK, FAILS, WEAK])
    assert [(each.rule, each.times) for each in found] == [
        ("not_a_server_error", 1),
        ("response_schema_conformance", 2),
    ]
    assert serious(found)
    assert not serious([WEAK])


def test_sarif_points_at_the_line_of_the_path() -> None:
    text = json.dumps({"paths": {"/data": {}, "/items": {}}}, indent=2)
    (run,) = as_sarif([FAILS], file="services/items/openapi.json", text=text, whole=False)["runs"]
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "services/items/openapi.json"
    assert text.splitlines()[place["region"]["startLine"] - 1].strip().startswith('"/items"')
    # An operation that the scan could not reach marks the run as incomplete
    assert run["invocations"] == [{"executionSuccessful": False, "exitCode": 1}]


def test_warnings_fail_no_case_of_the_report() -> None:
    assert 'failures="0"' in as_junit("items", ["GET /items"], [WEAK])
    assert 'failures="1"' in as_junit("items", ["GET /items"], [WEAK, FAILS])


@pytest.mark.parametrize(
    ("status", "rules"), [(401, set()), (403, set()), (200, {DOOR}), (404, {DOOR}), (500, {"not_a_server_error"})]
)
def test_restricted_operations_must_refuse_strangers(status: int, rules: set[str]) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path))
        return httpx.Response(status)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        found = list(try_doors(_target(OPEN, SIGNED, KEYED, BEARER), client))
    # An operation that is open to everyone is not requested
    assert {path for method, path in asked if method == "GET"} == {"/live/data", "/live/jobs"}
    assert len(asked) == 6
    assert {each.rule for each in found} == rules


def test_throttled_requests_are_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    statuses = iter([429, 429, 403, 403])
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(next(statuses)))) as client:
        assert list(try_doors(_target(KEYED), client)) == []


def test_open_operations_are_left_out_of_the_document() -> None:
    found = _target(OPEN, KEYED, BEARER, headers={"x-api-key": "value"})
    assert found.narrowed()["paths"].keys() == {"/items", "/data"}
    assert [route.path for route in found.reached] == ["/items", "/data"]


def test_scan_calls_with_the_credentials_of_the_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "services" / "intake"
    folder.mkdir(parents=True)
    scheme = {"type": "apiKey", "in": "header", "name": "x-api-key"}
    document = {
        "paths": {"/data": {"get": {"security": [{"key": []}]}}},
        "components": {"securitySchemes": {"key": scheme}},
    }
    (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    monkeypatch.setattr(target, "ROOT", tmp_path)
    session = Mock(spec=boto3.Session, region_name="us-east-1")
    session.client.return_value.get_api_key.return_value = {"value": "secret"}
    found = find_target("intake", session, {"ApiEndpoint": "https://api/", "ApiKeyId": "k"})
    assert found is not None
    assert found.headers == {"x-api-key": "secret"}
    # A service without an API is no target
    assert find_target("intake", session, {}) is None


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_only_a_test_environment_is_attacked(env: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "--env", env, "--service", "catalog"]) == 2
    assert "only a test environment" in capsys.readouterr().err


@pytest.mark.parametrize(("findings", "code"), [([], 0), ([WEAK], 0), ([WEAK, FAILS], 1)])
def test_exit_code_depends_on_the_findings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, findings: list[AttackFinding], code: int
) -> None:
    found = command.Attacked(_target(OPEN), 10, 1.0, tuple(findings))
    bounds = []

    def attacks(_environment: object, _service: str, given: object) -> command.Attacked:
        bounds.append(given)
        return found

    monkeypatch.setattr(command, "_attack", attacks)
    monkeypatch.setattr(command, "REPORTS", tmp_path)
    assert main(["attack", "--env", "staging", "--service", "items", "--requests", "20"]) == code
    assert (tmp_path / "attack-staging-items.xml").is_file()
    assert bounds == [AttackBounds(20, Attack().seconds, command.SEED)]


def test_a_rehearsal_lets_in_each_build_that_a_trust_names() -> None:
    builds = [f"arn:aws:iam::999999999999:role/{name}" for name in ("verify", "attack")]
    statement = {"Effect": "Allow", "Condition": {"ArnEquals": {"aws:PrincipalArn": builds}}}
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": [statement]}}}
    _trust_sessions_of_role(role, Mock())
    # The emulator identifies a role's session by the session's own ARN
    sessions = [f"arn:aws:sts::999999999999:assumed-role/{name}/*" for name in ("verify", "attack")]
    named = statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]  # type: ignore[index]
    assert set(named) == {*builds, *sessions}
