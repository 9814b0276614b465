"""Sandboxes on this machine: each has its own emulator, account, ports and folder."""

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

from slipway import files, project
from slipway.emulator.deploy import failure
from slipway.emulator.environment import DeploymentResult, LocalEnvironment, Phase
from slipway.emulator.server import Emulator, holder_of
from slipway.errors import RehearsalError
from slipway.narrowing import NARROWED
from slipway.process import Progress, follow
from slipway.settings import Settings
from slipway.settings.sandbox import WantedSandbox, derive, own_account

FOLDER = project.LOCAL / "sandboxes"
"""Folder of the sandboxes."""

ENVIRONMENT = "environment"
"""Folder of the emulator within that of the sandbox."""

GONE_SECONDS = 10.0
"""Seconds that a killed process may take to end."""


@dataclass(frozen=True)
class SandboxState:
    """A sandbox in the list of `slipway sandbox list`.

    Attributes:
        name: Its name.
        environment: Name of its environment.
        account: Its account.
        state: `up`, `down` if its emulator doesn't run any more, or `does not answer`.
        endpoint: Endpoint of its APIs; empty if it isn't up.
        pid: Process of its emulator; None if it doesn't run.
        services: Deployed services.
        folder: Folder of its data.
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
        settings: The configuration, without the sandbox.
        name: Name of the sandbox.
        of: Name of the development environment with its settings.
        port: TLS port; plain HTTP is one above. Default: free ones.

    Raises:
        SandboxError: The name or the environment is not allowed.
    """

    def __init__(self, settings: Settings, name: str, *, of: str, port: int | None = None) -> None:
        self.wanted = WantedSandbox(name, of, account=own_account(name))
        derived = derive(settings, self.wanted)
        self.folder = FOLDER / name
        (environment,) = derived.environments
        self.local = LocalEnvironment(
            environment,
            derived.pipeline,
            # In a subfolder, because the CLI's home folder is beside the emulator's.
            folder=self.folder / ENVIRONMENT,
            port=port or 0,
            assembly=self.folder / "cdk.out",
        )

    def prepare(self, services: Sequence[str], progress: Progress) -> None:
        """Build the assets and synthesise the sandbox. The gates don't run, because they judge deliveries.

        Args:
            services: Names of its services; empty for all.
            progress: Called with each line of the commands.

        Raises:
            RehearsalError: A command failed. The message contains its last lines.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        root = project.ROOT
        variables = {
            **os.environ,
            **self.wanted.variables,
            project.VARIABLE: str(root),
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
        # jsii unpacks itself there, and leaves its files behind when it is killed.
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="tmp-", ignore_cleanup_errors=True) as temporary:
            variables["TMPDIR"] = temporary
            for name, command in commands:
                # One build at a time, because the sandboxes of a checkout share its output.
                with FileLock(FOLDER.with_name("sandboxes.lock")):
                    code, lines = follow(command, folder=root, environment=variables, log=log, progress=progress)
                if code != 0:
                    raise RehearsalError(f"{name} failed: {failure(lines)} (full log: {log})")

    def up(self, services: Sequence[str], phase: Phase) -> DeploymentResult:
        """Start it, or update it.

        Args:
            services: Names of its services; empty for all.
            phase: Opens a step of the work.

        Raises:
            RehearsalError: It failed. Everything that this call has started is stopped again.
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
        files.write_json(self.folder / "sandbox.json", content)


def listed(folder: Path = FOLDER) -> Iterator[SandboxState]:
    """Yield the sandboxes on this machine, by name.

    Args:
        folder: Folder of the sandboxes. Default: `build/local/sandboxes`.
    """
    for noted in sorted(folder.glob("*/sandbox.json")):
        home = noted.parent
        content: Mapping[str, Any] = files.read_json(noted) or {}
        emulator = _emulator(home)
        state = "down" if emulator is None else "up" if emulator.healthy() else "does not answer"
        deployed = files.read_json(home / ENVIRONMENT / "outputs.json") or {}
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
    """Delete a sandbox: its processes, its account and its files.

    Args:
        name: Name of the sandbox.
        folder: Folder of the sandboxes. Default: `build/local/sandboxes`.

    Returns:
        False if it did not exist.

    Raises:
        RehearsalError: Something is left. The message names it.
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
        raise RehearsalError(f"{name} is not completely deleted: {'; '.join(left)}")
    with suppress(OSError):
        folder.rmdir()  # Only an empty one.
    return True


def _emulator(home: Path) -> Emulator | None:
    return Emulator.running(home / ENVIRONMENT, tls=home / ENVIRONMENT / "tls")


def _left(home: Path, ports: Iterable[int]) -> Iterator[str]:
    """Yield the leftovers of a deleted sandbox."""
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
