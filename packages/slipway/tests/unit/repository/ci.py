"""Runs the pipeline build's single command with a fake `make` that records its arguments."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from slipway.project import ROOT

RUN = ROOT / ".ci" / "run"


def ran(
    folder: Path, verbs: str | None, *, failing: str = "none", script: Path | str = RUN, **variables: str
) -> tuple[int, list[str]]:
    """Return the exit code and the verbs that ran, with their arguments, as recorded by a fake `make`."""
    program = folder / "make"
    program.write_text(f'#!/bin/sh\necho "$*" >> "{folder}/verbs"\n[ "$1" != {failing} ]\n', encoding="utf-8")
    program.chmod(0o755)
    environ = {
        "PATH": f"{folder}:{os.defpath}",
        "CODEBUILD_BUILD_ID": "a:1",
        **({} if verbs is None else {"CI_VERBS": verbs}),
        **variables,
    }
    done = subprocess.run([script], env=environ, capture_output=True, text=True, check=False)
    return done.returncode, (folder / "verbs").read_text(encoding="utf-8").splitlines()
