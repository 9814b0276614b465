"""Run a verb: find the project, import only what the verb needs, and report an error in one line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException

from slipway import process, project
from slipway.cli.verbs import VERBS, Verb, service_verbs
from slipway.errors import SlipwayError

_PROJECT = "--project"
_PROJECT_HELP = "Work as if started in this folder. Default: the current one."
_INTERRUPTED = 130


def use_project(folder: Path | None, *, enter: bool = True) -> None:
    """Set the project that every module imported from now on works on.

    Args:
        folder: The folder. Default: the working directory.
        enter: True to make it the working directory.

    Raises:
        BadParameter: The folder does not exist.
    """
    if folder is not None:
        if not folder.is_dir():
            raise typer.BadParameter(f"{folder} is not a folder", param_hint=_PROJECT)
        folder = folder.resolve()
        if enter:
            os.chdir(folder)
    project.use(project.find_root(folder))
    # Commands started by verbs run in the project: in this folder, or another one of the project.
    os.environ.pop(project.VARIABLE, None)
    # The project's own services and settings are imported from it, after all installed packages.
    if str(project.ROOT) not in sys.path:
        sys.path.append(str(project.ROOT))


class Verbs(TyperGroup):
    """The verbs; each is imported when it runs, and none for the help."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.verbs: dict[str, Verb] = {verb.name: verb for verb in VERBS}
        self._show(VERBS)

    def _show(self, verbs: Sequence[Verb]) -> None:
        """Replace the placeholders in the verbs' help."""
        for verb in verbs:
            self.verbs[verb.name] = verb
            self.commands[verb.name] = TyperCommand(
                verb.name, help=verb.summary, rich_help_panel=verb.panel, hidden=verb.hidden
            )

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the verbs, including those of the project's services."""
        self._show([verb for verb in service_verbs(project.ROOT) if verb.name not in self.verbs])
        return super().list_commands(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the verb of the first argument, and import it for the project that the others name."""
        known = self.verbs.get(args[0])
        if not ctx.resilient_parsing:
            folder, others = take_project(args)
            if folder is not None:
                reads = known is not None and known.reads_project
                use_project(folder, enter=not reads)
                args = args if reads else others
        # The project's services have verbs too.
        self.list_commands(ctx)
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(self.verbs[name or ""]), rest


def take_project(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Separate the project from a verb's arguments, since it must be set before the verb is imported.

    Args:
        arguments: The verb and what follows it.

    Returns:
        The folder that `--project` names, None without one; and the other arguments.
    """
    folder, others, rest = None, [], list(arguments)
    while rest and rest[0] != "--":
        word = rest.pop(0)
        if word == _PROJECT and rest:
            folder = Path(rest.pop(0))
        elif word.startswith(f"{_PROJECT}="):
            folder = Path(word.partition("=")[2])
        else:
            others.append(word)
    return folder, [*others, *rest]


def load(verb: Verb) -> Any:
    """Import a verb.

    Args:
        verb: The verb.

    Raises:
        SlipwayError: Something that it imports is not installed.
    """
    try:
        target = getattr(import_module(verb.module), verb.attribute)
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] in {"slipway", "services"}:
            raise
        extra = f"slipway[{verb.extra}]" if verb.extra else "slipway[cdk]"
        raise SlipwayError(f"{verb.name}: {error.name} is not installed; install {extra}") from None
    if isinstance(target, typer.Typer):
        app = target
    else:
        app = typer.Typer(add_completion=False)
        app.command(verb.name)(target)
    command: Any = typer.main.get_command(app)
    command.name = verb.name
    if not verb.reads_project:
        # Already handled before the import; here it only appears in the help.
        command.params.append(
            TyperOption(param_decls=[_PROJECT], type=Path, metavar="DIR", expose_value=False, help=_PROJECT_HELP)
        )
    if verb.extra == "rehearsal":
        _isolate()
    return command


def _isolate() -> None:
    from slipway.emulator.server import isolate  # noqa: PLC0415  # only those verbs have it installed

    isolate()


def _use_named(folder: Path | None) -> Path | None:
    use_project(folder)
    return folder


def _version(value: bool) -> None:  # typer calls it with the option's value.
    if value:
        from importlib.metadata import version  # noqa: PLC0415  # only needed here

        typer.echo(version("slipway"))
        raise typer.Exit


app = typer.Typer(cls=Verbs, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def slipway(
    folder: Annotated[
        Path | None,
        typer.Option(
            _PROJECT,
            metavar="DIR",
            callback=_use_named,
            is_eager=True,
            help=_PROJECT_HELP,
        ),
    ] = None,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Deliver serverless services to AWS in stages: review a change, rehearse it, inspect it, prepare accounts."""


def _interrupt(*_: object) -> NoReturn:
    # Threads that wait for a process would hold up the end.
    process.stop_all()
    raise KeyboardInterrupt


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        arguments: Arguments without the program's name. Default: those of this process.

    Returns:
        The exit code: 0 done, 1 something went wrong, 2 wrong input, 130 interrupted.
    """
    # Both signals, set explicitly: a shell that starts a command in the background makes it ignore SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    command: Callable[..., Any] = app
    try:
        result = command(args=arguments, standalone_mode=False, prog_name="slipway")
    except (Exception, KeyboardInterrupt) as error:
        if (told := explain(error)) is None:
            raise
        return _say(*told)
    # typer turns an interrupt into an exit code.
    return _say("interrupted", _INTERRUPTED) if result == _INTERRUPTED else result or 0


def explain(error: BaseException) -> tuple[str, int] | None:
    """Return the message and the exit code for an error that a user can cause; None for a bug in this program."""
    if isinstance(error, SlipwayError):
        return str(error), error.exit_code
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return "interrupted", _INTERRUPTED
    if isinstance(error, TyperException):
        return error.format_message(), 2
    if any(isinstance(error, kind) for kind in _kinds("botocore.exceptions", "BotoCoreError", "ClientError")):
        return f"AWS, or the emulator, refused: {error}", 1
    if any(isinstance(error, kind) for kind in _kinds("httpx", "HTTPError")):
        return f"the emulator does not answer ({error}); run `slipway up`", 1
    if isinstance(error, OSError):
        from slipway.emulator import disk  # noqa: PLC0415  # only where something went wrong

        return disk.said(error), 1
    return None


def _kinds(module: str, *names: str) -> list[type[BaseException]]:
    """Return exceptions of a package if it is imported; otherwise it cannot have raised any."""
    loaded = sys.modules.get(module)
    return [getattr(loaded, name) for name in names] if loaded else []


def _say(message: str, code: int) -> int:
    from rich.console import Console  # noqa: PLC0415  # only where something went wrong

    Console(stderr=True, highlight=False).print(message, markup=False, soft_wrap=True, style="red")
    return code
