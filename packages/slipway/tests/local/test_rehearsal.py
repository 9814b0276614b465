"""The rehearsal: a commit that changes the pipeline is delivered to prod, and one with a fault is rolled back.

`make test` runs it alone: its alarms on latency are real, and would trigger on a machine with other work.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from slipway import settings as config
from slipway.errors import RehearsalError
from slipway.project import ROOT
from slipway.rehearsal import faults, verbs
from slipway.rehearsal.player.approvals import ApprovalAnswer
from slipway.rehearsal.player.records import Execution, PlayedAction, PlayedDeployment, PlayStatus, Rehearsal
from slipway.rehearsal.player.source import Commit
from slipway.rehearsal.rehearse import REQUESTS_A_MINUTE, Options

SERVICES = ("items",)

_API = "services/items/runtime/api.py"
_PIPELINE = "config/pipeline.toml"


@dataclass
class Run:
    """A rehearsal and its results."""

    record: Rehearsal
    page: str
    result: dict[str, object]
    said: str
    answered: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Create the folder with the accounts of these tests."""
    folder = tmp_path_factory.mktemp("rehearsal")
    yield folder
    verbs.remove(config.load(), Options(services=SERVICES, home=folder))


@pytest.fixture(scope="module")
def present(home: Path) -> Commit:
    """Commit the current tree to a separate repository."""
    repository = home / "repository"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", repository], check=True)
    git = ["git", f"--git-dir={repository / '.git'}", f"--work-tree={ROOT}"]
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    subprocess.run([*git, "add", "--all"], check=True, cwd=ROOT)
    subprocess.run([*git, *identity, "commit", "--quiet", "--no-verify", "--message", "The tree"], check=True, cwd=ROOT)
    return Commit.of(repository, "HEAD", branch="main")


@pytest.fixture(scope="module")
def change(home: Path, present: Commit) -> Commit:
    """Create a commit on top of it that changes functions and the pipeline."""
    edits = {_API: lambda text: f"{text}\n# Another version.\n", _PIPELINE: _later_time_out}
    return faults.commit_with(present, edits, "Change functions and pipeline", home / "change")


@pytest.fixture(scope="module")
def delivered(home: Path, present: Commit, change: Commit) -> Run:
    """Deliver the change to accounts that have the tree deployed."""
    return _run(Options(services=SERVICES, base=present.sha, folder=home / "delivered", home=home), change)


def _fault(name: str) -> faults.Fault:
    target = faults.find_target(config.load(), SERVICES, folder=ROOT)
    return faults.find(name, faults.list_faults(target))


@pytest.fixture(scope="module")
def put_back(home: Path, change: Commit, delivered: Run) -> Run:
    """Deliver a commit to the same accounts for which one in twenty requests fails in prod."""
    assert delivered.record.delivered
    fault = _fault("error-rate=5%")
    requests = fault.requests_in([environment.name for environment in config.load().environments], REQUESTS_A_MINUTE)
    options = Options(services=SERVICES, requests_a_minute=requests, folder=home / "put_back", home=home)
    return _run(options, change, fault)


@pytest.mark.requirement("from a push to prod", "the rehearsal")
def test_a_commit_reaches_prod(delivered: Run) -> None:
    last = delivered.record.executions[-1]
    assert delivered.record.delivered, delivered.record.verdict
    assert last.status is PlayStatus.SUCCEEDED
    assert [stage.name for stage in last.stages if stage.status is not PlayStatus.SUCCEEDED] == []
    assert "delivered" in delivered.said.splitlines()[-1]


@pytest.mark.requirement("from a push to prod", "the rehearsal")
def test_commit_that_changes_the_pipeline_restarts_it(delivered: Run) -> None:
    first, second = delivered.record.executions
    assert first.status is PlayStatus.CANCELED
    assert [stage.name for stage in first.stages if stage.status is PlayStatus.SUCCEEDED][:2] == ["Source", "Build"]
    assert second.pipeline_version == first.pipeline_version + 1


@pytest.mark.requirement("the approval", "the rehearsal")
def test_prod_waits_for_an_approval_that_another_process_may_give(delivered: Run) -> None:
    assert delivered.answered == ["prod-approval/Approve-prod"]
    approval = _action(delivered.record.executions[-1], "prod-approval", "Approve-prod")
    assert approval.summary == "approved: looks good"


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_traffic_shifts_to_the_new_version_while_both_answer(delivered: Run, environment: str) -> None:
    # Given the deployments of an environment's functions
    deployments = _deployments(delivered.record.executions[-1], environment)
    assert deployments
    for each in deployments:
        # Then the contract was checked before traffic, and no alarm was on
        assert each.status is PlayStatus.SUCCEEDED, each.reason
        assert each.hooks["BeforeAllowTraffic"] == "Succeeded"
        assert "ALARM" not in {state for minute in each.minutes for state in minute.alarms.values()}
    # And during a canary, the old version answered as well as the new one
    shifted = [each for each in deployments if "AllAtOnce" not in each.configuration]
    assert bool(shifted) == (environment != "dev")
    assert all(sum(minute.requests_old for minute in each.minutes) > each.met_new / 2 for each in shifted)
    assert all(each.met_new > 0 for each in shifted)


