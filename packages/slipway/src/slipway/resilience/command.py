"""Break services' dependencies on this machine, and check how the services degrade: `slipway resilience`.

It works on an environment that `slipway up` started. Each fault is planted at the edge of the emulated account, while
every operation is called repeatedly and each answer is checked against the service's document. After the fault has been
lifted, the smoke tests must pass without intervention.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import httpx
import typer
from rich.console import Console

from slipway.attack.target import AttackTarget, find_target
from slipway.emulator.command import EnvironmentOption, local_environment
from slipway.emulator.environment import LocalEnvironment
from slipway.emulator.extensions.faults import write_faults
from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError, UsageError
from slipway.rehearsal.cli import smoke
from slipway.resilience.faults import FAULTS, PlantedFault
from slipway.resilience.probe import find_broken_promise, probe

KILL_SECONDS = 0.5
"""Pause between two kills of a function's environments, seconds: some calls are interrupted, and others complete."""

ROUNDS = 3
"""Number of calls of each operation while a fault is planted."""

RECOVERY_SECONDS = 60
"""Seconds that a service may take to recover, in which its queues retry failed messages."""


@dataclass(frozen=True)
class Endured:
    """Result of a service under one fault.

    Attributes:
        service: Its name.
        fault: The fault.
        answers: Number of called operations.
        refused: Number of 5xx answers among them.
        broken: Broken promises of its document.
    """

    service: str
    fault: PlantedFault
    answers: int
    refused: int
    broken: tuple[str, ...]

    def __str__(self) -> str:
        """Return the result in one line."""
        kept = "degrades as it promises" if not self.broken else f"breaks {len(self.broken)} promises"
        return f"{self.service}: {self.fault.says}: {kept} ({self.answers} answers, {self.refused} of them 5xx)"


@contextmanager
def planted(emulator: Emulator, fault: PlantedFault) -> Iterator[None]:
    """Plant a fault, and lift it at the end.

    Args:
        emulator: The account.
        fault: The fault.
    """
    lifted = threading.Event()

    def kill() -> None:
        while not lifted.wait(KILL_SECONDS):
            emulator.recycle()

    killer = threading.Thread(target=kill, daemon=True)
    write_faults(emulator.faults_file, {fault.name: fault.edge} if fault.edge else {})
    try:
        if fault.kills:
            killer.start()
        yield
    finally:
        lifted.set()
        if fault.kills:
            killer.join()
        write_faults(emulator.faults_file, {})


def endure(service: AttackTarget, emulator: Emulator, client: httpx.Client, fault: PlantedFault) -> Endured:
    """Call a service while a fault is planted, and judge its answers.

    Args:
        service: The service.
        emulator: Its account.
        client: Sends the requests.
        fault: The fault.
    """
    with planted(emulator, fault):
        answers = [answer for _ in range(ROUNDS) for answer in probe(service, client)]
    found = (find_broken_promise(answer, service, absorbed=fault.absorbed) for answer in answers)
    broken = tuple(dict.fromkeys(each for each in found if each))
    return Endured(service.service, fault, len(answers), sum(each.status >= 500 for each in answers), broken)


def recover(local: LocalEnvironment) -> str | None:
    """Return the failure of a service that doesn't recover from a fault; None once its smoke tests pass.

    Args:
        local: The environment.
    """
    end = time.monotonic() + RECOVERY_SECONDS
    while fault := smoke(local, local.credentials(), lambda _: None):
        if time.monotonic() > end:
            return fault
    return None


def resilience(
    env: EnvironmentOption,
    service: Annotated[
        list[str] | None, typer.Option(help="Service; may be repeated. Default: all that are up.")
    ] = None,
    fault: Annotated[list[str] | None, typer.Option(help="Fault; may be repeated. Default: all.")] = None,
) -> None:
    """Break services' dependencies on this machine, and check that the services degrade as promised.

    Exit code: 0 if every service keeps its promises and recovers, 1 if one does not, 2 for an unknown fault.
    """
    local, console = local_environment(env), Console(soft_wrap=True, highlight=False)
    failed = False
    targets = _targets(local, service)
    with local.emulator.http(timeout=60) as client:
        for each in _chosen(fault):
            for target in targets:
                endured = endure(target, local.emulator, client, each)
                console.print(str(endured), markup=False)
                for broken in endured.broken:
                    console.print(f"  {broken}", markup=False)
                failed = failed or bool(endured.broken)
            if left := recover(local):
                console.print(f"  does not recover: {left}", markup=False)
                failed = True
    raise typer.Exit(int(failed))


def _chosen(names: Sequence[str] | None) -> list[PlantedFault]:
    known = {each.name: each for each in FAULTS}
    if unknown := [name for name in names or () if name not in known]:
        raise UsageError(f"unknown fault {unknown[0]!r}; choose from {', '.join(known)}")
    return [known[name] for name in names or known]


def _targets(local: LocalEnvironment, services: Sequence[str] | None) -> list[AttackTarget]:
    outputs, session = local.outputs(), local.emulator.session(local.credentials())
    if missing := [name for name in services or () if name not in outputs]:
        raise RehearsalError(f"{missing[0]} is not up: run `slipway up --service {missing[0]}`")
    found = (find_target(name, session, outputs[name]) for name in services or sorted(outputs))
    targets = [target for target in found if target is not None]
    if not targets:
        raise RehearsalError("no service with an API is up")
    return targets
