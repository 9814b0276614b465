"""A service on the loopback interface is load-tested with its scenarios, and answers quickly, slowly or with errors."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from local.things import DOCUMENT, careful, served, target_at
from slipway.errors import SlipwayError
from slipway.performance import run as performance
from slipway.performance.measured import find_faults
from slipway.performance.run import Load, measure
from slipway.settings.model import Performance

SCENARIO = """
from locust import task

from slipway.performance.user import ServiceUser


class Maker(ServiceUser):
    @task
    def make(self):
        self.call("POST", "/things", json={"name": "kettle"})
"""
LOAD = Load(rate=8.0, seconds=4)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "services" / "things"
    (folder / "tests" / "performance").mkdir(parents=True)
    (folder / performance.SCENARIOS).write_text(SCENARIO, encoding="utf-8")
    (folder / "openapi.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    monkeypatch.setattr(performance, "ROOT", tmp_path)
    # The process with the users finds the project by this file
    (tmp_path / "cdk.json").write_text("{}", encoding="utf-8")
    return tmp_path


def slow(thing: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    time.sleep(0.3)
    return careful(thing)


def test_requests_are_counted_and_timed_at_the_rate(project: Path) -> None:
    with served(careful) as (address, seen):
        run = measure(target_at(address, project), LOAD, project)
    # Then the key was sent, and every counted request arrived
    assert run.total.failures == 0
    assert run.total.requests == len(seen)
    assert LOAD.rate * LOAD.seconds / 3 < run.total.requests <= LOAD.rate * (LOAD.seconds + 2)
    assert [each.name for each in run.routes] == ["POST /things"]
    assert (project / "things.html").is_file()


@pytest.mark.parametrize(
    ("logic", "fault"),
    [(slow, "p95 is"), (lambda _: (503, {}), "requests failed")],
    ids=["slow", "failing"],
)
def test_a_planted_fault_is_found(project: Path, logic: Any, fault: str) -> None:
    with served(logic) as (address, _):
        run = measure(target_at(address, project), LOAD, project)
    found = list(find_faults(run, Performance(p95_ms=250), None))
    assert any(fault in each for each in found), found


def test_a_failure_says_why(project: Path) -> None:
    with served(lambda _: (503, {})) as (address, _):
        run = measure(target_at(address, project), LOAD, project)
    (reason,) = run.reasons
    assert reason.startswith(f"{run.total.requests} times POST /things: 503 Server Error")


def test_requests_go_through_the_environments_proxy(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the proxy, a rehearsal's names of AWS, or addresses behind a company's proxy, cannot be reached
    with served(careful) as (proxy, seen):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        run = measure(target_at("http://things.example", project), LOAD, project)
    assert run.total.failures == 0, run.reasons
    assert run.total.requests == len(seen)


def test_scenarios_that_do_not_load_are_an_error(project: Path) -> None:
    (project / "services" / "things" / performance.SCENARIOS).write_text("import nothing_there", encoding="utf-8")
    with served(careful) as (address, _), pytest.raises(SlipwayError, match="things was not loaded"):
        measure(target_at(address, project), LOAD, project)
