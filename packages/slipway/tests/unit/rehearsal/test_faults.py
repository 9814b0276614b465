"""Faults are found by name, and a run is judged by the outcome that its fault requires."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import specimen
from slipway.errors import RehearsalError
from slipway.git import GitError
from slipway.rehearsal.faults import Fault, FaultTarget, commit_with, find, find_target, judge, list_faults
from slipway.rehearsal.player.approvals import ApprovalAnswer
from slipway.rehearsal.player.records import PlayedStage, PlayStatus, Rehearsal
from slipway.rehearsal.player.source import Commit
from slipway.settings import Settings
from slipway.settings.model import EnvironmentKind
from unit.rehearsal.recorded import rehearsal
from unit.rehearsal.repositories import commit, git, write

TARGET = find_target(specimen.SETTINGS, folder=specimen.PROJECT)
assert TARGET is not None
FAULTS = list_faults(TARGET)


def test_each_fault_is_found_by_its_name() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert [find(fault.name, FAULTS) for fault in FAULTS] == list(FAULTS)


def test_an_unknown_fault_lists_the_known_ones() -> None:
    with pytest.raises(RehearsalError, match=r"unknown fault 'nope'; choose from import-crash, error-rate=5%") as error:
        find("nope", FAULTS)
    assert error.value.exit_code == 2
    assert all(fault.name in str(error.value) for fault in FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_describes_itself_and_its_required_end(fault: Fault) -> None:
    assert fault.what
    assert fault.edits or fault.kills or fault.answer is not ApprovalAnswer.APPROVED
    assert not fault.changes_pipeline or fault.stops_at is None
    if fault.stops_at is not None:
        assert fault.because
    assert not fault.rolled_back or fault.stops_at


# --- A commit with a fault ---


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    commit(folder, {"api.py": "A = 1\n", "other.py": ""}, "The present")
    return folder


@pytest.mark.programs
def test_fault_is_a_commit_in_its_own_repository(repository: Path, tmp_path: Path) -> None:
    # Given a checkout with an uncommitted change
    write(repository, {"api.py": "A = 'dirty'\n"})
    present = Commit.of(repository, "HEAD", branch="main")
    before = git(repository, "for-each-ref"), git(repository, "status", "--porcelain")
    # When a commit with an edit is created on top of HEAD
    made = commit_with(present, {"api.py": lambda text: f"{text}B = 2\n"}, "A fault", tmp_path / "faults" / "commit")
    # Then it contains the edit and nothing else
    assert git(made.repository, "show", f"{made.sha}:api.py") == "A = 1\nB = 2"
    assert git(made.repository, "diff", "--name-only", present.sha, made.sha) == "api.py"
    assert (made.message, made.branch) == ("A fault", "main")
    # And the checkout is unchanged
    assert (git(repository, "for-each-ref"), git(repository, "status", "--porcelain")) == before
    # And another commit can be created in the same folder
    again = commit_with(present, {"api.py": lambda text: f"{text}C = 3\n"}, "Another", tmp_path / "faults" / "commit")
    assert git(again.repository, "show", f"{again.sha}:api.py") == "A = 1\nC = 3"


@pytest.mark.programs
def test_fault_fits_a_commit_that_is_not_head(repository: Path, tmp_path: Path) -> None:
    first = Commit.of(repository, "HEAD", branch="main")
    commit(repository, {"api.py": "changed\n"}, "Later")
    made = commit_with(first, {"api.py": lambda text: f"{text}B = 2\n"}, "A fault", tmp_path / "commit")
    assert git(made.repository, "rev-parse", f"{made.sha}^") == first.sha


@pytest.mark.programs
def test_a_commit_without_the_file_is_reported(repository: Path, tmp_path: Path) -> None:
    present = Commit.of(repository, "HEAD", branch="main")
    with pytest.raises(RehearsalError, match=r"the fault does not apply to this commit: it has no services/gone\.py"):
        commit_with(present, {"services/gone.py": str}, "A fault", tmp_path / "commit")


@pytest.mark.programs
def test_an_edit_that_changes_nothing_is_reported(repository: Path, tmp_path: Path) -> None:
    present = Commit.of(repository, "HEAD", branch="main")
    with pytest.raises(RehearsalError, match=r"the fault does not apply to this commit: it doesn't change api.py"):
        commit_with(present, {"api.py": str}, "A fault", tmp_path / "commit")


@pytest.mark.programs
def test_missing_text_in_a_rewritten_source_is_reported(repository: Path, tmp_path: Path) -> None:
    # Given sources that no longer contain the text that a fault replaces
    edits = [(fault, file, edit) for fault in FAULTS for file, edit in fault.edits.items() if fault.name in _REPLACING]
    assert edits
    for fault, file, edit in edits:
        with pytest.raises(RehearsalError, match=r"the fault does not apply to this commit: .* occurs 0 times"):
            commit_with(
                Commit.of(_with(tmp_path / fault.name, file), "HEAD", branch="main"),
                {file: edit},
                "A fault",
                tmp_path / "commit",
            )


_REPLACING = {"permission-missing"}


def _with(folder: Path, file: str) -> Path:
    commit(folder, {file: "rewritten = True\n"})
    return folder


@pytest.mark.programs
def test_a_deleted_repository_is_one_line(tmp_path: Path) -> None:
    gone = Commit(tmp_path / "gone", "0" * 40, "main", "m", "")
    with pytest.raises(GitError, match="git clone: ") as error:
        commit_with(gone, {}, "A fault", tmp_path / "commit")
    assert "\n" not in str(error.value)


# --- The verdict ---

STOPS = Fault("f", "w", "prod", stops_at="prod", because="Errors", rolled_back=True)
GETS_THROUGH = Fault("f", "w", "prod")


def _stopped() -> Rehearsal:
    record = rehearsal(failed=True)
    last = record.executions[-1]
    last.reason = "prod/compute.Deploy: Errors became active in minute 2"
    last.stages[1].reason = last.reason
    last.stages[1].name = "prod-items"
    last.stages[1].actions[1].error = "prod-items-compute: it failed; the stack is UPDATE_ROLLBACK_COMPLETE"
    record.before = record.served = {"prod": {"items": "200; live: ApiFunction 1"}}
    return record


def test_fault_that_stopped_as_required_passes() -> None:
    assert judge(STOPS, _stopped()) is None
    assert judge(GETS_THROUGH, rehearsal()) is None


def _rolled_back(status: PlayStatus | None, reason: str = "") -> Rehearsal:
    """Return a run that was stopped in prod, with the status of its rollback; None if there was none."""
    record = _stopped()
    last = record.executions[-1]
    last.stages = [stage for stage in last.stages if stage.kind != "rollback"]
    if status is not None:
        last.stages.append(PlayedStage("prod-items", "rollback", status, reason=reason))
    return record


CANCELED = Fault("f", "w", "prod", changes_pipeline="prod")
REFUSED = Fault("f", "w", "prod", stops_at="prod", because="Errors", rollback_refused="denied by stack policy")
GOES_BACK = Fault("f", "w", "prod", stops_at="prod", because="Errors", goes_back=True)


def test_a_canceled_execution_is_judged() -> None:
    # Given a delivery whose first execution was canceled in prod
    record = rehearsal()
    assert judge(CANCELED, record) == "nothing was canceled in prod"
    first = record.executions[0]
    first.stages.append(PlayedStage("prod-items", status=PlayStatus.CANCELED))
    assert judge(CANCELED, record) is None
    # Then its rollback counts as wrong
    first.stages.append(PlayedStage("prod-items", "rollback", PlayStatus.SUCCEEDED))
    assert judge(CANCELED, record) == "the canceled execution was rolled back"


def test_a_refused_rollback_is_judged() -> None:
    assert judge(REFUSED, _rolled_back(None)) == "no rollback was attempted"
    assert judge(REFUSED, _rolled_back(PlayStatus.FAILED, "Key: Action denied by stack policy")) is None
    assert judge(REFUSED, _rolled_back(PlayStatus.SUCCEEDED)) == "the rollback was not refused"
    assert "a different reason: no" in str(judge(REFUSED, _rolled_back(PlayStatus.FAILED, "no")))


def test_a_required_rollback_is_judged() -> None:
    assert judge(GOES_BACK, _rolled_back(None)) == "the stage did not roll back: no rollback was attempted"
    assert judge(GOES_BACK, _rolled_back(PlayStatus.SUCCEEDED, "back")) is None
    assert judge(GOES_BACK, _rolled_back(PlayStatus.FAILED, "no")) == "the stage did not roll back: no"


@pytest.mark.parametrize(
    ("served", "complains"),
    [("ApiFunction 8 (abc123)", False), ("ApiFunction 8 (def456)", True), ("Other 8 (abc123)", True)],
)
def test_a_rolled_back_stage_serves_the_same_code(served: str, *, complains: bool) -> None:
    # Given a rolled back stage, which publishes the earlier code as a new version
    record = _rolled_back(PlayStatus.SUCCEEDED, "back")
    record.before = {"prod": {"items": "200; live: ApiFunction 6 (abc123)"}}
    record.served = {"prod": {"items": f"200; live: {served}"}}

    assert (judge(GOES_BACK, record) is not None) is complains


def _undeployed(record: Rehearsal) -> None:
    record.executions[-1].stages[1].actions[1].deployments.clear()


def _through(record: Rehearsal) -> None:
    for stage in record.executions[-1].stages:
        stage.status = PlayStatus.SUCCEEDED


def _by_another(record: Rehearsal) -> None:
    last = record.executions[-1]
    last.reason = last.stages[1].reason = "else"


def _stuck(record: Rehearsal) -> None:
    record.executions[-1].stages[1].actions[1].error = "it failed; the stack is UPDATE_ROLLBACK_FAILED"


@pytest.mark.parametrize(
    ("spoils", "complaint"),
    [
        (lambda record: record.executions.clear(), "nothing was played"),
        (
            _through,
            "it was not stopped",
        ),
        (
            lambda record: record.executions[-1].stages.append(PlayedStage("dev", status=PlayStatus.FAILED)),
            "it was stopped at dev, not at prod",
        ),
        (
            _by_another,
            "it was stopped for a reason other than Errors: else",
        ),
        (_undeployed, "nothing was rolled back"),
        (_stuck, "nothing was rolled back"),
        (lambda record: setattr(record, "served", {"prod": {"items": "502"}}), "items of prod answers 502"),
        (lambda record: setattr(record, "served", {}), "items of prod answers nothing"),
        (
            lambda record: setattr(record, "served", {"prod": {"items": "200; live: ApiFunction 2"}}),
            "items of prod serves 200; live: ApiFunction 2, not 200; live: ApiFunction 1 as before",
        ),
        (lambda record: setattr(record, "before", {}), "the earlier answers of prod were not recorded"),
    ],
)
def test_wrong_outcome_is_reported(spoils: Callable[[Rehearsal], Any], complaint: str) -> None:
    record = _stopped()
    spoils(record)
    assert (judge(STOPS, record) or "").startswith(complaint)


def test_stopped_delivery_that_should_succeed_is_reported() -> None:
    assert (
        judge(GETS_THROUGH, _stopped()) == "it was not delivered: prod/compute.Deploy: Errors became active in minute 2"
    )


# --- The target ---


def _project(folder: Path, *files: str) -> Path:
    for file in files:
        write(folder, {f"services/{file}": ""})
    return folder


def _settings(environments: dict[str, EnvironmentKind], *, approvals: tuple[str, ...] = ()) -> Settings:
    """Return the specimen with environments of other names and kinds, each configured like its last one."""
    last = specimen.PROD
    made = tuple(last.model_copy(update={"name": name, "kind": kind}) for name, kind in environments.items())
    pipeline = specimen.SETTINGS.pipeline.model_copy(update={"approval_before": approvals})
    return specimen.SETTINGS.model_copy(update={"environments": made, "pipeline": pipeline})


def _found(settings: Settings, folder: Path, *services: str) -> FaultTarget:
    found = find_target(settings, services, folder=folder)
    assert found is not None
    return found


TEST, PRODUCTION = EnvironmentKind.TEST, EnvironmentKind.PRODUCTION


def test_faults_stop_by_environment_kind_and_order(tmp_path: Path) -> None:
    # Given environments with other names, two of which are production
    folder = _project(tmp_path, "orders/runtime/api.py")
    named = {"lab": TEST, "rehearsal": TEST, "live-us": PRODUCTION, "live-eu": PRODUCTION}
    faults = {fault.name: fault for fault in list_faults(_found(_settings(named, approvals=("live-us",)), folder))}
    # Then each fault stops where its kind requires, regardless of names
    assert faults["import-crash"].stops_at == "lab"
    assert faults["error-rate=5%"].stops_at == faults["error-rate=5%"].watched == "live-us"
    assert faults["approval-rejected"].stops_at == "live-us-approval"
    assert faults["killed"].kills == "live-us"
    assert {"dev", "staging", "prod"}.isdisjoint(" ".join(fault.what for fault in faults.values()).split())


def test_one_environment_without_approval_has_faults(tmp_path: Path) -> None:
    folder = _project(tmp_path, "orders/runtime/api.py")
    faults = {fault.name: fault for fault in list_faults(_found(_settings({"only": TEST}), folder))}

    assert "approval-rejected" not in faults
    assert {fault.watched for fault in faults.values()} == {"only"}


def test_canary_faults_need_a_canary(tmp_path: Path) -> None:
    folder = _project(tmp_path, "orders/runtime/api.py")
    deployment = specimen.PROD.deployment.model_copy(update={"strategy": "AllAtOnce", "bake_minutes": 0})
    environments = (specimen.PROD.model_copy(update={"deployment": deployment}),)
    settings = specimen.SETTINGS.model_copy(update={"environments": environments})
    names = {fault.name for fault in list_faults(_found(settings, folder))}

    assert names.isdisjoint({"error-rate=5%", "latency=3s", "alarm-in-bake"})


def test_a_worker_has_its_own_faults(tmp_path: Path) -> None:
    # Given a service without an API
    folder = _project(tmp_path, "orders/runtime/worker.py")
    target = _found(specimen.SETTINGS, folder)
    faults = list_faults(target)
    # Then the faults break its worker, and none needs a route
    assert (target.service, target.entry) == ("orders", "worker")
    assert {file for fault in faults for file in fault.edits} == {"services/orders/runtime/worker.py"}
    assert {"import-crash", "error-rate=5%", "alarm-in-bake", "killed"} <= {fault.name for fault in faults}
    # And each edited file is valid Python
    worker = "def handler(event, context):\n    return {}\n"
    for fault in faults:
        for edit in fault.edits.values():
            compile(edit(worker), fault.name, "exec")


def test_the_service_that_declares_comes_first(tmp_path: Path) -> None:
    folder = _project(tmp_path, "a/runtime/worker.py", "b/runtime/api.py", "c/runtime/worker.py", "c/faults.py")

    assert _found(specimen.SETTINGS, folder).service == "c"
    assert _found(specimen.SETTINGS, folder, "a", "b").service == "b"
    assert _found(specimen.SETTINGS, folder, "a").service == "a"
    assert find_target(specimen.SETTINGS, ["gone"], folder=folder) is None


def test_without_a_function_there_are_no_faults() -> None:
    assert list_faults(None) == ()
    with pytest.raises(RehearsalError, match=r"has runtime/api\.py or runtime/worker\.py"):
        find("killed", ())
