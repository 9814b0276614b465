"""Show a rehearsal while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from slipway.rehearsal.player.definition import PipelineDefinition
from slipway.rehearsal.player.records import Execution, PlayedAction, PlayedStage, PlayStatus, short_name

_MARKS = {
    PlayStatus.SUCCEEDED: ("✓", "green"),
    PlayStatus.FAILED: ("✗", "red"),
    PlayStatus.SKIPPED: ("·", "dim"),
    PlayStatus.CANCELED: ("↻", "cyan"),
    PlayStatus.IN_PROGRESS: ("…", "yellow"),
}


def virtual(seconds: float) -> str:
    """Return virtual seconds for a reader."""
    return str(timedelta(seconds=round(seconds)))


class Show:
    """The timeline on the terminal: live on a terminal, a line at the end of each action elsewhere.

    Args:
        console: The console to print to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._running: dict[int, tuple[PlayedAction, str, float]] = {}
        self._stage: PlayedStage | None = None
        self._begin = time.monotonic()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Show a phase before or after the executions."""
        begin = time.monotonic()
        self._open()
        self._running[0] = (PlayedAction(name, "", "", 0), "", begin)
        self._refresh()
        try:
            yield
        finally:
            self._running.pop(0, None)
            self._refresh()
        self._print(f"[green]✓[/green] {escape(name):<44} {time.monotonic() - begin:7.1f} s")

    def progress_of_phase(self, text: str) -> None:
        """Show the phase's progress."""
        with self._lock:
            if 0 in self._running:
                action, _, begin = self._running[0]
                self._running[0] = (action, text, begin)
        self._refresh()

    def execution(self, execution: Execution, definition: PipelineDefinition) -> None:
        """Show the start of an execution."""
        self._open()
        moment = datetime.fromisoformat(execution.virtual_start)
        self._print(
            f"\n[bold]{escape(definition.name)}[/bold], version {definition.version}: {execution.commit[:12]} "
            f"{escape(execution.message)}  [dim]{moment:%a %d %b %H:%M} UTC, virtual[/dim]"
        )

    def stage(self, stage: PlayedStage) -> None:
        """Show the start or end of a stage."""
        with self._lock:
            self._stage = stage
        if stage.status is PlayStatus.IN_PROGRESS:
            if not stage.actions and not stage.conditions:
                kind = "" if stage.kind == "deliver" else f"  [yellow]{stage.kind}[/yellow]"
                self._print(f"[bold]{escape(stage.name)}[/bold]{kind}")
            elif stage.conditions:
                condition = stage.conditions[-1]
                self._print(self._line(condition.status, f"{condition.kind} {condition.rule}", condition.detail))
            return
        # The messages of actions are already printed.
        if stage.reason and not any(action.error and action.error in stage.reason for action in stage.actions):
            self._print(f"  {escape(stage.reason)}")

    def action(self, action: PlayedAction) -> None:
        """Show the start or end of an action."""
        with self._lock:
            if action.status is PlayStatus.IN_PROGRESS:
                self._running[id(action)] = (action, "", time.monotonic())
            else:
                self._running.pop(id(action), None)
        if action.status is PlayStatus.IN_PROGRESS:
            self._refresh()
            return
        self._open()
        mark, colour = _MARKS[action.status]
        waited = (
            f" [dim]{virtual(action.virtual_seconds)} virtual[/dim]"
            if action.virtual_seconds > action.seconds + 5
            else ""
        )
        self._print(
            f"  [{colour}]{mark}[/{colour}] {escape(action.name):<36} [dim]{action.account:<8}[/dim]"
            f"{action.seconds:7.1f} s{waited}  {escape(action.summary)}"
        )
        for deployment in action.deployments:
            self._print(
                self._line(
                    deployment.status,
                    f"  {short_name(deployment.function)} {deployment.old_version} → {deployment.new_version}",
                    f"{deployment.configuration.removeprefix('CodeDeployDefault.Lambda')}, "
                    f"{deployment.met_new} requests to the new version, {deployment.failed_new} failed",
                )
            )
        if action.error:
            self._print(f"    [red]{escape(action.error)}[/red]")

    def progress(self, action: PlayedAction, text: str) -> None:
        """Show an action's progress."""
        with self._lock:
            if id(action) in self._running:
                running, _, begin = self._running[id(action)]
                self._running[id(action)] = (running, text, begin)
        self._refresh()

    def say(self, text: str) -> None:
        """Print a separate line."""
        self._print(text)

    def close(self) -> None:
        """Stop the live display."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _open(self) -> None:
        with self._lock:
            if self._live is None and self.console.is_terminal:
                self._live = Live(
                    console=self.console, transient=True, refresh_per_second=8, get_renderable=self._render
                )
                self._live.start()

    def _refresh(self) -> None:
        """Redraw the live part."""

    def _print(self, text: str) -> None:
        with self._lock:
            self.console.print(text, soft_wrap=True, highlight=False)

    def _line(self, status: PlayStatus, what: str, detail: str) -> str:
        mark, colour = _MARKS[status]
        return f"  [{colour}]{mark}[/{colour}] {escape(what):<44}  [dim]{escape(detail)}[/dim]"

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 1))
        with self._lock:
            running = list(self._running.values())
        for action, text, begin in running[:12]:
            elapsed = time.monotonic() - begin
            width = max(20, self.console.width - 62)
            table.add_row(
                Spinner("dots", style="yellow"),
                Text(action.name[:36], style="yellow"),
                Text(action.account, style="dim"),
                f"{elapsed:6.1f} s",
                Text(text[:width], style="dim"),
            )
        table.add_row("", Text(f"{time.monotonic() - self._begin:.0f} s in all", style="dim"))
        return table
