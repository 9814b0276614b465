"""A rehearsal's source: a clone has the history that its commit is compared with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from slipway.rehearsal.player.source import Commit

pytestmark = pytest.mark.programs


def _git(folder: Path, *arguments: str) -> str:
    people = {
        f"GIT_{who}_{what}": "somebody@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **people, "GIT_CONFIG_GLOBAL": "/dev/null"},
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    _git(folder, "init", "--quiet", "--initial-branch", "main")
    _git(folder, "commit", "--quiet", "--allow-empty", "--message", "one")
    _git(folder, "commit", "--quiet", "--allow-empty", "--message", "two")
    return folder


def test_a_clone_has_the_history_of_its_commit(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    commit = Commit.of(repository, "HEAD", branch="main")

    commit.clone(tmp_path / "clone")

    assert _git(tmp_path / "clone", "log", "--format=%s") == "two\none"
    assert _git(tmp_path / "clone", "rev-parse", "HEAD") == commit.sha


def test_a_clone_can_be_given_what_was_delivered_from_elsewhere(repository: Path, tmp_path: Path) -> None:
    # Given a commit of another repository that is on no branch
    other, clone = tmp_path / "other", tmp_path / "clone"
    _git(tmp_path, "clone", "--quiet", str(repository), str(other))
    clone.mkdir()
    _git(other, "commit", "--quiet", "--allow-empty", "--message", "elsewhere")
    delivered = _git(other, "rev-parse", "HEAD")
    _git(other, "reset", "--quiet", "--hard", "HEAD~1")
    commit = Commit.of(repository, "HEAD", branch="main")

    commit.knows(delivered, elsewhere=other)
    commit.clone(clone)

    # Then a build can fetch it from the clone's origin
    _git(clone, "fetch", "--quiet", "origin", delivered)
    assert _git(clone, "log", "-1", "--format=%s", delivered) == "elsewhere"
