"""The verbs of the rehearsal: their arguments, what they refuse, and their output."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import boto3
import pytest
from rich.console import Console

import specimen
from slipway import files, project
from slipway.cli import main
from slipway.emulator.partition import Requester
from slipway.emulator.server import Emulator
from slipway.rehearsal import faults, verbs
from slipway.rehearsal.player.approvals import ApprovalAnswer, Approvals, Pending
from slipway.rehearsal.player.memory import Memory
from slipway.rehearsal.player.pipeline_api import PipelineApi
from slipway.rehearsal.player.records import Rehearsal
from slipway.rehearsal.rehearse import Options, Stand
from slipway.rehearsal.show import Show
from unit.rehearsal.aws import TOOLS, no_ports
from unit.rehearsal.aws.client import Client
from unit.rehearsal.player.pipelines import approval, pipeline, stage
from unit.rehearsal.recorded import rehearsal
from unit.rehearsal.repositories import commit, git, write

pytestmark = pytest.mark.programs


FILES = {
    **{f"services/{name}/infrastructure.py": "" for name in ("catalog", "intake", "studio")},
    "services/catalog/runtime/api.py": "",
    "config/pipeline.toml": "",
}


class Played:
    """A checkout, and the calls that would play it."""

    def __init__(self, root: Path, commits: tuple[str, str]) -> None:
        self.root, (self.first, self.head) = root, commits
        self.folder = root / "build" / "rehearsal"
        self.calls: list[dict[str, Any]] = []
        self.record = rehearsal()

    def play(self, settings: Any, options: Any, commit: Any, console: Console, **more: Any) -> Rehearsal:
        """Record the call instead of playing."""
        self.calls.append({"options": options, "commit": commit, **more})
        return self.record

    @property
    def call(self) -> dict[str, Any]:
        (only,) = self.calls
        return only


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, str]]:
    """Create a checkout to copy, and return it with its two commits."""
    root = tmp_path_factory.mktemp("made")
    first = commit(root, {**FILES, "a": "1", ".gitignore": "build/\n.venv/\n"}, "The first")
    return root, (first, commit(root, {"a": "2"}, "The second"))


@pytest.fixture(autouse=True)
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: tuple[Path, tuple[str, str]]) -> Iterator[Played]:
    found = Played(Path(shutil.copytree(checkout[0], tmp_path / "checkout")), checkout[1])
    monkeypatch.setattr("slipway.cli.run.use_project", lambda *_, **__: None)
    monkeypatch.setattr(project, "ROOT", found.root)
    monkeypatch.setattr(verbs, "FOLDER", found.folder)
    monkeypatch.setattr(verbs, "REMOTE", found.folder / "remote.git")
    monkeypatch.setattr(verbs, "Options", partial(Options, folder=found.folder, home=found.folder))
    monkeypatch.setattr(verbs, "play", found.play)
    before = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "Somebody")
        monkeypatch.setenv(f"{name}_EMAIL", "somebody@example.com")
    yield found
    os.environ.clear()
    os.environ.update(before)
    for number, handler in handlers.items():
        signal.signal(number, handler)


# --- Wrong input ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["rehearse", "--service", "nope"],
            "unknown service 'nope' in dev; choose from catalog, intake, studio",
        ),
        (["rehearse", "--fault", "nope"], "unknown fault 'nope'; choose from import-crash, "),
        (["rehearse", "--fault", "killed", "--service", "intake"], "no service that is rehearsed has runtime/api.py"),
        (["rehearse", "--approve", "perhaps"], "unknown APPROVE 'perhaps'; choose from yes, no, timeout, ask"),
        (["rehearse", "--commit", "nope"], "nope is not a commit of "),
        (["rehearse", "--base", "nope"], "nope is not a commit of "),
        (["rehearse", "--rate", "0"], "--rate"),
        (["rehearse", "--pipeline", "Other"], "--pipeline: not allowed for an app with config/pipeline.toml"),
        (["rehearse", "--at", "tomorrow"], "--at"),
        (["drill", "--fault", "nope"], "unknown fault 'nope'; choose from import-crash, "),
        (["drill", "--service", "nope"], "unknown service 'nope' in dev"),
        (["approve", "--service", "nope"], "unknown service 'nope' in dev"),
        (["reject", "--service", "nope"], "unknown service 'nope' in dev"),
        (["forget", "--service", "nope"], "unknown service 'nope' in dev"),
    ],
)
def test_wrong_input_names_what_is_allowed_and_nothing_is_played(
    played: Played, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert played.calls == []


def test_answer_without_running_rehearsal_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("approve", "reject"):
        assert main([verb]) == 1
        assert capsys.readouterr().err == "no rehearsal is running; start one with `slipway rehearse`\n"


# --- What is delivered ---


def test_the_present_commit_is_delivered(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse"]) == 0
    assert (played.call["commit"].sha, played.call["commit"].message) == (played.head, "The second")
    assert (played.call["answers"], played.call["fault"], played.call["fresh"]) == (None, None, False)
    # The verdict is the last line, after the substitutions and the path of the page
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["build/rehearsal/index.html", played.record.verdict]
    assert any("AWS::X" in line for line in lines)


def test_a_commit_that_was_not_delivered_is_exit_code_one(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.record = rehearsal(failed=True)
    played.record.verdict = "stopped at [/prod]: [red] is no colour"
    assert main(["rehearse"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == played.record.verdict


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("yes", ApprovalAnswer.APPROVED),
        ("no", ApprovalAnswer.REJECTED),
        ("timeout", ApprovalAnswer.TIMED_OUT),
        ("ask", None),
    ],
)
def test_the_answer_may_be_given_in_advance(played: Played, word: str, answer: ApprovalAnswer | None) -> None:
    main(["rehearse", "--approve", word])
    assert played.call["answers"] is answer


def test_a_fault_brings_its_own_answer_and_rate(played: Played) -> None:
    main(["rehearse", "--fault", "error-rate=5%", "--service", "catalog", "--approve", "no"])
    fault = played.call["fault"]
    assert fault.name == "error-rate=5%"
    assert played.call["answers"] is fault.answer
    # Only prod uses the fault's rate; the others only get enough requests for time to pass
    assert played.call["options"].requests_a_minute == {
        "dev": faults.FEW,
        "staging": faults.FEW,
        "prod": fault.requests_a_minute,
    }
    assert played.call["options"].services == ("catalog",)


def test_another_commit_and_another_base_may_be_named(played: Played) -> None:
    main(["rehearse", "--commit", "HEAD~1", "--base", "empty", "--fresh"])
    assert (played.call["commit"].sha, played.call["options"].base, played.call["fresh"]) == (
        played.first,
        "empty",
        True,
    )


def test_a_dirty_tree_is_reported_and_not_delivered(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    write(played.root, {"a": "dirty", "new": ""})
    assert main(["rehearse"]) == 0
    assert "2 changes are not committed and will not be delivered; SNAPSHOT=yes" in capsys.readouterr().out
    assert played.call["commit"].sha == played.head


def test_a_clean_tree_is_not_mentioned(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    main(["rehearse"])
    said = capsys.readouterr().out
    assert "not committed" not in said
    assert "detached" not in said


def test_a_snapshot_delivers_the_tree_and_touches_nothing(played: Played) -> None:
    # Given a tree with a changed, a new, a deleted and a staged file
    write(played.root, {"a": "dirty", "new": "new", "staged": "staged"})
    (played.root / "services" / "intake" / "infrastructure.py").unlink()
    git(played.root, "add", "staged")
    before = git(played.root, "status", "--porcelain"), git(played.root, "rev-parse", "HEAD")
    # When it is rehearsed with --snapshot
    assert main(["rehearse", "--snapshot"]) == 0
    # Then the tree is delivered
    delivered = played.call["commit"]
    assert git(played.root, "show", f"{delivered.sha}:a") == "dirty"
    files = git(played.root, "ls-tree", "-r", "--name-only", delivered.sha).splitlines()
    assert {"new", "staged"} <= set(files)
    assert "services/intake/infrastructure.py" not in files
    assert git(played.root, "rev-parse", f"{delivered.sha}^") == played.head
    # And neither the index nor the branch has changed
    assert (git(played.root, "status", "--porcelain"), git(played.root, "rev-parse", "HEAD")) == before


def test_snapshot_needs_no_git_identity(played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git(played.root, "config", "user.useConfigOnly", "true")
    write(played.root, {"a": "dirty"})

    assert main(["rehearse", "--snapshot"]) == 0

    assert git(played.root, "show", f"{played.call['commit'].sha}:a") == "dirty"


def test_a_detached_head_is_reported_and_delivered(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    git(played.root, "checkout", "--quiet", "--detach", "HEAD~1")
    assert main(["rehearse"]) == 0
    assert "the head is detached: its commit is delivered as if it were pushed" in capsys.readouterr().out
    assert (played.call["commit"].sha, played.call["commit"].branch) == (played.first, "main")


def test_a_folder_without_a_commit_is_wrong_input(
    played: Played, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (played.root / ".git").rename(tmp_path / "away")
    os.environ["GIT_CEILING_DIRECTORIES"] = str(tmp_path)
    assert main(["rehearse"]) == 2
    assert "not a git repository" in capsys.readouterr().err
    assert played.calls == []


def test_a_shallow_clone_is_wrong_input(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{played.root}", "shallow")
    monkeypatch.setattr(project, "ROOT", tmp_path / "shallow")
    assert main(["rehearse"]) == 2
    assert "git fetch --unshallow" in capsys.readouterr().err
    assert played.calls == []


# --- Pushes ---


def test_a_push_to_the_remote_calls_the_player(
    played: Played, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Given the remote, set up twice
    assert main(["remote"]) == 0
    assert main(["remote"]) == 0
    assert "git push rehearsal main" in capfd.readouterr().out
    assert git(played.root, "remote", "get-url", "rehearsal") == str(verbs.REMOTE)
    # When a branch is pushed to it
    told = tmp_path / "told"
    python = played.root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\n(echo "$*"; pwd; echo "${{GIT_DIR-none}}"; cat) >{told}\n')
    python.chmod(0o755)
    git(played.root, "push", "--quiet", "rehearsal", "main")
    # Then the player is started in the checkout, with the pushed refs
    assert told.read_text().splitlines() == [
        "-m slipway receive",
        str(played.root),
        "none",
        f"{'0' * 40} {played.head} refs/heads/main",
    ]


def test_remote_of_another_work_tree_stays(
    played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a remote set up in the main work tree, and another work tree of the repository
    main(["remote"])
    first = str(verbs.REMOTE)
    other = tmp_path / "other"
    git(played.root, "worktree", "add", "--quiet", "--detach", str(other))
    monkeypatch.setattr(project, "ROOT", other)
    monkeypatch.setattr(verbs, "REMOTE", other / "build" / "remote.git")
    capsys.readouterr()

    assert main(["remote"]) == 0

    assert git(other, "remote", "get-url", "rehearsal") == first
    assert f"git push {verbs.REMOTE} main" in capsys.readouterr().out


def test_broken_remote_is_replaced(played: Played) -> None:
    git(played.root, "remote", "add", "rehearsal", str(played.root / "moved"))

    assert main(["remote"]) == 0

    assert git(played.root, "remote", "get-url", "rehearsal") == str(verbs.REMOTE)


def test_a_checkout_of_any_name_has_a_remote(played: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "a $HOME `b` \"c\" 'd'"
    commit(root, {"a": "1"})
    monkeypatch.setattr(project, "ROOT", root)
    monkeypatch.setattr(verbs, "REMOTE", root / "build" / "remote.git")
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\npwd >{tmp_path / 'told'}\n")
    python.chmod(0o755)
    assert main(["remote"]) == 0
    git(root, "push", "--quiet", "rehearsal", "main")
    assert (tmp_path / "told").read_text() == f"{root}\n"


def _receive(played: Played, monkeypatch: pytest.MonkeyPatch, *lines: str) -> int:
    """Run what the hook runs after a push."""
    main(["remote"])
    (verbs.REMOTE / "hooks" / "post-receive").unlink()
    git(played.root, "push", "--quiet", "rehearsal", "main")
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return main(["receive"])


def test_pushed_commit_waits_for_the_earlier_rehearsal(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPROVE", "yes")
    assert _receive(played, monkeypatch, f"{played.first} {played.head} refs/heads/main") == 0
    assert (played.call["commit"].sha, played.call["commit"].repository) == (played.head, verbs.REMOTE)
    assert (played.call["answers"], played.call["wait"]) == (ApprovalAnswer.APPROVED, -1)


def test_only_the_pipelines_branch_is_played(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pushed = f"{'0' * 40} {played.first} refs/heads/other", f"{'0' * 40} {played.head} refs/heads/main"
    assert _receive(played, monkeypatch, *pushed) == 0
    assert played.call["commit"].sha == played.head
    assert "refs/heads/other is not main: nothing starts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{'0' * 40} {'1' * 40} refs/heads/main-2", "refs/heads/main-2 is not main: nothing starts"),
        (f"{'1' * 40} {'0' * 40} refs/heads/main", "main was removed: nothing starts"),
        (f"{'0' * 40} {'1' * 40} refs/tags/main", "refs/tags/main is not main: nothing starts"),
    ],
)
def test_other_pushes_start_nothing(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    assert _receive(played, monkeypatch, line) == 0
    assert said in capsys.readouterr().out
    assert played.calls == []


def test_a_push_with_an_unknown_answer_is_refused(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("APPROVE", "perhaps")
    assert _receive(played, monkeypatch, f"{played.first} {played.head} refs/heads/main") == 2
    assert "unknown APPROVE 'perhaps'; choose from yes, no, timeout, ask" in capsys.readouterr().err
    assert played.calls == []


# --- Answers ---


class Terminal:
    """A pipeline with an approval, and CodePipeline's API where `make approve` calls it."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        accounts = Options(home=home).scope / "accounts"
        files.write_json(accounts / "accounts.json", {"endpoint": 1, "proxy": 2, "accounts": {}})
        memory = Memory(accounts / "codepipeline.json")
        memory.define(pipeline(stage("prod-approval", approval())))
        self.approvals = Approvals(lambda _: None, threading.Event())
        api = PipelineApi(memory, self.approvals, lambda caller, *_: caller.account == TOOLS)
        monkeypatch.setattr(Emulator, "running", lambda *_, **__: object())
        monkeypatch.setattr(boto3, "Session", lambda **_: self)
        self.client = lambda service, **_: Client(
            service, lambda operation, _, parameters: api(operation, parameters, Requester(TOOLS, TOOLS))
        )


