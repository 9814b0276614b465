"""`python -m gates.review`: what a change does to data, permissions and protection."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from slipway.nag.terminal import terminal
from slipway.review.errors import ReviewError
from slipway.review.outcome import Outcome, State
from slipway.review.report import print_review, write_json, write_page
from slipway.review.run import review

REPORT = Path("build", "report")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    base: Annotated[
        str | None, typer.Option("--base", metavar="REV|FOLDER", help="What is deployed. Default: see docs/review.md.")
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", metavar="REV|FOLDER", help="What would be. Default: the working tree.")
    ] = None,
    json_file: Annotated[Path, typer.Option("--json", help="Where the whole review is written.")] = REPORT
    / "review.json",
    html_file: Annotated[Path, typer.Option("--html", help="Where the page is written.")] = REPORT / "review.html",
    waivers: Annotated[
        Path | None, typer.Option("--waivers", show_default="config/waivers.toml", help="The file of waivers.")
    ] = None,
) -> None:
    """Review what a change does to data, permissions and protection.

    Exit code: 0 when nothing stops it, 1 when a critical finding is not waived or a waiver is wrong, 2 when it cannot
    be reviewed.
    """
    console = terminal()
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        for path in (json_file, html_file):
            # What an earlier run found says nothing of this one.
            path.unlink(missing_ok=True)
        outcome = review(base or None, head or None, waivers=waivers, say=lambda text: console.print(text, style="dim"))
    except ReviewError as error:
        outcome = Outcome(state=State.NOT_REVIEWED, problems=(str(error),))
        _write(outcome, json_file, html_file, console)
        console.print(f"change review RED: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except OSError as error:
        raise _unwritten(error, console) from None
    except KeyboardInterrupt:
        console.print("change review interrupted: nothing runs on", style="red")
        raise typer.Exit(130) from None
    _write(outcome, json_file, html_file, console)
    print_review(outcome, console)
    raise typer.Exit(int(outcome.red))


def _write(outcome: Outcome, json_file: Path, html_file: Path, console: Console) -> None:
    try:
        write_json(outcome, json_file)
        write_page(outcome, html_file)
    except OSError as error:
        raise _unwritten(error, console) from None


def _unwritten(error: OSError, console: Console) -> typer.Exit:
    text = f"change review RED: {error.filename} cannot be written ({error.strerror})"
    console.print(text, style="red", markup=False, soft_wrap=True)
    return typer.Exit(2)


def _interrupted(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    app(prog_name="python -m gates.review")
