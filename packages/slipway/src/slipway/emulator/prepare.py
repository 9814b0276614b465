"""Prepare a rehearsal: assets and an assembly."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from slipway import project
from slipway.emulator.deploy import CDK, failure
from slipway.errors import RehearsalError
from slipway.process import Progress, follow


def prepare(progress: Progress, *, assembly: Path = project.ASSEMBLY) -> None:
    """Build the assets and synthesise, with the commands of `make build` and `make synth`.

    Args:
        progress: Called with each line that they write.
        assembly: Folder for the assembly. Default: `cdk.out`.

    Raises:
        RehearsalError: One of them failed. The message contains its last lines.
    """
    environment = {**os.environ, "CDK_DISABLE_CLI_TELEMETRY": "true"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    commands = (
        ("the build", [sys.executable, "-m", "slipway", "build"]),
        ("the synthesis", [str(CDK), "synth", "**", "--quiet", "--strict", "--output", str(assembly)]),
    )
    project.LOCAL.mkdir(parents=True, exist_ok=True)
    log = assembly.parent / "prepare.log" if assembly != project.ASSEMBLY else project.LOCAL / "prepare.log"
    log.unlink(missing_ok=True)
    # jsii unpacks itself there, and leaves its files behind when it is killed. Each run has its own folder, because two
    # may run at once.
    with tempfile.TemporaryDirectory(dir=project.LOCAL, prefix="tmp-", ignore_cleanup_errors=True) as temporary:
        environment["TMPDIR"] = temporary
        for name, command in commands:
            code, lines = follow(command, folder=project.ROOT, environment=environment, log=log, progress=progress)
            if code != 0:
                raise RehearsalError(f"{name} failed: {failure(lines)} (full log: {log})")
