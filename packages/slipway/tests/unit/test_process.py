"""Programs are run in one place, which returns their output, reports failures, and ends their children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from slipway.process import MissingProgramError, ProcessError, Processes, TimedOutError, follow, run

pytestmark = pytest.mark.programs


PYTHON = sys.executable
# Starts a child process, prints its id, and waits
PARENT = "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_output_and_exit_code_are_returned(tmp_path: Path) -> None:
    code = "import sys, os; print(os.getcwd(), sys.stdin.read()); print('no', file=sys.stderr); sys.exit(3)"

    done = run([PYTHON, "-c", code], folder=tmp_path, given="given")

    assert (done.returncode, done.stdout, done.stderr) == (3, f"{tmp_path.resolve()} given\n", "no\n")


def test_checked_failure_names_command_and_last_line() -> None:
    code = "print('first'); raise ValueError('what is wrong')"

    with pytest.raises(ProcessError, match=r"`.*-c .*` failed: ValueError: what is wrong"):
        run([PYTHON, "-c", code], check=True)


def test_missing_program_is_reported() -> None:
    with pytest.raises(MissingProgramError, match="no-such-program is not installed"):
        run(["no-such-program", "--version"])


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="does not exist"):
        run([PYTHON, "--version"], folder=tmp_path / "none")


def test_late_program_is_ended_with_its_children(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = PARENT.replace("print(child.pid, flush=True)", f"open({str(told)!r}, 'w').write(str(child.pid))")

    with pytest.raises(TimedOutError, match="did not end within 2 s"):
        run([PYTHON, "-c", code], seconds=2, tree=True)

    assert _gone(int(told.read_text()))


def test_stop_ends_programs_of_other_threads() -> None:
    # Given a program that runs in a thread
    processes, ended = Processes(), threading.Event()

    def work() -> None:
        with pytest.raises(KeyboardInterrupt):
            processes.run(["sleep", "60"])
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not processes._running:
        time.sleep(0.01)

    # When all processes are stopped
    processes.stop()

    # Then it has ended, and no other process can start
    assert ended.wait(10)
    thread.join()
    with pytest.raises(KeyboardInterrupt):
        processes.run(["sleep", "0"])


def test_followed_program_ends_when_told(tmp_path: Path) -> None:
    stopping, lines = threading.Event(), list[str]()

    def progress(line: str) -> None:
        lines.append(line)
        stopping.set()

    code, _ = follow(
        [PYTHON, "-c", PARENT],
        folder=tmp_path,
        environment=os.environ,
        log=tmp_path / "log",
        progress=progress,
        stopping=stopping,
    )

    assert code == -signal.SIGKILL
    assert (tmp_path / "log").read_text() == f"{lines[0]}\n"
    assert _gone(int(lines[0]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_verb_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    # Given a verb that waits for a program in a thread
    script = tmp_path / "verb.py"
    script.write_text(
        "import sys, threading\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import typer\n"
        "from slipway import process\n"
        "from slipway.cli import run\n"
        "def wait():\n"
        "    with ThreadPoolExecutor(2) as pool:\n"
        "        list(pool.map(lambda _: process.run(['sleep', '60']), range(4)))\n"
        "app = typer.Typer()\n"
        "app.command('wait')(wait)\n"
        "run.app = app\n"
        "sys.exit(run.run([]))\n",
        encoding="utf-8",
    )
    verb = subprocess.Popen([PYTHON, str(script)], stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    children: list[psutil.Process] = []
    deadline = time.monotonic() + 30
    while len(children) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        children = psutil.Process(verb.pid).children()
    assert len(children) == 2

    # When it is interrupted
    verb.send_signal(number)
    _, said = verb.communicate(timeout=20)

    # Then it exits with 130, prints "interrupted", and leaves no child process running
    assert verb.returncode == 130
    assert "interrupted" in said
    assert all(_gone(child.pid) for child in children)
