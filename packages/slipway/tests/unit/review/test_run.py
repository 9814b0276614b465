"""What is compared with what: revisions, working trees and folders; and the ways in which this can fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from slipway import project
from slipway import settings as config
from slipway.gates.review_policy import given
from slipway.git import GitError
from slipway.review.comparison import Fate
from slipway.review.errors import ReviewError
from slipway.review.outcome import ReviewOutcome, ReviewState
from slipway.review.run import REPORT_BUCKET, Given, review
from slipway.revisions.errors import SynthesisError
from slipway.revisions.synthesis import KEPT
from unit.review.assemblies import resource, template, write
from unit.review.repository import TABLE, TOPIC, Repository
from unit.settings.configuration import pristine, put
from unit.settings.configuration import write as write_configuration

pytestmark = [pytest.mark.requirement("gates before any account"), pytest.mark.programs]

PROJECT = project.ROOT
NOW = datetime(2026, 11, 20, tzinfo=UTC)
PIPELINE = {"CODEBUILD_INITIATOR": "codepipeline/slipway", REPORT_BUCKET: "a-bucket"}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Create two commits: the first with a table, the second with an additional topic."""
    repository = Repository(tmp_path_factory.mktemp("original") / "repository")
    repository.deploys(TABLE)
    repository.commit()
    repository.deploys({**TABLE, **TOPIC})
    repository.commit()
    return repository


@pytest.fixture
def repository(original: Repository, tmp_path: Path) -> Repository:
    """Copy the repository for each test."""
    return Repository(tmp_path / "repository", copied=original)


def reviewed(repository: Repository, *arguments: Any, now: datetime = NOW, **options: Any) -> ReviewOutcome:
    return review(
        *arguments,
        project=repository.root,
        given=options.pop("given", given),
        env=options.pop("env", {}),
        now=now,
        **options,
    )


def _kinds(outcome: ReviewOutcome) -> list[str]:
    return [finding.kind for finding in outcome.comparison.findings]


# What is compared


def test_a_revision_is_compared_with_the_working_tree(repository: Repository) -> None:
    # Given an uncommitted change
    repository.deploys(TOPIC)

    outcome = reviewed(repository, "HEAD")

    assert outcome.red
    assert _kinds(outcome) == ["stateful-removed"]
    assert outcome.base.startswith("HEAD (")
    assert outcome.head.endswith(", with changes")


def test_two_revisions_are_compared(repository: Repository) -> None:
    outcome = reviewed(repository, "HEAD", "HEAD~1")

    assert [
        str(change.fate) for stage in outcome.comparison.stages for one in stage.stacks for change in one.changes
    ] == ["removed"]


def _building(command: str) -> dict[str, Any]:
    specification = json.dumps({"version": "0.2", "phases": {"build": {"commands": [command]}}})
    source = {"ActionTypeId": {"Category": "Source"}, "Name": "source", "OutputArtifacts": [{"Name": "it"}]}
    built = {
        "ActionTypeId": {"Category": "Build"},
        "Configuration": {"ProjectName": {"Ref": "Build"}},
        "InputArtifacts": [{"Name": "it"}],
        "Name": "build",
    }
    stages = [{"Name": "Source", "Actions": [source]}, {"Name": "Build", "Actions": [built]}]
    return {
        "Build": resource("AWS::CodeBuild::Project", {"Source": {"Type": "CODEPIPELINE", "BuildSpec": specification}}),
        "Pipeline": resource("AWS::CodePipeline::Pipeline", {"Stages": stages}),
    }


