"""Sandboxes on this machine: each has an emulator, an account, ports and a folder of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from slipway import paths
from slipway.emulator.deploy import failure
from slipway.emulator.environment import DeploymentResult, LocalEnvironment, Phase
from slipway.emulator.server import Emulator, holder_of
from slipway.errors import RehearsalError
from slipway.narrowing import NARROWED
from slipway.process import Progress, follow
from slipway.settings import Settings
from slipway.settings.sandbox import WantedSandbox, derive, own_account

FOLDER = paths.LOCAL / "sandboxes"
"""A folder for each sandbox."""

ENVIRONMENT = "environment"
"""Folder of the emulator within that of the sandbox."""

GONE_SECONDS = 10.0
"""How long a killed process may take to be gone."""


@dataclass(frozen=True)
class SandboxState:
    """A sandbox as `slipway sandbox list` shows it.

    Attributes:
        name: its own.
        environment: name of its environment.
        account: its account.
        state: `up`, `down` for one whose emulator doesn't run any more, or `does not answer`.
        endpoint: where its APIs answer; empty if they don't.
        pid: process of its emulator; None if it doesn't run.
        services: what is deployed.
        folder: where everything of it is.
    """

    name: str
    environment: str
    account: str
    state: str
    endpoint: str
    pid: int | None
    services: tuple[str, ...]
    folder: str


class LocalSandbox:
    """A sandbox on this machine.

    Args:
        settings: the configuration, without the sandbox.
        name: of the sandbox.
        of: name of the development environment whose settings it has.
        port: TLS port; plain HTTP is one above. Default: free ones.

    Raises:
        SandboxError: there can't be such a sandbox.
    """

    def __init__(self, settings: Settings, name: str, *, of: str, port: int | None = None) -> None:
        self.wanted = WantedSandbox(name, of, account=own_account(name))
        derived = derive(settings, self.wanted)
        self.folder = FOLDER / name
        (environment,) = derived.environments
        self.local = LocalEnvironment(
            environment,
            derived.pipeline,
            # Within the sandbox's own, since the CLI's home folder lies beside it.
            folder=self.folder / ENVIRONMENT,
            port=port or 0,
            assembly=self.folder / "cdk.out",
        )

    def prepare(self, services: Sequence[str], progress: Progress) -> None:
        """Build what ships, and synthesise the sandbox. The gates judge what the pipeline delivers, and not this.

        Args:
            services: those that it gets; none for all.
            progress: is called with each line of the commands.

        Raises:
            RehearsalError: a command failed; the message holds its last words.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        variables = {
            **os.environ,
            **self.wanted.variables,
            "SLIPWAY_PROJECT": str(paths.ROOT),
            "CDK_VALIDATION": "false",
            "CDK_OUTDIR": str(self.local.assembly),
            **({NARROWED: " ".join(services)} if services else {}),
        }
        log = self.folder / "prepare.log"
        log.unlink(missing_ok=True)
        commands = (
            ("the build", [sys.executable, "-m", "slipway", "build"]),
            ("the synthesis", [sys.executable, "-O", "app.py"]),
        )
        # jsii unpacks itself there, and leaves it when it is killed.
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="tmp-", ignore_cleanup_errors=True) as temporary:
            variables["TMPDIR"] = temporary
            for name, command in commands:
                # One build at a time: the sandboxes of a checkout share what it makes.
                with FileLock(FOLDER.with_name("sandboxes.lock")):
                    code, lines = follow(command, folder=paths.ROOT, environment=variables, log=log, progress=progress)
                if code != 0:
                    raise RehearsalError(f"{name} failed: {failure(lines)} (all of it: {log})")

    def up(self, services: Sequence[str], phase: Phase) -> DeploymentResult:
        """Bring it up, or bring it up to date.

        Args:
            services: those that it gets; none for all.
            phase: opens a step of the work.

        Raises:
            RehearsalError: it can't be; what this call has started is stopped again.
        """
        with self.local.emulator.lock():
            self.local.check()
            started = False
            try:
                with phase("build and synth") as progress:
                    self.prepare(services, progress)
                with phase("start emulator"):
                    started = self.local.start()
                self._note()
                deployed = self.local.deploy(services, phase)
                with phase("caller"):
                    self.local.caller(deployed.outputs)
            except BaseException:
                if started:
                    self.local.stop()
                raise
        return deployed

    def _note(self) -> None:
        content = {"of": self.wanted.of, "environment": self.local.name, "account": self.local.environment.account}
        paths.write_json(self.folder / "sandbox.json", content)


def listed(folder: Path = FOLDER) -> Iterator[SandboxState]:
    """Yield the sandboxes on this machine, by name.

    Args:
        folder: where they are. Default: `build/local/sandboxes`.
    """
    for noted in sorted(folder.glob("*/sandbox.json")):
        home = noted.parent
        content: Mapping[str, Any] = paths.read_json(noted) or {}
        emulator = _emulator(home)
        state = "down" if emulator is None else "up" if emulator.healthy() else "does not answer"
        deployed = paths.read_json(home / ENVIRONMENT / "outputs.json") or {}
        yield SandboxState(
            name=home.name,
            environment=content.get("environment", ""),
            account=content.get("account", ""),
            state=state,
            endpoint="" if emulator is None else emulator.endpoint,
            pid=None if emulator is None else emulator.pid,
            services=tuple(sorted(deployed.keys() - {"foundation"})),
            folder=str(home),
        )


def take_down(name: str, folder: Path = FOLDER) -> bool:
    """End a sandbox: its processes, its account and its files. What is left is an error.

    Args:
        name: of the sandbox.
        folder: where the sandboxes are. Default: `build/local/sandboxes`.

    Returns:
        False if it did not exist.

    Raises:
        RehearsalError: something of it is still there; the message names it.
    """
    home = folder / name
    if not name or home.parent != folder or not home.is_dir():
        return False
    emulator = _emulator(home)
    ports: tuple[int, ...] = ()
    if emulator is not None:
        ports = (emulator.port, emulator.plain_port)
        with emulator.lock(seconds=10):
            emulator.stop()
    shutil.rmtree(home, ignore_errors=True)
    if left := list(_left(home, ports)):
        raise RehearsalError(f"{name} is not wholly gone: {'; '.join(left)}")
    with suppress(OSError):
        folder.rmdir()  # Only an empty one.
    return True


def _emulator(home: Path) -> Emulator | None:
    return Emulator.running(home / ENVIRONMENT, tls=home / ENVIRONMENT / "tls")


def _left(home: Path, ports: Iterable[int]) -> Iterator[str]:
    """Yield what is still there of a sandbox that was taken down."""
    if home.exists():
        yield f"the folder {home}"
    deadline = time.monotonic() + GONE_SECONDS
    while (processes := _processes_in(home)) and time.monotonic() < deadline:
        time.sleep(0.1)
    yield from (f"the process {process.pid}" for process in processes)
    yield from (f"port {port}, held by {holder}" for port in ports if (holder := holder_of(port)) is not None)


def _processes_in(home: Path) -> list[psutil.Process]:
    """Return the processes that work in a folder, or name it in their command line."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            works = process.pid != os.getpid() and (
                any(word.startswith(f"{home}/") for word in words) or Path(process.cwd()).is_relative_to(home)
            )
            if works:
                found.append(process)
    return found


def as_json(sandboxes: Iterable[SandboxState]) -> list[dict[str, Any]]:
    """Return sandboxes as `--json` writes them."""
    return [asdict(each) for each in sandboxes]
