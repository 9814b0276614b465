"""A launched commit hands over its files with its own Makefile, and nothing is installed for it."""

from __future__ import annotations

import subprocess
import threading
import zipfile
from pathlib import Path
from unittest.mock import Mock

import pytest

from slipway.errors import RehearsalError
from slipway.rehearsal.launch import Launch
from slipway.rehearsal.player.source import Commit

pytestmark = pytest.mark.programs


MAKEFILE = """
handover: .venv/.installed
\t@mkdir -p build/handover && $(PYTHON) -c 'print("of this commit")' > build/handover/said

.venv/.installed:
\t@echo "installing" && exit 1
"""


def _commit(folder: Path, makefile: str) -> Commit:
    folder.mkdir()
    (folder / "Makefile").write_text(makefile, encoding="utf-8")
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "Makefile"],
        ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "One"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    return Commit.of(folder, "HEAD", branch="main")


def test_commit_hands_over_by_its_own_makefile(tmp_path: Path) -> None:
    commit, file = _commit(tmp_path / "app", MAKEFILE), tmp_path / "handover.zip"

    Launch(Mock(), Mock(), tmp_path, threading.Event())._hand_over(commit, file)

    with zipfile.ZipFile(file) as archive:
        assert archive.read("said") == b"of this commit\n"


def test_commit_without_the_verb_is_named(tmp_path: Path) -> None:
    commit = _commit(tmp_path / "app", "all:\n")
    with pytest.raises(RehearsalError, match=rf"the handover of {commit.sha[:12]} failed: .*handover"):
        Launch(Mock(), Mock(), tmp_path, threading.Event())._hand_over(commit, tmp_path / "handover.zip")
