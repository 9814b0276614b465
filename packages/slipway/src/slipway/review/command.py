"""Review the effects of a change on data, permissions and protection, in any CDK app: `slipway review`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console

from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.errors import SlipwayError
from slipway.nag.terminal import terminal
from slipway.project import has_configuration
from slipway.review.exports import write_json, write_markdown, write_sarif
from slipway.review.outcome import ReviewOutcome, ReviewState
from slipway.review.report import print_review, write_page
from slipway.review.run import Given, review
from slipway.revisions.recipes import Recipe

_SHOWN_AT: Final = "cdk.json"


def review_change(
    before: Annotated[
        str | None,
        typer.Argument(
            metavar="[BEFORE]",
            help="Revision or assembly folder. Default: HEAD, or its parent if the working tree has no changes.",
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Argument(metavar="[AFTER]", help="Revision or assembly folder. Default: the working tree."),
    ] = None,
    *,
    project: Annotated[Path, typer.Option("--project", metavar="DIR", help="Folder of the app's cdk.json.")] = Path(),
    synth: Annotated[
        str | None,
        typer.Option(
            "--synth",
            metavar="COMMAND",
            help="Command that synthesises a revision. Default: derived from its lock files and cdk.json.",
        ),
    ] = None,
    bundling: Annotated[
        bool, typer.Option("--bundling/--no-bundling", help="Bundle functions, as the CDK CLI does (may need Docker).")
    ] = True,
    waivers: Annotated[
        Path | None, typer.Option("--waivers", metavar="FILE", help="File with waivers. Default: config/waivers.toml.")
    ] = None,
    json_file: JsonOption = None,
    html_file: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page.")] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write a comment for a pull request.")
    ] = None,
    sarif_file: Annotated[
        Path | None, typer.Option("--sarif", metavar="FILE", help="Write SARIF 2.1.0 for code scanning.")
    ] = None,
) -> None:
    """Review the effects of a change on data, permissions and protection.

    Exit code: 0 if nothing stops the change, 1 if a critical finding is not waived or a waiver is invalid, 2 if it
    cannot be reviewed.
    """
    console = terminal()
    signal.signal(signal.SIGTERM, _interrupted)
    at = (project / _SHOWN_AT).as_posix() if not project.is_absolute() else _SHOWN_AT
    files: list[tuple[Path | None, Callable[[ReviewOutcome, Path], None]]] = [
        (json_file, write_json),
        (html_file, write_page),
        (markdown_file, write_markdown),
        (sarif_file, lambda outcome, path: write_sarif(outcome, path, at=at)),
    ]
    wanted = [(path, write) for path, write in files if path is not None]
    try:
        for path, _ in wanted:
            output.forget(path)
        outcome = review(
            before or None,
            after or None,
            project=project,
            recipe=Recipe(command=synth, bundles=bundling),
            waivers=waivers,
            given=lambda: _given(project),
            say=lambda text: console.print(text, style="dim", markup=False, soft_wrap=True),
        )
    except SlipwayError as error:
        outcome = ReviewOutcome(state=ReviewState.NOT_REVIEWED, problems=(str(error),))
        _write(outcome, wanted, console)
        console.print(f"change review RED: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except OSError as error:
        raise _unwritten(error, console) from None
    except KeyboardInterrupt:
        console.print("change review interrupted", style="red")
        raise typer.Exit(130) from None
    _write(outcome, wanted, console)
    print_review(outcome, console)
    raise typer.Exit(int(outcome.red))


def _given(project: Path) -> Given:
    """Return the configuration of our template; empty for any other app."""
    if not has_configuration(project):
        return Given()
    from slipway.gates.review_policy import given  # noqa: PLC0415 - reads the configuration, which no other app has

    return given()


def _write(
    outcome: ReviewOutcome, files: list[tuple[Path, Callable[[ReviewOutcome, Path], None]]], console: Console
) -> None:
    try:
        for path, write in files:
            write(outcome, path)
    except OSError as error:
        raise _unwritten(error, console) from None


def _unwritten(error: OSError, console: Console) -> typer.Exit:
    text = f"change review RED: {error.filename} cannot be written ({error.strerror})"
    console.print(text, style="red", markup=False, soft_wrap=True)
    return typer.Exit(2)


def _interrupted(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
