"""The source is a commit as stored in the repository, regardless of the checkout."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from slipway.errors import RehearsalError
from slipway.rehearsal.player.artifacts import unpack
from slipway.rehearsal.player.source import Commit
from unit.rehearsal.repositories import commit, git, write

pytestmark = pytest.mark.programs


FILES = {"Makefile": "all:\n", "services/items/api.py": "print('ä')\n"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "slipway"
    commit(folder, {"old": "gone later"}, "The first")
    (folder / "old").unlink()
    write(folder, {"script.sh": "#!/bin/sh\n"})
    (folder / "script.sh").chmod(0o755)
    commit(folder, FILES, "Add items: a → b\n\nWith a body.")
    return folder


def _files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".git/" not in path.as_posix()
    }


def test_a_commit_is_found_by_any_of_its_names(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "--annotate", "--message", "a tag", "v1")
    for name in ("HEAD", "main", "v1", head, head[:8]):
        found = Commit.of(repository, name, branch="main")
        assert (found.sha, found.message, found.branch) == (head, "Add items: a → b", "main")
    assert Commit.of(repository, "HEAD~1", branch="main").message == "The first"


@pytest.mark.parametrize("name", ["nothing", "0" * 40, "HEAD:Makefile", "--all"])
def test_an_unknown_commit_is_wrong_input_and_named(repository: Path, name: str) -> None:
    with pytest.raises(RehearsalError, match=rf"{name} is not a commit of .*slipway") as error:
        Commit.of(repository, name, branch="main")
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


def test_a_folder_without_a_repository_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(RehearsalError, match=r"is not a git repository.* run `git init"):
        Commit.of(tmp_path, "HEAD", branch="main")


def test_an_untrusted_repository_is_reported_with_a_fix(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(RehearsalError, match=r"belongs to another user: run `git config .* safe.directory") as error:
        Commit.of(repository, "HEAD", branch="main")
    assert error.value.exit_code == 2


def test_the_variables_are_those_of_source_actions(repository: Path) -> None:
    variables = Commit.of(repository, "HEAD", branch="release").variables
    assert variables["CommitId"] == git(repository, "rev-parse", "HEAD")
    assert variables["BranchName"] == "release"
    assert variables["CommitMessage"] == "Add items: a → b"
    assert variables["AuthorDate"] == "2026-11-20T14:00:00+01:00"
    assert variables["FullRepositoryName"] == "slipway"


def test_an_archive_holds_the_commit_and_nothing_of_the_checkout(repository: Path, tmp_path: Path) -> None:
    # Given a dirty tree: a changed file, a new one, and a staged one
    write(repository, {"Makefile": "changed", "new": "new", "staged": "staged"})
    git(repository, "add", "staged")
    # When its commit is archived
    Commit.of(repository, "HEAD", branch="main").archive(tmp_path / "deep" / "a.zip")
    unpack(tmp_path / "deep" / "a.zip", tmp_path / "out")
    # Then the archive has the committed files and permissions
    assert _files(tmp_path / "out") == {**FILES, "script.sh": "#!/bin/sh\n"}
    assert stat.S_IMODE((tmp_path / "out" / "script.sh").stat().st_mode) & 0o111
    assert not stat.S_IMODE((tmp_path / "out" / "Makefile").stat().st_mode) & 0o111


def test_commit_of_detached_head_or_other_branch_is_archived(repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "--quiet", "--detach", "HEAD~1")
    for name in ("HEAD", "main"):
        Commit.of(repository, name, branch="main").archive(tmp_path / f"{name}.zip")
        unpack(tmp_path / f"{name}.zip", tmp_path / name)
    assert set(_files(tmp_path / "HEAD")) == {"old"}
    assert "Makefile" in _files(tmp_path / "main")


def test_a_bare_repository_can_be_the_source(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "remote.git")
    found = Commit.of(tmp_path / "remote.git", "main", branch="main")
    found.archive(tmp_path / "a.zip")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert "Makefile" in _files(tmp_path / "out")
    assert found.variables["FullRepositoryName"] == "remote"


def test_a_clone_has_the_commit_checked_out_and_its_history(repository: Path, tmp_path: Path) -> None:
    target = tmp_path / "src"
    target.mkdir()
    (target / "Makefile").write_text("in the way")
    found = Commit.of(repository, "HEAD", branch="main")
    found.clone(target)
    assert git(target, "rev-parse", "HEAD") == found.sha
    assert git(target, "log", "--format=%s").splitlines() == ["Add items: a → b", "The first"]
    assert _files(target) == {**FILES, "script.sh": "#!/bin/sh\n"}


def test_deleted_commit_cannot_be_archived_or_cloned(repository: Path, tmp_path: Path) -> None:
    gone = Commit(repository, "0" * 40, "main", "Gone", "")
    with pytest.raises(RehearsalError, match="git cannot archive 000000000000: "):
        gone.archive(tmp_path / "a.zip")
    (tmp_path / "src").mkdir()
    with pytest.raises(RehearsalError, match="git cannot clone 000000000000: "):
        gone.clone(tmp_path / "src")
