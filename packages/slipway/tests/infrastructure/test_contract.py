"""The contract of services holds for the specimen in every variant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.project import ROOT
from slipway.testing import contract

TESTS = Path(__file__).parents[1]


def run_contract(subject: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the suite as an app does, on another subject."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", contract.__name__, "--pyargs", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "SLIPWAY_SUBJECT": subject,
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(ROOT), *sys.path]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)
def test_the_specimen_keeps_the_contract() -> None:
    done = run_contract("infrastructure.subject:specimen")

    assert done.returncode == 0, done.stdout
