"""The emulator's pids, ports, locks and files, without an emulator."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from slipway import files
from slipway.emulator.server import SAVED_FILE, Emulator, certificates, isolate, started
from slipway.errors import RehearsalError


def _emulator(folder: Path) -> Emulator:
    return Emulator("444444444444", "us-east-1", folder, port=4566, plain_port=4567, tls=folder / "tls")


def _state(folder: Path, *, pid: int, start: float) -> None:
    state = {"pid": pid, "started": start, "account": "4" * 12, "region": "us-east-1", "port": 1, "plain_port": 2}
    files.write_json(folder / "emulator.json", state)


def test_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    # Given a state whose pid now belongs to another process: this one
    _state(tmp_path, pid=os.getpid(), start=started(psutil.Process()) - 3600)
    # When the emulator is looked up
    found = Emulator.running(tmp_path)
    # Then it is not running, and the process is left alone
    assert found is None
    assert _emulator(tmp_path).pid is None


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux derives the start of a process from the current time")
def test_a_process_is_recognised_after_the_clock_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _state(tmp_path, pid=os.getpid(), start=started(psutil.Process()))
    boot = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + 3600)
    assert _emulator(tmp_path).pid == os.getpid()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_a_damaged_state_is_ignored(tmp_path: Path, content: str) -> None:
    (tmp_path / "emulator.json").write_text(content)
    assert Emulator.running(tmp_path) is None
    assert not _emulator(tmp_path).stop()
    assert not (tmp_path / "emulator.json").exists()


def test_an_account_that_was_not_saved_is_lost(tmp_path: Path) -> None:
    # Given a folder without an account, then nothing is lost
    assert not Emulator.lost(tmp_path)
    # When an account's process died before it was saved, then it is lost
    (tmp_path / "s3").mkdir()
    assert Emulator.lost(tmp_path)
    # But when it was saved, or still runs, it is not
    (tmp_path / SAVED_FILE).touch()
    assert not Emulator.lost(tmp_path)
    (tmp_path / SAVED_FILE).unlink()
    _state(tmp_path, pid=os.getpid(), start=started(psutil.Process()))
    assert not Emulator.lost(tmp_path)


def test_a_second_command_is_refused_while_the_first_works(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / "emulator.lock"),
        pytest.raises(RehearsalError, match="another command is running"),
        _emulator(tmp_path).lock(),
    ):
        pytest.fail("two commands at once")


def test_clients_in_other_processes_ignore_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("HOME", "/home/someone")
    environment = _emulator(tmp_path / "dev").environment()
    assert "AWS_PROFILE" not in environment
    assert environment["HOME"] == str(tmp_path / "home")
    assert environment["AWS_ENDPOINT_URL"] == "https://localhost:4566"
    assert environment["AWS_ACCESS_KEY_ID"] == "444444444444"


def test_isolation_removes_every_aws_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED", "AWS_PROFILE"):
        monkeypatch.setenv(name, "theirs")
    isolate()
    assert "AWS_PROFILE" not in os.environ
    assert os.environ["AWS_CONFIG_FILE"] == os.devnull


def test_certificates_are_created_once_for_their_owner(tmp_path: Path) -> None:
    authority = certificates(tmp_path)
    first = authority.read_text()
    assert certificates(tmp_path).read_text() == first
    assert stat.S_IMODE((tmp_path / "server.pem").stat().st_mode) == 0o600
    assert "PRIVATE KEY" not in first


def test_a_file_is_written_atomically(tmp_path: Path) -> None:
    target = tmp_path / "outputs.json"
    files.write_json(target, {"items": {}})
    with pytest.raises(TypeError):
        files.write_json(target, {"items": object()})
    assert json.loads(target.read_text()) == {"items": {}}
    assert [file.name for file in tmp_path.iterdir()] == ["outputs.json"]
