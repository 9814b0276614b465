"""Run what synthesises, so that it ends with its caller."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

from slipway.review.errors import ReviewError

_LONGEST = 300
_ERROR = re.compile(r"^(?:[\w.]*(?:Error|Exception)\b|error\b).*", re.IGNORECASE)
# What Node and make print after the reason.
_REMARK = re.compile(r"^(?:make\b|Node\.js v|at |\}|\]|npm (?:error|ERR!) A complete log)")


class Processes:
    """Processes that end with their caller, and so does everything they started."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = Lock()
        self._stopped = False

    def run(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Args:
            command: what.
            cwd: where.
            env: its whole environment.

        Raises:
            ReviewError: `stop` was called before or meanwhile.
        """
        with self._lock:
            if self._stopped:
                raise ReviewError("interrupted")
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                # A group of its own can be ended as a whole.
                start_new_session=True,
            )
            self._running.add(process)
        try:
            out, error = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            raise ReviewError("interrupted")
        return subprocess.CompletedProcess(command, process.returncode, out, error)

    def stop(self) -> None:
        """End everything that runs."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return why a process failed, as it said itself: its last line, or the error that a trace is of.

    Args:
        done: the process.
    """
    lines = [line.strip() for line in (*done.stdout.splitlines(), *done.stderr.splitlines()) if line.strip()]
    said = [line for line in lines if not _REMARK.match(line)]
    errors = [line for line in said if _ERROR.match(line)]
    # Python ends with the error; Node prints the trace after it.
    found = errors[-1] if errors and lines[-1] != said[-1] else said[-1] if said else ""
    return found[:_LONGEST] if found else f"exit code {done.returncode}"
