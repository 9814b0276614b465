"""A rehearsal puts the last run's files aside at once, and deletes them while it runs."""

from __future__ import annotations

from pathlib import Path

from slipway.rehearsal.rehearse import _clean


def _wait(folder: Path) -> list[str]:
    for thread in _clean(folder):
        thread.join()
    return sorted(path.name for path in folder.iterdir())


def test_the_last_runs_files_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "builds" / "1").mkdir(parents=True)
    (tmp_path / "builds" / "1" / "file").touch()
    (tmp_path / "result.json").touch()
    assert _wait(tmp_path) == []


def test_accounts_outlive_a_run(tmp_path: Path) -> None:
    (tmp_path / "accounts").mkdir()
    assert _wait(tmp_path) == ["accounts"]


def test_a_new_folder_is_made(tmp_path: Path) -> None:
    assert _wait(tmp_path / "new") == []


def test_what_a_stopped_run_left_is_deleted(tmp_path: Path) -> None:
    (tmp_path / ".deleted-old" / "builds").mkdir(parents=True)
    assert _wait(tmp_path) == []
