"""The wheels, in an empty folder with nothing of the repository near: a first app, to prod, and its first review.

`make installed` runs it; the packages come from the indexes or from uv's cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.project import ROOT

APP = "shop"
SERVICE = "items"
PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
"""The interpreter that the virtual environment was created from."""

_OURS = ("PYTHONPATH", "VIRTUAL_ENV", "SLIPWAY_PROJECT", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""Variables through which a process would find this repository."""


def _run(folder: Path, *command: str | Path, code: int = 0) -> str:
    """Run a command like a user without a checkout of this repository, and return its output."""
    environ = {name: value for name, value in os.environ.items() if name not in _OURS} | {
        "PATH": f"{PYTHON.parent}:{os.defpath}"
    }
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == code, f"{command}: exit code {done.returncode}\n{said[-4000:]}"
    return said


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Create an empty folder, and shut down everything launched in it afterwards."""
    yield tmp_path
    if (tmp_path / APP / ".venv").is_dir():
        _run(tmp_path / APP, "make", "forget")


@pytest.fixture
def tool(home: Path) -> Path:
    """Install the command line from the wheels, with the locked dependencies."""
    venv, wheels = home / "tool", home / "wheels"
    # Built with the checkout's own tools; everything after this is independent of it
    subprocess.run(["make", "wheels", f"WHEELS={wheels}"], cwd=ROOT, check=True, capture_output=True)
    uv = (sys.executable, "-m", "uv")
    _run(home, *uv, "venv", "--quiet", "--python", PYTHON, venv)
    install = (*uv, "pip", "install", "--quiet", "--python", venv / "bin" / "python")
    _run(home, *install, "--constraint", ROOT / "requirements" / "dev.txt", *sorted(wheels.glob("*.whl")))
    return venv / "bin" / "slipway"


def test_first_app_is_delivered_and_reviewed(home: Path, tool: Path, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    app = home / APP

    def took(what: str) -> None:
        say(f"{what} after {time.monotonic() - started:.0f} s")

    # Given a new app with one service and its own accounts
    _run(home, tool, "init", APP, "--service", SERVICE, "--account", "dev=310987654321")
    _run(app, "make", "install", "baseline")
    # Its accepted findings are those that came with the service
    assert _run(app, "git", "status", "--porcelain") == ""
    took("app")

    # When it is rehearsed, then it reaches prod
    assert "prod" in _run(app, "make", "rehearse", "APPROVE=yes")
    assert (app / "build" / "rehearsal" / "index.html").is_file()
    took("prod")

    # And the installed review, which has no CDK, stops a change that replaces a table
    after = home / "after"
    shutil.copytree(app / "cdk.out", after)
    table = _replace_table(after)
    said = _run(home, tool, "review", app / "cdk.out", after, code=1)
    assert "stateful-replaced" in said
    assert table in said
    took("review")


def _replace_table(assembly: Path) -> str:
    """Change the key of the first table of an assembly, and return the name of its stack."""
    for file in sorted(assembly.rglob("*.template.json")):
        template = json.loads(file.read_text(encoding="utf-8"))
        for resource in template.get("Resources", {}).values():
            if resource["Type"] == "AWS::DynamoDB::Table":
                resource["Properties"]["KeySchema"][0]["AttributeName"] = "another"
                file.write_text(json.dumps(template), encoding="utf-8")
                return file.name.partition(".")[0]
    raise AssertionError("no table")