@pytest.mark.requirement("tests after each environment", "protection")
def test_each_environment_is_protected_and_verified(delivered: Run) -> None:
    last = delivered.record.executions[-1]
    for environment in ("dev", "staging", "prod"):
        tests = _action(last, f"{environment}-items", "Verify").tests
        assert tests is not None
        assert tests.tests
        assert not tests.failures
        assert _action(last, f"{environment}-items", "Protect").status is PlayStatus.SUCCEEDED


def test_every_event_reaches_its_targets(delivered: Run) -> None:
    assert delivered.record.event_faults == []


@pytest.mark.requirement("the rehearsal")
def test_every_used_substitution_is_reported(delivered: Run) -> None:
    for row in delivered.record.substitutions:
        assert row["subject"] in delivered.page
    subjects = {row["subject"] for row in delivered.record.substitutions}
    assert {"AWS::CodePipeline::Pipeline", "AWS::CodeBuild::Project", "AWS::CodeDeploy::*"} <= subjects


@pytest.mark.requirement("the rehearsal")
def test_the_page_is_self_contained(delivered: Run) -> None:
    assert delivered.record.commit[:12] in delivered.page
    assert delivered.result["verdict"] == delivered.record.verdict
    assert 'src="http' not in delivered.page
    assert "@import" not in delivered.page


@pytest.mark.requirement("safe deployments", "bake and rollback", "the rehearsal")
def test_a_fault_in_prod_is_rolled_back_by_the_alarm(put_back: Run) -> None:
    assert not put_back.record.delivered
    assert faults.judge(_fault("error-rate=5%"), put_back.record) is None
    stopped = [stage for stage in put_back.record.executions[-1].stages if stage.status is PlayStatus.FAILED]
    assert [(stage.name, stage.kind) for stage in stopped] == [("prod-items", "deliver")]
    said = put_back.said.splitlines()[-1]
    assert "rolled back" in said
    assert re.search(r"[1-9]\d* of \d+ requests", said)


def test_the_stage_rolls_back_to_the_previous_delivery(put_back: Run) -> None:
    last = put_back.record.executions[-1].stages[-1]
    assert (last.name, last.kind, last.status) == ("prod-items", "rollback", PlayStatus.SUCCEEDED)


@pytest.mark.requirement("bake and rollback", "the rehearsal")
def test_prod_serves_what_it_did_before_the_fault(delivered: Run, put_back: Run) -> None:
    assert put_back.record.served["prod"] == delivered.record.served["prod"] == put_back.record.before["prod"]
    # The stages before prod serve the commit
    assert put_back.record.served["staging"] != delivered.record.served["staging"]


@pytest.mark.requirement("safe deployments")
def test_only_part_of_the_traffic_reached_the_fault(put_back: Run) -> None:
    (failed,) = [
        each for each in _deployments(put_back.record.executions[-1], "prod") if each.status is PlayStatus.FAILED
    ][:1]
    assert failed.failed_new
    assert max(minute.weight for minute in failed.minutes) < 1


@pytest.mark.requirement("the rehearsal")
def test_nothing_runs_afterwards(put_back: Run, home: Path) -> None:
    assert not put_back.record.delivered
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [command for command in commands if str(home) in command] == []


def _run(options: Options, commit: Commit, fault: faults.Fault | None = None) -> Run:
    settings, output, answered = config.load(), io.StringIO(), list[str]()
    over = threading.Event()

    def approve() -> None:
        while not over.wait(1):
            try:
                answered.append(
                    verbs.answer(verbs.running_rehearsal(settings, options), ApprovalAnswer.APPROVED, "looks good")
                )
            except RehearsalError:
                continue

    answering = threading.Thread(target=approve)
    answering.start()
    console = Console(file=output, width=160)
    try:
        record = verbs.play(settings, options, commit, console, answers=None, fault=fault)
        verbs.say_end(record, options.folder, console)
    finally:
        over.set()
        answering.join()
    return Run(
        record,
        (options.folder / "index.html").read_text(encoding="utf-8"),
        json.loads((options.folder / "result.json").read_text(encoding="utf-8")),
        output.getvalue().rstrip(),
        answered,
    )


def _later_time_out(text: str) -> str:
    approval = tomllib.loads(text).get("approval", {})
    hours = 23 if approval.get("timeout_hours") == 22 else 22
    kept = re.sub(r"^timeout_hours = .*\n", "", text, flags=re.MULTILINE)
    head = "" if approval else "\n[approval]\n"
    edited = re.sub(r"^\[approval\]\n", rf"\g<0>timeout_hours = {hours}\n", kept + head, flags=re.MULTILINE)
    assert tomllib.loads(edited)["approval"]["timeout_hours"] == hours
    return edited


def _action(execution: Execution, stage: str, name: str) -> PlayedAction:
    return next(
        action for each in execution.stages if each.name == stage for action in each.actions if action.name == name
    )


def _deployments(execution: Execution, environment: str) -> list[PlayedDeployment]:
    return [
        deployment
        for stage in execution.stages
        if stage.name.startswith(f"{environment}-")
        for action in stage.actions
        for deployment in action.deployments
    ]
