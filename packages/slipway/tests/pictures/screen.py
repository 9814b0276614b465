"""A terminal's screen while a recording is played: its lines after each write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pictures.recording import Recording

# Text, a control character, or a sequence that starts with CSI (ECMA-48, 5.4)
_TOKEN = re.compile(
    r"(?P<colour>\x1b\[[0-9;]*m)|\x1b\[(?P<number>[0-9;?]*)(?P<final>[A-Za-z])|(?P<text>[^\x1b\r\n\x07]+)|(?P<other>[\s\S])"
)
_IGNORED = {"h", "l"}
"""Modes, such as showing and hiding the cursor."""


class RecordingError(Exception):
    """A recording with an unsupported control sequence."""


@dataclass(frozen=True)
class Frame:
    """A screen.

    Attributes:
        second: When it was shown, since the start.
        lines: Its lines with their colours as ANSI sequences, from the top; as many as fit.
    """

    second: float
    lines: tuple[str, ...]


class Screen:
    """A terminal that supports what rich writes: text, colours, and moving up to erase lines.

    A line is always rewritten from its first column, so a screen is a list of lines and needs no grid of cells.
    """

    def __init__(self) -> None:
        self._lines = [""]
        self._row = 0
        self._fresh = False

    @property
    def lines(self) -> list[str]:
        """The lines so far, including scrolled ones."""
        return list(self._lines)

    def write(self, text: str) -> None:
        """Process a program's output.

        Raises:
            RecordingError: It contains an unsupported sequence.
        """
        for token in _TOKEN.finditer(text):
            if token["text"] or token["colour"]:
                self._put(token.group())
            elif token["final"]:
                self._control(token["final"], token["number"])
            else:
                self._move(token["other"])

    def _put(self, text: str) -> None:
        if self._fresh:
            self._lines[self._row] = ""
            self._fresh = False
        self._lines[self._row] += text

    def _move(self, character: str) -> None:
        if character == "\r":
            self._fresh = True
        elif character == "\n":
            self._row += 1
            self._fresh = False
            if self._row == len(self._lines):
                self._lines.append("")
            else:
                self._fresh = True
        elif character != "\x07":
            raise RecordingError(f"unknown character {character!r}")

    def _control(self, final: str, number: str) -> None:
        if final == "A":
            self._row = max(0, self._row - int(number or 1))
            self._fresh = True
        elif final == "K":
            self._lines[self._row] = ""
        elif final not in _IGNORED:
            raise RecordingError(f"unknown sequence CSI {number}{final}")


def play(recording: Recording, *, least: float) -> Iterator[Frame]:
    """Yield the screens of a recording.

    Args:
        recording: What was written, and when.
        least: Minimum seconds between two screens; output in between is shown together.

    Raises:
        RecordingError: It contains an unsupported sequence.
    """
    screen, shown, rest = Screen(), -least, ""
    for second, text in recording.events:
        # A sequence may be split across two writes
        whole, rest = _split(rest + text)
        screen.write(whole)
        if second - shown >= least:
            yield Frame(second, _visible(screen, recording.rows))
            shown = second
    screen.write(rest)
    yield Frame(recording.events[-1][0], _visible(screen, recording.rows))


def _split(text: str) -> tuple[str, str]:
    cut = re.search(r"\x1b(\[[0-9;?]*)?$", text)
    return (text[: cut.start()], text[cut.start() :]) if cut else (text, "")


def _visible(screen: Screen, rows: int) -> tuple[str, ...]:
    lines = [line.rstrip() for line in screen.lines]
    while lines and not re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]):
        lines.pop()
    return tuple(lines[-rows:])
