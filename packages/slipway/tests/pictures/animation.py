"""A recording as an SVG that plays by itself, wherever a picture can be shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from rich.ansi import AnsiDecoder
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import SVG_EXPORT_THEME

from pictures.recording import Recording
from pictures.screen import Frame, play

CELL, LINE, SIZE, PAD = 8.2, 18, 13.5, 16
"""Pixels: width of a character, height of a line, font size, margin."""

LASTS = 30.0
"""Duration of the animation in seconds, however long the recording is."""

STAYS = 6.0
"""Seconds that the last screen is shown before the animation restarts."""

FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"

PAPER, INK, PALE = "#1b1d27", "#e4e6ef", "#9aa0b5"

_CONSOLE = Console()


def animate(recording: Recording, *, title: str) -> str:
    """Return a recording as SVG.

    Args:
        recording: What is shown.
        title: Alternative text of the picture.
    """
    whole = recording.events[-1][0]
    pace = whole / LASTS
    frames = _distinct(play(recording, least=0.25 * pace))
    width, height = 2 * PAD + recording.columns * CELL, 2 * PAD + (recording.rows + 1) * LINE
    lines = {
        line: number for number, line in enumerate(dict.fromkeys(line for frame in frames for line in frame.lines))
    }
    drawn = "".join(
        f'<text id="l{number}" xml:space="preserve">{_line(line, recording.columns)}</text>'
        for line, number in lines.items()
    )
    shown = "".join(_screen(frame, number * height, lines, recording) for number, frame in enumerate(frames))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>text{{font:{SIZE}px {FONT};fill:{INK}}}\n{_timing(frames, height, pace)}</style>\n"
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>\n'
        f'<defs>{drawn}</defs>\n<g class="film">{shown}</g>\n</svg>\n'
    )


def _distinct(frames: Iterable[Frame]) -> list[Frame]:
    """Return the screens without consecutive duplicates."""
    found: list[Frame] = []
    for frame in frames:
        if not found or found[-1].lines != frame.lines:
            found.append(frame)
    return found


def _timing(frames: Sequence[Frame], height: float, pace: float) -> str:
    """Return the style that moves the film. With reduced motion preferred, it shows only the last screen."""
    whole = LASTS + STAYS
    steps = "".join(
        f"{100 * frame.second / pace / whole:.2f}%{{transform:translateY({-number * height:g}px)}}"
        for number, frame in enumerate(frames)
    )
    last = -(len(frames) - 1) * height
    return (
        f".film{{animation:film {whole:g}s step-end infinite}}\n@keyframes film{{0%{{transform:none}}{steps}}}\n"
        f"@media (prefers-reduced-motion:reduce){{.film{{animation:none;transform:translateY({last:g}px)}}}}\n"
    )


def _screen(frame: Frame, top: float, lines: dict[str, int], recording: Recording) -> str:
    prompt = (
        f'<text x="{PAD}" y="{top + PAD + SIZE:g}"><tspan fill="{PALE}">$</tspan> {escape(recording.command)}</text>'
    )
    rows = "".join(
        f'<use href="#l{lines[line]}" x="{PAD}" y="{top + PAD + SIZE + (number + 1) * LINE:g}"/>'
        for number, line in enumerate(frame.lines)
        if line
    )
    return prompt + rows


def _line(line: str, columns: int) -> str:
    """Return a terminal's line as pieces of SVG text, each at its column; long lines are cut off."""
    text = AnsiDecoder().decode_line(line)
    text.truncate(columns, overflow="ellipsis")
    column, pieces = 0, []
    for segment in text.render(_CONSOLE):
        if content := segment.text.rstrip("\n"):
            if content.strip():
                pieces.append(f'<tspan x="{column * CELL:g}"{_look(segment.style)}>{escape(content)}</tspan>')
            column += cell_len(content)
    return "".join(pieces)


def _look(style: Style | None) -> str:
    if style is None:
        return ""
    colour = _hex(style.color) if style.color else PALE if style.dim else ""
    return (f' fill="{colour}"' if colour else "") + (' font-weight="bold"' if style.bold else "")


def _hex(colour: Color) -> str:
    return colour.get_truecolor(SVG_EXPORT_THEME).hex
