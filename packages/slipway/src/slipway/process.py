"""A command in a process group of its own: followed line by line, and ended with all that it started."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from slipway.paths import ROOT

Progress = Callable[[str], None]

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def run(  # what a process needs
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    progress: Progress,
    folder: Path = ROOT,
    stopping: threading.Event | None = None,
    seconds: float = math.inf,
) -> tuple[int, list[str]]:
    """Run a command, and end all of it when it has ended itself, when its time is up or when this process is told to.

    Args:
        command: what to run.
        environment: all of its variables.
        log: file that its output is added to.
        progress: is called with each line that is not empty.
        folder: where it runs. Default: the repository's root.
        stopping: ends it when it is set. Default: nothing does.
        seconds: how long it may take.

    Returns:
        Exit code, negative where a signal ended it; and the lines.
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


def _watch(process: subprocess.Popen[str], stopping: threading.Event, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if stopping.wait(0.2) or time.monotonic() > deadline:
            break
    # What it left running would hold its output open for as long as it likes.
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End all of it that still runs: node, make, and what they started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