def test_build_that_runs_no_file_of_the_commit_is_red(repository: Repository) -> None:
    # Given a build that runs a file of the repository
    (repository.root / ".ci").mkdir()
    (repository.root / ".ci" / "run").write_text("true", encoding="utf-8")
    repository.deploys(_building(".ci/run"))
    right = repository.commit()

    # When it runs a missing file, committed or not, then the working tree, the commit and the assembly are reported
    repository.deploys(_building(".ci/nope"))
    assert "build-broken" in _kinds(reviewed(repository, right))
    wrong = repository.commit()
    assert "build-broken" in _kinds(reviewed(repository, right, wrong))
    folder = write(repository.root / "build" / "cdk.out", {"prod-items-data": template(_building(".ci/nope"))})
    assert "build-broken" in _kinds(reviewed(repository, right, str(folder)))

    # And also when the file is deleted and the command stays
    repository.deploys(_building(".ci/run"))
    (repository.root / ".ci" / "run").unlink()
    assert "build-broken" in _kinds(reviewed(repository, right))
    assert "build-broken" not in _kinds(reviewed(repository, wrong, right))


def test_a_clean_tree_is_compared_with_the_commit_before(repository: Repository) -> None:
    outcome = reviewed(repository)

    assert outcome.base.startswith("HEAD~1 (")
    assert not outcome.red
    assert outcome.state == ReviewState.REVIEWED


def test_a_tree_with_changes_is_compared_with_its_commit(repository: Repository) -> None:
    repository.deploys({})
    repository.deploys({**TOPIC})

    assert reviewed(repository).base.startswith("HEAD (")


def test_the_first_commit_is_the_first_delivery(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.deploys(TABLE)
    repository.commit()

    outcome = reviewed(repository)

    assert outcome.state == ReviewState.FIRST
    assert not outcome.red
    assert not outcome.comparison.findings


def test_two_folders_are_compared(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"prod-items-data": template({**TABLE, **TOPIC})})
    other = write(tmp_path / "other", {"prod-items-data": template(TOPIC)})

    outcome = review(str(one), str(other), project=tmp_path, env={}, now=NOW)

    assert outcome.red
    assert outcome.judgement.stopping[0].kind == "stateful-removed"


def test_a_revision_is_compared_with_a_folder(repository: Repository, tmp_path: Path) -> None:
    # Given the assembly that would be deployed, as in the pipeline's build
    folder = write(tmp_path / "cdk.out", {"prod-items-data": template(TOPIC)})

    assert _kinds(reviewed(repository, "HEAD", str(folder))) == ["stateful-removed"]


# How a revision is synthesised


def test_a_revision_leaves_only_its_assembly(repository: Repository) -> None:
    before = {path.name for path in repository.root.iterdir()}
    reviewed(repository, "HEAD~1")

    assert not repository.worktrees()
    (kept,) = repository.root.glob("build/review/*/cdk.out")
    assert {path.name for path in kept.parent.iterdir()} == {"cdk.out"}
    assert {path.name for path in repository.root.iterdir()} - before <= {"build", ".venv", "installed", "__pycache__"}


