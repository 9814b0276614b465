"""A recorded terminal session is drawn as it appeared."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pictures.animation import animate
from pictures.recording import Recording, load, record, save
from pictures.screen import RecordingError, Screen, play

SVG = "{http://www.w3.org/2000/svg}"


def written(*texts: str) -> list[str]:
    screen = Screen()
    for text in texts:
        screen.write(text)
    return screen.lines


def recorded(*events: tuple[float, str]) -> Recording:
    return Recording("make tea", 20, 4, events)


def test_lines_rewritten_by_rich_are_shown_once() -> None:
    # Given a line that is erased and rewritten, like a progress bar
    assert written("\r\x1b[2Kone", "\r\n", "two", "\r\x1b[2K\x1b[1A\x1b[2K", "uno\r\n") == ["uno", ""]


def test_carriage_return_begins_the_line_again() -> None:
    assert written("10 %", "\r", "20 %") == ["20 %"]


def test_unknown_sequence_is_refused() -> None:
    with pytest.raises(RecordingError, match="unknown sequence CSI 5B"):
        written("\x1b[5B")


def test_sequence_split_across_writes_is_joined() -> None:
    frames = list(play(recorded((0.0, "a\x1b[3"), (1.0, "1mb")), least=0))

    assert frames[-1].lines == ("a\x1b[31mb",)


def test_only_the_last_rows_are_visible() -> None:
    frames = list(play(recorded((0.0, "1\r\n2\r\n3\r\n4\r\n5\r\n")), least=0))

    assert frames[-1].lines == ("2", "3", "4", "5")


def test_picture_holds_each_screen_and_escapes_its_text() -> None:
    picture = ET.fromstring(  # noqa: S314  # nosec B314  # our own text
        animate(recorded((0.0, "kettle <on>\r\n"), (40.0, "\x1b[1mtea\x1b[0m\r\n")), title="Tea & co")
    )

    assert picture.findtext(f"{SVG}title") == "Tea & co"
    assert [text.text for text in picture.iter(f"{SVG}tspan") if text.text != "$"] == ["kettle <on>", "tea"]
    # The command is drawn above each of the two screens
    assert len(picture.findall(f"{SVG}g/{SVG}text")) == 2


@pytest.mark.programs
def test_recording_is_saved_and_loaded_unchanged(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('grün ✓')"]
    recording = record(command, folder=tmp_path, variables={"PYTHONUTF8": "1"})
    save(recording, tmp_path / "a.cast")

    assert "".join(text for _, text in recording.events) == "grün ✓\r\n"
    assert load(tmp_path / "a.cast") == recording
