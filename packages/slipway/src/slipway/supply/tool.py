"""Run a scanner, and distinguish its answer from its failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway import process

SECONDS = 600
"""Time-out of a scanner, seconds. It usually takes seconds, but more on a busy machine."""

ASKING_SECONDS = 120
"""Time after which a network service counts as unresponsive."""

_SHOWN = 160


@dataclass(frozen=True)
class Ran:
    """Result of a scanner."""

    code: int
    out: str
    err: str

    def complaint(self) -> str:
        """Return the last line of its errors; without one, the last line of its output."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        line = (errors or lines or [f"exit code {self.code} without output"])[-1]
        return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def run(command: Sequence[str | Path], *, folder: Path, environ: Mapping[str, str], seconds: float = SECONDS) -> Ran:
    """Run a scanner to its end.

    Args:
        command: The program and its arguments.
        folder: Working directory.
        environ: Its environment variables.
        seconds: Time-out.
    """
    words = [str(word) for word in command]
    try:
        done = process.run(words, folder=folder, environment=environ, seconds=seconds, tree=True)
    except process.MissingProgramError:
        return Ran(127, "", f"{words[0]} is not installed: run `make install`")
    except process.TimedOutError:
        return Ran(124, "", f"no answer within {seconds:g} s")
    return Ran(done.returncode, done.stdout, done.stderr)
