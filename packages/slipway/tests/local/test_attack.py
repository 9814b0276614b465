"""The scan from outside finds faults that are planted in a service on the loopback interface."""

from __future__ import annotations

import json
import signal
import traceback
from pathlib import Path
from typing import Any

import pytest

from local.things import Answer, Logic, careful, served, target_at
from slipway.attack.command import Attacked, attack_target, write_reports
from slipway.attack.findings import DOOR
from slipway.attack.fuzz import AttackBounds
from slipway.errors import SlipwayError

BOUNDS = AttackBounds(requests=150, seconds=20, seed=7)


def fails_on_large_sizes(thing: dict[str, Any]) -> Answer:
    return (500, {"message": "failed"}) if abs(thing.get("size", 0)) > 10_000 else careful(thing)


def shows_its_trace(thing: dict[str, Any]) -> Answer:
    try:
        return careful({"name": {}[thing["name"]]})
    except KeyError:
        return 400, {"message": traceback.format_exc()}


def attacked(logic: Logic, folder: Path, *, guarded: bool = True) -> Attacked:
    with served(logic, guarded=guarded) as (address, _):
        return attack_target(target_at(address, folder), BOUNDS, folder)


def test_a_correct_service_has_no_findings(tmp_path: Path) -> None:
    with served(careful) as (address, seen):
        found = attack_target(target_at(address, tmp_path), BOUNDS, tmp_path)
    assert [str(each) for each in found.findings] == []
    assert found.requests > 50
    # The bound plus schemathesis's probes and the requests without a key
    assert len(seen) <= BOUNDS.requests + 10


def test_the_bound_holds_in_the_background(tmp_path: Path) -> None:
    # Given the signal settings that a shell gives to processes started with `&`
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with served(careful) as (address, seen):
            attack_target(target_at(address, tmp_path), BOUNDS, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(seen) <= BOUNDS.requests + 10


@pytest.mark.parametrize(
    ("logic", "guarded", "rule"),
    [
        (fails_on_large_sizes, True, "not_a_server_error"),
        (shows_its_trace, True, "no_leak"),
        (careful, False, DOOR),
    ],
    ids=["500 on odd input", "a trace in the body", "no authorization"],
)
def test_a_planted_fault_is_found(tmp_path: Path, logic: Logic, guarded: bool, rule: str) -> None:
    # When a service with a fault is scanned
    found = attacked(logic, tmp_path, guarded=guarded)
    # Then the fault is the first finding, with a request that reproduces it
    assert (found.findings[0].rule, found.findings[0].operation) == (rule, "POST /things")
    assert found.findings[0].request.startswith("POST http://127.0.0.1")
    assert found.plain()["failed"] is True

    # And the reports for code scanning and for CodeBuild contain it
    json_file, sarif_file = write_reports(found, "staging", tmp_path)
    sarif = json.loads(sarif_file.read_text(encoding="utf-8"))
    assert sarif["version"] == "2.1.0"
    assert sarif["runs"][0]["results"][0]["ruleId"] == rule
    assert sarif["runs"][0]["results"][0]["level"] == "error"
    assert json.loads(json_file.read_text(encoding="utf-8"))["findings"][0]["rule"] == rule
    assert "<failure" in (tmp_path / "attack-staging-things.xml").read_text(encoding="utf-8")


def test_missing_key_is_reported_and_not_green(tmp_path: Path) -> None:
    with served(careful) as (address, _), pytest.raises(SlipwayError, match="things was not attacked"):
        attack_target(target_at(address, tmp_path, key=None), BOUNDS, tmp_path)


def test_an_address_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    with served(careful) as (address, _):
        pass
    with pytest.raises(SlipwayError, match="does not answer"):
        attack_target(target_at(address, tmp_path), BOUNDS, tmp_path)
