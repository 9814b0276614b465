"""The player's builds use this machine's installed tools if the source locks the same ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipway.rehearsal.player.builds import link_tools
from slipway.revisions.synthesis import LOCKS

BEFORE = 1_700_000_000


PROJECT = "packages/slipway/pyproject.toml"
"""A file that makes the tools be reinstalled when it is newer than they are."""


def _locked(folder: Path, content: str) -> Path:
    for name in (*LOCKS, PROJECT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Create a checkout that was installed after it was locked."""
    folder = _locked(tmp_path / "checkout", "one")
    for name in (*LOCKS, PROJECT):
        os.utime(folder / name, (BEFORE, BEFORE))
    for name in (".venv", "node_modules"):
        (folder / name).mkdir()
    (folder / ".venv" / ".installed").touch()
    return folder


def test_a_clone_with_the_same_locks_has_nothing_to_install(checkout: Path, tmp_path: Path) -> None:
    # Given a clone, whose files are new
    source = _locked(tmp_path / "source", "one")
    (source / PROJECT).write_text("another script", encoding="utf-8")

    link_tools(source, checkout)

    # Then no file that make checks is newer than the installed tools
    installed = (source / ".venv" / ".installed").stat().st_mtime
    assert all((source / name).stat().st_mtime < installed for name in (*LOCKS, PROJECT))
    assert (source / "node_modules").resolve() == checkout / "node_modules"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_source_with_another_lock_installs_its_own(checkout: Path, tmp_path: Path, lock: str) -> None:
    source = _locked(tmp_path / "source", "one")
    (source / lock).write_text("another", encoding="utf-8")

    link_tools(source, checkout)

    assert not (source / ".venv").exists()
    assert not (source / "node_modules").exists()
