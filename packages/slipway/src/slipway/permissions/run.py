"""Run `slipway permissions`: start the workers, print the table, and write `build/permissions/result.json`."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from multiprocessing.process import BaseProcess
from uuid import uuid4

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError
from slipway.files import write_json
from slipway.permissions.worker import Assignment, Message, PermissionPlan, PermissionRow, work
from slipway.project import ROOT

RESULT = ROOT / "build" / "permissions" / "result.json"
STOP_SECONDS = 30
"""Time that a worker may take to stop its environment, seconds."""

BAD = frozenset({"NOT NEEDED", "FAULT"})
_STYLES: dict[str, str] = {"needed": "green", "unproven": "dim", "NOT NEEDED": "red", "FAULT": "red"}


def examine(
    environment: str, services: Sequence[str], functions: Sequence[str], console: Console, *, workers: int | None = None
) -> list[PermissionRow]:
    """Test every function without each of its permissions.

    Args:
        environment: Name of the environment to deploy.
        services: Services whose functions are tested; empty for all.
        functions: Names of functions, `<service>/ApiFunction`; empty for all.
        console: Console for progress.
        workers: Number of processes, each with its own emulator. Default: one per processor, at most one per function.

    Returns:
        One row per permission, by function; also written to `build/permissions/result.json`.

    Raises:
        RehearsalError: A worker ended before its work was done, or a function does not exist.
    """
    count = workers or min(os.cpu_count() or 1, len(functions) or 8)
    context = multiprocessing.get_context("spawn")
    messages: multiprocessing.Queue[Message] = context.Queue()
    taken = context.Value("i", 0)
    identity = uuid4().hex
    assignments = [
        Assignment(number + 1, environment, tuple(services), tuple(functions), identity) for number in range(count)
    ]
    processes: list[BaseProcess] = [
        context.Process(target=work, args=(assignment, taken, messages), name=assignment.name)
        for assignment in assignments
    ]
    begin = time.monotonic()
    with _ended(processes, assignments):
        for process in processes:
            process.start()
        rows, plan = _collect(processes, messages, console)
    rows.sort(key=lambda row: (row.function, row.outcome, row.resource, row.action))
    seconds = round(time.monotonic() - begin, 1)
    write_json(RESULT, {"seconds": seconds, "workers": count, "rows": [asdict(row) for row in rows]})
    lost = [process.name for process in processes if process.exitcode]
    if plan is None or lost:
        logs = ", ".join(str(assignment.folder / "pytest.log") for assignment in assignments)
        raise RehearsalError(f"the run is incomplete; see pytest's output in {logs}")
    if plan.functions < max(1, len(set(functions))):
        raise RehearsalError(f"{environment} has {plan.functions} functions of these names", exit_code=2)
    return rows


def _collect(
    processes: Sequence[BaseProcess], messages: multiprocessing.Queue[Message], console: Console
) -> tuple[list[PermissionRow], PermissionPlan | None]:
    rows: list[PermissionRow] = []
    plan: PermissionPlan | None = None
    with console.status("permissions") as status:
        while any(process.is_alive() for process in processes) or not messages.empty():
            try:
                message = messages.get(timeout=0.5)
            except queue.Empty:
                continue
            match message:
                case PermissionPlan():
                    plan = message
                case PermissionRow():
                    rows.append(message)
                    if not console.is_terminal or message.outcome in BAD:
                        console.print(_line(message), soft_wrap=True)
                case str():
                    done = f"{len(rows)}/{plan.grants}  " if plan else ""
                    status.update(f"{done}[dim]{escape(message)}")
    return rows, plan


def _line(row: PermissionRow) -> str:
    style = _STYLES[row.outcome]
    return f"[{style}]{row.outcome:<10}[/{style}] {row.function}  {row.action}  {escape(row.why)}"


@contextmanager
def _ended(processes: Sequence[BaseProcess], assignments: Iterable[Assignment]) -> Iterator[None]:
    """Stop all workers at the end, even after an error."""
    try:
        yield
    finally:
        # A second Ctrl-C would interrupt the clean-up of the first.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        for process in processes:
            # As at a terminal, where each process also receives the signal: pytest then stops its environment.
            if process.is_alive() and process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        for process in processes:
            if process.pid is not None:
                process.join(max(0.1, deadline - time.monotonic()))
                process.kill()
        for assignment in assignments:
            folder = assignment.folder / assignment.environment
            emulator = Emulator.running(folder, tls=folder / "tls")
            if emulator is not None:
                emulator.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def table(rows: Iterable[PermissionRow]) -> Table:
    """Return the result for every permission; rows with the same reason are combined."""
    result = Table(title="permissions", title_justify="left", box=None, pad_edge=False)
    for name in ("function", "action", "resource", "needed", "test that failed, or reason"):
        result.add_column(name, overflow="fold")
    before = ""
    lines: dict[tuple[str, str, str, str], list[PermissionRow]] = {}
    for row in rows:
        own = "" if row.outcome == "unproven" else f"{row.action} {row.resource}"
        lines.setdefault((row.function, row.outcome, row.why, own), []).append(row)
    for (function, outcome, why, _), alike in lines.items():
        actions = ", ".join(dict.fromkeys(row.action for row in alike))
        resources = ", ".join(dict.fromkeys(_short(row.resource) for row in alike))
        cells = ("" if function == before else function, actions, resources)
        answer = "yes" if outcome == "needed" else outcome
        result.add_row(*map(escape, cells), f"[{_STYLES[outcome]}]{answer}[/]", escape(why))
        before = function
    return result


def summary(rows: Sequence[PermissionRow]) -> str:
    """Return the figures in one line."""
    counts = Counter(row.outcome for row in rows)
    names = len({row.function for row in rows})
    permissions = sum(bool(row.action) for row in rows)
    return (
        f"{permissions} permissions of {names} functions: {counts['needed']} needed, "
        f"{counts['unproven']} unproven here, {counts['NOT NEEDED']} not needed, {counts['FAULT']} faults"
    )


def _short(arn: str) -> str:
    """Return the end of an ARN: everything is in one account and region."""
    return arn.split(":", 5)[-1] if arn.startswith("arn:") else arn