@pytest.fixture
def terminal(played: Played, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(played.folder, monkeypatch)


@pytest.mark.parametrize(
    ("arguments", "answer", "says"),
    [
        (["approve"], ApprovalAnswer.APPROVED, "approved at the terminal"),
        (["approve", "--says", "go"], ApprovalAnswer.APPROVED, "go"),
        (["reject", "--says", "not today"], ApprovalAnswer.REJECTED, "not today"),
    ],
)
def test_an_approval_is_answered_from_another_terminal(
    terminal: Terminal, capsys: pytest.CaptureFixture[str], arguments: list[str], answer: ApprovalAnswer, says: str
) -> None:
    # Given an approval that is waiting
    found: list[ApprovalAnswer | None] = []
    pending = Pending("prod-approval", "Approve", "Go?", "")
    thread = threading.Thread(target=lambda: found.append(terminal.approvals.wait(pending)), daemon=True)
    thread.start()
    while not terminal.approvals.waiting():
        time.sleep(0.01)
    # When it is answered
    assert main(arguments) == 0
    # Then the waiting thread gets the answer
    thread.join(10)
    assert (found, pending.summary) == ([answer], says)
    assert capsys.readouterr().out == f"prod-approval/Approve: {answer.value.lower()}\n"


@pytest.mark.usefixtures("terminal")
def test_answering_without_an_approval_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["approve"]) == 1
    assert capsys.readouterr().err == "no approval is pending\n"


