"""Git is called in one place, and only for the repository of a given folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import git

pytestmark = pytest.mark.programs


AUTHOR = git.identity("A", "a@localhost")


def _repository(folder: Path) -> Path:
    folder.mkdir()
    git.output(folder, "init", "--quiet", "--initial-branch=main")
    git.output(folder, "commit", "--quiet", "--allow-empty", "-m", folder.name, variables=AUTHOR)
    return folder


def test_folder_decides_which_repository_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = _repository(tmp_path / "one"), _repository(tmp_path / "other")

    # Given the variables that git sets for hooks of another repository
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))

    assert git.output(one, "log", "-1", "--format=%s") == "one"


def test_refusal_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(git.GitError, match=r"^git show: fatal: .*no-such-revision"):
        git.output(_repository(tmp_path / "one"), "show", "no-such-revision")


def test_refusal_may_be_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = _repository(tmp_path / "one")
    assert git.try_output(one, "show", "no-such-revision") is None

    monkeypatch.setenv("PATH", "")
    assert git.try_output(one, "status") is None
