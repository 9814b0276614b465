"""The tool's local tests deploy its own specimen, and none of the app's services."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from filelock import FileLock

import specimen
from slipway.emulator.environment import LocalEnvironment
from slipway.emulator.server import isolate
from slipway.testing.emulated import FOLDER, TESTS


@pytest.fixture(scope="session")
def project() -> Path:
    """Create a project of the specimen, built and synthesised by the first process of a run; the others wait for it."""
    folder, made_by = TESTS / "specimen", TESTS / "specimen.run"
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    TESTS.mkdir(parents=True, exist_ok=True)
    with FileLock(TESTS / "specimen.lock"):
        if not made_by.is_file() or made_by.read_text(encoding="utf-8") != run:
            shutil.rmtree(folder, ignore_errors=True)
            specimen.checkout(folder)
            variables = {
                **os.environ,
                "SLIPWAY_PROJECT": str(folder),
                "CDK_OUTDIR": str(folder / "cdk.out"),
                # The gates have their own tests
                "CDK_VALIDATION": "false",
            }
            for command in (["-m", "slipway", "build"], ["-O", "app.py"]):
                subprocess.run([sys.executable, *command], cwd=folder, env=variables, check=True, capture_output=True)
            made_by.write_text(run, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def assembly(project: Path) -> Path:
    """Return the cloud assembly of the specimen."""
    return project / "cdk.out"


@pytest.fixture(scope="session")
def local(project: Path, assembly: Path) -> Iterator[LocalEnvironment]:
    """Deploy the specimen's first environment with every service; it is deleted at the end of the session."""
    isolate()
    folder, settings = FOLDER / "specimen", specimen.SETTINGS
    # Left behind by a killed session
    LocalEnvironment(specimen.DEV, settings.pipeline, folder=folder, port=0).stop()
    found = LocalEnvironment(specimen.DEV, settings.pipeline, folder=folder, port=0, assembly=assembly)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slipway.project.ROOT", project)
        try:
            found.start()
            found.caller(found.deploy((), lambda _: nullcontext(lambda _: None)).outputs)
            yield found
        finally:
            found.stop()