def _shown() -> tuple[Show, io.StringIO]:
    file = io.StringIO()
    return Show(Console(file=file, width=160)), file


@pytest.fixture
def typed() -> Iterator[tuple[TextIO, TextIO]]:
    """Create a terminal, and the stream to type into it."""
    reads, writes = os.pipe()
    with os.fdopen(reads) as terminal, os.fdopen(writes, "w") as hands:
        yield terminal, hands


PENDING = Pending("prod-approval", "Approve-prod", "Deploy? [/] fix [red] things", "")


def test_the_question_is_asked_once() -> None:
    show, file = _shown()
    ask = verbs._asker(show, None, None)
    assert [ask(PENDING), ask(PENDING)] == [None, None]
    assert file.getvalue().count("Approve-prod waits: Deploy? [/] fix [red] things") == 1
    assert "make approve" in file.getvalue()
    assert "y or n" not in file.getvalue()


@pytest.mark.parametrize(
    ("word", "answer"),
    [("y", ApprovalAnswer.APPROVED), ("n", ApprovalAnswer.REJECTED), (" Y ", ApprovalAnswer.APPROVED)],
)
def test_an_answer_may_be_typed_at_the_terminal(
    typed: tuple[TextIO, TextIO], word: str, answer: ApprovalAnswer
) -> None:
    show, file = _shown()
    terminal, hands = typed
    ask = verbs._asker(show, None, terminal)
    # Given no input, and then input that is not an answer
    assert ask(PENDING) is None
    print("perhaps", file=hands, flush=True)
    assert ask(PENDING) is None
    assert file.getvalue().count("y or n") == 2
    # When a valid answer is typed
    print(word, file=hands, flush=True)
    # Then it is returned
    assert ask(PENDING) is answer


