"""A timed terminal session, in the asciicast v2 format (https://docs.asciinema.org/manual/asciicast/v2/)."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS, ROWS = 104, 30


@dataclass(frozen=True)
class Recording:
    """What a command wrote to its terminal.

    Attributes:
        command: As a person types it.
        columns: Width of the terminal, characters.
        rows: Height of the terminal, lines.
        events: Seconds since the start, and what was written then.
    """

    command: str
    columns: int
    rows: int
    events: tuple[tuple[float, str], ...]


def record(command: Sequence[str], *, folder: Path, variables: Mapping[str, str]) -> Recording:
    """Run a command in a separate terminal, and record its output.

    Args:
        command: The command and its arguments.
        folder: Where it runs.
        variables: Its environment.

    Raises:
        CalledProcessError: The command failed.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    begin = time.monotonic()
    process = subprocess.Popen(
        list(command),
        cwd=folder,
        env=dict(variables),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    chunks = []
    while chunk := _read(ours):
        chunks.append((time.monotonic() - begin, chunk))
    os.close(ours)
    if code := process.wait():
        raise subprocess.CalledProcessError(code, list(command), b"".join(chunk for _, chunk in chunks))
    return Recording(" ".join(command), COLUMNS, ROWS, tuple(_decoded(chunks)))


def _read(terminal: int) -> bytes:
    """Return what was written next; empty once the command has closed the terminal."""
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's answer once the other side is closed
        return b""


def _decoded(chunks: Sequence[tuple[float, bytes]]) -> list[tuple[float, str]]:
    """Decode chunks whose boundaries may split a character."""
    found, rest = [], b""
    for second, chunk in chunks:
        rest += chunk
        text = rest.decode("utf-8", errors="ignore")
        rest = rest[len(text.encode()) :]
        found.append((round(second, 3), text))
    return found


def save(recording: Recording, file: Path) -> None:
    """Write a recording as asciicast v2."""
    header = {
        "version": 2,
        "width": recording.columns,
        "height": recording.rows,
        "command": recording.command,
    }
    lines = [header, *([second, "o", text] for second, text in recording.events)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")


def load(file: Path) -> Recording:
    """Read an asciicast v2."""
    header, *events = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
    written = tuple((float(second), text) for second, kind, text in events if kind == "o")
    return Recording(header["command"], header["width"], header["height"], written)
