"""Run other programs: the only module that starts processes.

Every process that is started here, and its children, ends with its caller, except a server (`start_server`).
"""

from __future__ import annotations

import math
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from slipway.errors import SlipwayError

Progress = Callable[[str], None]
Server = subprocess.Popen[bytes]
"""A process that outlives the command that starts it."""
Worker = subprocess.Popen[str]
"""A process that answers over its standard streams."""

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LONGEST = 300
_ERROR = re.compile(r"^(?:[\w.]*(?:Error|Exception)\b|error\b).*", re.IGNORECASE)
# Lines that Node and make print after the reason.
_REMARK = re.compile(r"^(?:make\b|Node\.js v|at |\}|\]|npm (?:error|ERR!) A complete log)")


class ProcessError(SlipwayError):
    """A program failed or could not be run. The message names the command and its last line."""


class MissingProgramError(ProcessError):
    """A program is not installed."""


class TimedOutError(ProcessError):
    """A program did not end in time and was stopped."""


@dataclass(frozen=True)
class Completed:
    """A process that has ended.

    Attributes:
        command: The program and its arguments.
        returncode: Its exit code, negative where a signal ended it.
        stdout: Its output; empty if it wrote to the terminal.
        stderr: Its error output; empty if it wrote to the terminal.
    """

    command: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def reason(self) -> str:
        """Why it failed: its last line, or the error above a stack trace."""
        lines = [line.strip() for line in (*self.stdout.splitlines(), *self.stderr.splitlines()) if line.strip()]
        said = [line for line in lines if not _REMARK.match(line)]
        errors = [line for line in said if _ERROR.match(line)]
        # Python ends with the error; Node prints the trace after it.
        found = errors[-1] if errors and lines[-1] != said[-1] else said[-1] if said else ""
        return found[:_LONGEST] if found else f"exit code {self.returncode}"

    @property
    def last_error(self) -> str:
        """The last line that it wrote to standard error, or its exit code."""
        lines = self.stderr.strip().splitlines()
        return lines[-1].strip() if lines else f"exit code {self.returncode}"


class Processes:
    """Processes that can all be ended at once."""

    def __init__(self) -> None:
        self._running: dict[subprocess.Popen[str], bool] = {}
        # A signal's handler may stop them while this thread starts one.
        self._lock = threading.RLock()
        self._stopped = False

    def run(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        given: str | None = None,
        seconds: float | None = None,
        check: bool = False,
        capture: bool = True,
        merge: bool = False,
        tree: bool = False,
    ) -> Completed:
        """Run a program to its end.

        Args:
            command: The program and its arguments.
            folder: Working directory. Default: the current one.
            environment: Its complete environment. Default: that of this process.
            given: Standard input. Default: empty.
            seconds: Time-out. Default: none.
            check: Raise on failure. Default: the caller checks `returncode`.
            capture: True to return its output; otherwise the terminal shows it. Default: True.
            merge: Include standard error in `stdout`. Default: keep it in `stderr`.
            tree: Also end the processes that it started. Default: it starts none.

        Raises:
            MissingProgramError: It is not installed.
            TimedOutError: It took too long.
            ProcessError: It failed, and `check` is set.
            KeyboardInterrupt: `stop` was called before or during the run.
        """
        words = tuple(map(str, command))
        process = self._start(
            words,
            tree,
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE if capture else None,
        )
        with process:
            try:
                out, error = process.communicate(given, seconds)
            except subprocess.TimeoutExpired:
                raise TimedOutError(f"{_shown(words)} did not end within {seconds:g} s") from None
            finally:
                if process.poll() is None:
                    _kill(process, tree=tree)
                with self._lock:
                    del self._running[process]
        if self._stopped:
            raise KeyboardInterrupt
        done = Completed(words, process.returncode, out or "", error or "")
        if check and done.returncode != 0:
            raise ProcessError(f"{_shown(words)} failed: {done.reason}")
        return done

    def stop(self) -> None:
        """Stop all running programs, and refuse to start new ones."""
        with self._lock:
            self._stopped = True
            for process, tree in list(self._running.items()):
                _kill(process, tree=tree)

    def _start(
        self,
        words: tuple[str, ...],
        tree: bool,
        *,
        cwd: Path | None,
        env: dict[str, str] | None,
        stdin: int,
        stdout: int | None,
        stderr: int | None,
    ) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            try:
                process = subprocess.Popen(
                    words,
                    cwd=cwd,
                    env=env,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    encoding="utf-8",
                    errors="replace",
                    # Its own process group can be stopped as a whole.
                    start_new_session=tree,
                )
            except FileNotFoundError as error:
                if cwd is not None and not cwd.is_dir():
                    raise ProcessError(f"{_shown(words)}: folder {cwd} does not exist") from error
                raise MissingProgramError(f"{words[0]} is not installed") from None
            self._running[process] = tree
        return process


_EVERY = Processes()

run = _EVERY.run
"""Run a program to completion, in the group of processes that an interrupt of the command line stops."""


def stop_all() -> None:
    """Stop the programs that `run` started, and start no new ones: the reaction to an interrupt."""
    _EVERY.stop()


def follow(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    progress: Progress,
    stopping: threading.Event | None = None,
    seconds: float = math.inf,
) -> tuple[int, list[str]]:
    """Run a command line by line; end it and its children when it ends, is stopped, or times out.

    Args:
        command: The program and its arguments.
        folder: Working directory.
        environment: Its complete environment.
        log: File that its output is added to.
        progress: Called with each line that is not empty.
        stopping: Event that ends it. Default: none.
        seconds: Time-out.

    Returns:
        Exit code, negative if a signal ended it; and the lines.
    """
    lines: list[str] = []
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("a", encoding="utf-8") as file,
        subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101  # nosec B101  # asked for above
        watch = threading.Thread(target=_watch, args=(process, stopping or threading.Event(), seconds), daemon=True)
        watch.start()
        try:
            for line in process.stdout:
                text = _ESCAPES.sub("", line).rstrip()
                file.write(f"{text}\n")
                file.flush()
                lines.append(text)
                if text:
                    progress(text)
            process.wait()
        finally:
            _end(process)
    return process.returncode, lines


def start_server(
    command: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str], log: IO[bytes]
) -> Server:
    """Start a process that outlives this one; the caller records its id to stop it.

    Args:
        command: The program and its arguments.
        folder: Working directory.
        environment: Its complete environment.
        log: File for its output.
    """
    return subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def start_worker(command: Sequence[str | Path], *, environment: Mapping[str, str]) -> Worker:
    """Start a process that answers on its standard streams, and ends when this process closes them.

    Args:
        command: The program and its arguments.
        environment: Its complete environment.
    """
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environment), text=True, encoding="utf-8"
    )


def _watch(process: subprocess.Popen[str], stopping: threading.Event, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if stopping.wait(0.2) or time.monotonic() > deadline:
            break
    # A child left running would keep its output open indefinitely.
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End its remaining processes: node, make, and what they started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)


def _kill(process: subprocess.Popen[str], *, tree: bool) -> None:
    if tree:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _shown(words: Sequence[str]) -> str:
    text = shlex.join(words)
    return f"`{text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}`"