def test_a_closed_terminal_is_not_asked_again(typed: tuple[TextIO, TextIO]) -> None:
    show, file = _shown()
    terminal, hands = typed
    ask = verbs._asker(show, None, terminal)
    hands.close()
    assert [ask(PENDING) for _ in range(5)] == [None] * 5
    assert file.getvalue().count("y or n") == 1


def test_an_answer_given_in_advance_needs_no_question() -> None:
    show, file = _shown()
    assert verbs._asker(show, ApprovalAnswer.REJECTED, None)(PENDING) is ApprovalAnswer.REJECTED
    assert not file.getvalue()


# --- Drills ---


def _rejected(*, by: str = "rejected: not today") -> Rehearsal:
    record = rehearsal(failed=True)
    last = record.executions[-1]
    last.stages[1].name, last.stages[1].reason, last.reason = "prod-approval", by, by
    record.before = record.served = {"prod": {"catalog": "200"}}
    record.verdict = f"stopped by [/x] [red] {by}"
    return record


def test_a_drill_plays_each_fault_and_judges_it(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.record = _rejected()
    assert main(["drill", "--fault", "approval-rejected", "--service", "catalog"]) == 0
    fault = played.call["fault"]
    assert (fault.name, played.call["answers"]) == ("approval-rejected", ApprovalAnswer.REJECTED)
    assert played.call["commit"].sha == played.head
    said = " ".join(capsys.readouterr().out.split())
    assert "✓ approval-rejected" in said
    assert "stopped by [/x] [red] rejected: not today" in said
    (row,) = json.loads((played.folder / "drill.json").read_text())
    assert (row["fault"], row["as_it_has_to"], row["said"]) == (fault.name, True, played.record.verdict)


def test_drill_with_a_wrong_outcome_fails(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.record = _rejected(by="something else")
    assert main(["drill", "--fault", "approval-rejected", "--fault", "test-fails"]) == 1
    assert [call["fault"].name for call in played.calls] == ["approval-rejected", "test-fails"]
    assert "✗ approval-rejected" in " ".join(capsys.readouterr().out.split())
    assert [row["as_it_has_to"] for row in json.loads((played.folder / "drill.json").read_text())] == [False, False]


def test_each_fault_of_a_drill_has_its_page(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[str] = []
    monkeypatch.setattr(verbs, "_killed", lambda fault, *_: killed.append(fault.name))
    with no_ports():
        main(["drill"])
    folders = [call["options"].folder for call in played.calls]
    assert len(set(folders)) == len(folders) > 5
    assert all(
        folder.parent == played.folder / "drill" and folder.name.replace("-", "").isalnum() for folder in folders
    )
    # The fault that needs a kill was started and killed before
    assert killed == [fault.name for fault in (call["fault"] for call in played.calls) if fault.kills]


# --- Deleting accounts ---


def test_forgotten_accounts_are_deleted(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    scope = Options(services=("catalog",), home=played.folder).scope
    other = Options(home=played.folder).scope
    for each in (scope, other):
        write(each, {"accounts/codepipeline.json": "{}", "launch/a": ""})
    with no_ports():
        assert main(["forget", "--service", "catalog"]) == 0
    assert capsys.readouterr().out == "the accounts of catalog are deleted\n"
    assert not (scope / "accounts" / "codepipeline.json").exists()
    assert not (scope / "launch").exists()
    assert (other / "accounts" / "codepipeline.json").exists()


def test_no_accounts_are_deleted_during_another_rehearsal(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    settings, options = specimen.SETTINGS, Options(home=played.folder)
    with no_ports():
        stand = Stand(settings, options, _shown()[0], lambda _: None, threading.Event())
        write(options.scope, {"accounts/codepipeline.json": "{}"})
        with stand.accounts.held():
            assert main(["forget"]) == 1
    assert "another rehearsal is running in" in capsys.readouterr().err
    assert (options.scope / "accounts" / "codepipeline.json").exists()
