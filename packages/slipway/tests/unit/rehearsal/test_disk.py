"""A full disk is reported as such, and an account that could not be saved counts as lost."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from slipway.cli.run import explain
from slipway.emulator import disk
from slipway.emulator.extensions.application import NOT_SAVED, ended
from slipway.emulator.server import SAVED_FILE, Emulator

LINE = "Persistence: failed to save cloudformation: [Errno 28] No space left on device"


def test_a_full_disk_is_found_in_the_log() -> None:
    assert disk.full(["fine", LINE, "more"]) == f"the disk is full: {LINE}"
    assert disk.full(["fine"]) is None


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "the disk is full: "), (errno.EACCES, "this machine refused: ")]
)
def test_a_refusal_of_the_machine_is_reported(number: int, said: str) -> None:
    told = explain(OSError(number, "because", "file"))
    assert told is not None
    assert told[0].startswith(said)
    assert told[1] == 1


def test_an_account_is_saved_if_every_part_is(tmp_path: Path) -> None:
    ended(tmp_path / SAVED_FILE, [])
    assert [path.name for path in tmp_path.iterdir()] == [SAVED_FILE]


def test_a_partly_saved_account_is_lost(tmp_path: Path) -> None:
    # Given an account of which one part could not be saved
    (tmp_path / "state").mkdir()
    ended(tmp_path / SAVED_FILE, [LINE, "Persistence: failed to save lambda: no"])
    # Then it is not marked as saved, and counts as lost
    assert not (tmp_path / SAVED_FILE).exists()
    assert (tmp_path / f"{SAVED_FILE}{NOT_SAVED}").read_text().splitlines()[0] == LINE
    assert Emulator.lost(tmp_path)