def test_a_revision_is_synthesised_once(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    first = reviewed(repository, "HEAD~1", "HEAD")
    # Given a second review, during which no checkout is possible
    monkeypatch.setattr("slipway.git.Repository.checkout", None)

    assert reviewed(repository, "HEAD~1", "HEAD").comparison == first.comparison


def test_revision_of_some_services_is_not_the_whole(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    reviewed(repository, "HEAD~1")
    monkeypatch.setenv("SLIPWAY_SERVICES", "items ingest")
    reviewed(repository, "HEAD~1")

    # Then each assembly is stored separately
    kept = sorted(path.parent.name for path in repository.root.glob("build/review/*/cdk.out"))
    assert len(kept) == 2
    assert kept[1] == f"{kept[0]}-items-ingest"


def test_leftovers_of_a_killed_run_are_deleted(repository: Repository) -> None:
    # Given the worktree of a killed run, which git still lists
    base = repository.commit()
    tree = repository.root / "build" / "review" / base / "tree"
    repository._git("worktree", "add", "--quiet", "--detach", str(tree), base)
    (tree / "half-built").touch()

    assert reviewed(repository, base).state == ReviewState.REVIEWED
    assert not repository.worktrees()
    assert not tree.exists()


def test_only_the_last_few_assemblies_are_kept(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.revisions.synthesis.KEPT", 1)
    assert KEPT > 1
    reviewed(repository, "HEAD~1")
    reviewed(repository, "HEAD")

    assert len(list(repository.root.glob("build/review/*/cdk.out"))) == 1
    assert len(list(repository.root.glob("build/review/*.lock"))) == 1


def test_revision_with_same_locks_uses_present_packages(repository: Repository) -> None:
    # Given a Makefile that fails if it is asked to install
    (repository.root / ".venv" / "bin").mkdir(parents=True)
    (repository.root / ".venv" / "bin" / "python").symlink_to(sys.executable)

    assert reviewed(repository, "HEAD~1").state == ReviewState.REVIEWED
    assert (repository.root / ".venv" / "bin" / "python").exists()


def test_a_revision_with_other_locks_installs_its_own(repository: Repository) -> None:
    base = repository.commit()
    repository.lock("two")
    (repository.root / "Makefile").write_text(
        (repository.root / "Makefile").read_text(encoding="utf-8").replace("touch installed", "exit 1"),
        encoding="utf-8",
    )
    repository.commit()

    # Then that revision's own `make install` runs
    assert reviewed(repository, base).state == ReviewState.REVIEWED
    # And a failing one is reported in one line
    with pytest.raises(SynthesisError, match=r"the packages of .* cannot be installed: "):
        reviewed(repository, "HEAD", _other(repository))


def _other(repository: Repository) -> str:
    """Return a revision with different locks, whose packages are not installed here."""
    head = repository.commit()
    repository.lock("three")
    return head


# What cannot be compared


def test_an_unknown_revision_is_named(repository: Repository) -> None:
    with pytest.raises(GitError, match=r"^no-such-branch is not a revision of this repository$"):
        reviewed(repository, "no-such-branch")


@pytest.mark.parametrize("name", ["--help", "-x", "HEAD:app.py", ""])
def test_an_invalid_revision_is_not_passed_as_an_option(repository: Repository, name: str) -> None:
    with pytest.raises(GitError, match="is not a revision of this repository"):
        reviewed(repository, "HEAD~1", name or "@{-1}")


def test_a_revision_that_does_not_synthesise_says_why(repository: Repository) -> None:
    repository.deploys(TABLE, fails="no such account")
    bad = repository.commit()
    repository.deploys(TABLE)

    with pytest.raises(SynthesisError, match=rf"{bad[:12]} does not synthesise: ValueError: no such account"):
        reviewed(repository, bad)
    assert not repository.worktrees()
    # And nothing of it is used as an assembly later
    assert not list(repository.root.glob(f"build/review/{bad}/cdk.out"))


def test_a_working_tree_that_does_not_synthesise_says_why(repository: Repository) -> None:
    repository.deploys(TABLE, fails="no such account")

    with pytest.raises(SynthesisError, match="the working tree does not synthesise: ValueError: no such account"):
        reviewed(repository, "HEAD")
    assert not list(repository.root.glob("build/review/head-*"))


def test_a_revision_that_does_not_build_says_why(repository: Repository) -> None:
    (repository.root / "content.json").unlink()
    bad = repository.commit()
    repository.deploys(TABLE)

    with pytest.raises(SynthesisError, match=rf"{bad[:12]} does not build: .*content.json"):
        reviewed(repository, bad)


def test_a_revision_of_an_ancient_schema_is_refused(repository: Repository) -> None:
    repository.deploys(TABLE, version="3.0.0")
    old = repository.commit()
    repository.deploys(TABLE)

    with pytest.raises(ReviewError, match=r"written in schema 3.0.0, older than 4"):
        reviewed(repository, old)


def test_a_folder_without_git_has_no_usual_base(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="no git repository found"):
        review(project=tmp_path, env={}, now=NOW)


def test_a_clock_before_the_commit_is_wrong(repository: Repository) -> None:
    with pytest.raises(ReviewError, match=r"the clock is wrong: it says 2026-10-01 00:00 UTC, and .* was committed"):
        reviewed(repository, "HEAD~1", now=datetime(2026, 10, 1, tzinfo=UTC))
    # Though clocks of two machines may differ slightly
    assert reviewed(repository, "HEAD~1", now=datetime(2026, 11, 1, 11, 30, tzinfo=UTC)).state == ReviewState.REVIEWED


# Waivers


WAIVER = (
    '[[waiver]]\nfindings = ["stateful-removed:{place}"]\nreason = "The table was empty, nobody uses it."\n'
    'owner = "platform-team"\nexpires = 2026-12-31\n'
)
GONE = WAIVER.format(place="prod-items-data/Table")


def test_a_waiver_in_the_same_change_accepts_it(repository: Repository) -> None:
    repository.deploys(TOPIC)
    assert reviewed(repository, "HEAD").red
    repository.waives(GONE)

    outcome = reviewed(repository, "HEAD")
    assert not outcome.red
    assert [finding.id for finding, _ in outcome.judgement.waived] == ["stateful-removed:prod-items-data/Table"]
    # And the result is the same once it is committed
    repository.commit()
    assert not reviewed(repository).red
    assert not reviewed(repository, "HEAD~1", "HEAD").red


def test_a_waiver_for_a_finding_that_is_not_there_fails(repository: Repository) -> None:
    repository.deploys({**TABLE, **TOPIC})
    repository.waives(GONE)

    outcome = reviewed(repository, "HEAD")
    assert outcome.red
    assert "which the change does not contain" in outcome.faults[0]


def test_a_waiver_of_a_delivered_change_is_spent(repository: Repository) -> None:
    repository.deploys(TOPIC)
    repository.waives(GONE)
    repository.commit()
    repository.commit()

    outcome = reviewed(repository)
    assert not outcome.red
    assert outcome.judgement.spent == ("stateful-removed:prod-items-data/Table",)


def test_folders_are_compared_without_the_apps_stack_policies(repository: Repository, tmp_path: Path) -> None:
    # Given an app with stack policies, and a new table
    def protecting() -> Given:
        return Given(protected=frozenset({"AWS::DynamoDB::Table"}))

    repository.deploys(TOPIC)
    base = repository.commit()
    repository.deploys({**TOPIC, **TABLE})
    assert "not-rolled-back" in _kinds(reviewed(repository, base, given=protecting))

    one = write(tmp_path / "one", {"prod-items-data": template(TOPIC)})
    other = write(tmp_path / "other", {"prod-items-data": template({**TOPIC, **TABLE})})
    assert _kinds(reviewed(repository, str(one), str(other), given=protecting)) == []


def test_folders_use_the_given_waivers(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"prod-items-data": template({**TABLE, **TOPIC})})
    other = write(tmp_path / "other", {"prod-items-data": template(TOPIC)})
    file = tmp_path / "waivers.toml"
    file.write_text(WAIVER.format(place="Pipeline/prod-items-data/Table"), encoding="utf-8")

    assert not review(str(one), str(other), waivers=file, project=tmp_path, env={}, now=NOW).red
    with pytest.raises(ReviewError, match="cannot be read"):
        review(str(one), str(other), waivers=tmp_path / "none.toml", project=tmp_path, env={}, now=NOW)


# In the pipeline


Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Configure:
    """Return a function that sets keys of the pipeline's configuration, read by the review in its build."""
    folder = tmp_path / "config"
    folder.mkdir()

    def configured(**keys: Any) -> None:
        documents = pristine()
        for key, value in keys.items():
            put(documents["pipeline.toml"], key, value)
        write_configuration(folder, documents)

    configured()
    load = config.load
    monkeypatch.setattr("slipway.gates.review_policy.config.load", lambda: load(folder))
    return configured


def _deployed(monkeypatch: pytest.MonkeyPatch, revision: str | None) -> None:
    def asked(pipeline: str) -> str | None:
        assert pipeline == "slipway"
        return revision

    monkeypatch.setattr("slipway.review.run.deployed_revision", asked)


def test_pipelines_build_is_compared_with_last_delivery(
    repository: Repository, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = repository.commit()
    repository.deploys(TOPIC)
    repository.commit()
    repository.commit()
    _deployed(monkeypatch, first)

    outcome = reviewed(repository, env=PIPELINE)
    assert outcome.base == first[:12]
    assert outcome.red


def test_the_first_delivery_adds_everything(
    repository: Repository, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deployed(monkeypatch, None)

    outcome = reviewed(repository, env=PIPELINE)
    assert outcome.state == ReviewState.FIRST
    assert not outcome.red
    assert outcome.notes == ("no revision to compare with: no execution of slipway has succeeded yet",)
    assert outcome.comparison.count(Fate.ADDED) == 2


def test_a_revision_missing_in_the_clone_is_named(
    repository: Repository, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deployed(monkeypatch, "f" * 40)

    with pytest.raises(
        ReviewError, match=f"{'f' * 40}, the last revision that slipway delivered, is no longer on any branch"
    ) as caught:
        reviewed(repository, env=PIPELINE)
    assert "\n" not in str(caught.value)


def test_unbranched_revision_is_fetched_from_the_source(
    repository: Repository, configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a history that was rewritten after a delivery, so that clones lack the delivered commit
    delivered = repository.commit()
    repository._git("reset", "--quiet", "--hard", "HEAD~1")
    repository.deploys(TOPIC)
    repository.commit()
    clone = repository.clone(tmp_path / "clone")
    _deployed(monkeypatch, delivered)

    assert reviewed(clone, env=PIPELINE).base == delivered[:12]


def test_an_s3_source_is_not_reviewed_and_red(repository: Repository, configure: Configure) -> None:
    configure(source={"kind": "s3", "bucket": "a-bucket", "key": "a.zip"})

    outcome = reviewed(repository, env=PIPELINE)
    assert outcome.state == ReviewState.NOT_REVIEWED
    assert outcome.red
    assert "the source is S3, which has no history to compare with" in outcome.faults[0]
    assert "gates.review = 'off'" in outcome.faults[0]


def test_s3_source_may_continue_if_configured(repository: Repository, configure: Configure) -> None:
    configure(
        source={"kind": "s3", "bucket": "a-bucket", "key": "a.zip"},
        gates={"packs": ["AwsSolutions", "Serverless"], "review": "off"},
    )

    outcome = reviewed(repository, env=PIPELINE)
    assert outcome.state == ReviewState.NOT_REVIEWED
    assert not outcome.red
    assert outcome.notes


def test_build_under_older_pipeline_continues_with_new_one(repository: Repository, configure: Configure) -> None:
    # Given the pipeline's definition before the review, with neither the bucket nor the history
    env = {"CODEBUILD_INITIATOR": "codepipeline/slipway"}

    outcome = reviewed(repository, env=env)
    assert outcome.state == ReviewState.NOT_REVIEWED
    assert not outcome.red
    assert "older definition of the pipeline" in outcome.notes[0]


def test_a_build_without_history_is_red(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="the build has no git history"):
        review(project=tmp_path, env=PIPELINE, now=NOW)


# Interrupted


def test_an_interrupted_review_leaves_nothing_running(repository: Repository) -> None:
    # Given two syntheses that take long
    base = repository.commit()
    repository.deploys(TABLE, seconds=120)
    slow = repository.commit()
    repository.deploys(TOPIC, seconds=120)
    script = (
        # Like a terminal: tests in the background would otherwise ignore Ctrl-C
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path; from slipway.review.run import review\n"
        f"review({slow!r}, project=Path({str(repository.root)!r}), env={{}})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stderr=subprocess.DEVNULL,
    )
    assert base
    driving: list[psutil.Process] = []
    deadline = time.monotonic() + 60
    while len(driving) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        driving = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if any("driver.py" in part for part in _command(child))
        ]
    assert len(driving) == 2

    # When the review is interrupted
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)

    # Then both syntheses have ended, and no worktree is left
    _, alive = psutil.wait_procs(driving, timeout=10)
    assert not alive
    assert not repository.worktrees()
    assert not list(repository.root.glob("build/review/head-*"))
    shutil.rmtree(repository.root)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
