"""The contract of services holds for the specimen in every variant, and each contract test detects its breakage."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure import broken
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
            # Wide enough for the longest name and its reason
            "COLUMNS": "500",
            "PYTHONPATH": os.pathsep.join([str(TESTS), str(ROOT), *sys.path]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)
def test_the_specimen_fulfils_the_contract() -> None:
    done = run_contract("infrastructure.subject:specimen")

    assert done.returncode == 0, done.stdout


def template_tests() -> set[str]:
    """Return the contract tests that look at templates."""
    return {
        node.name
        for path in Path(contract.__path__[0]).glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and {"deployment", "deployments"} & {argument.arg for argument in node.args.args}
    }


@pytest.mark.timeout(300)
def test_each_contract_test_detects_its_breakage() -> None:
    # Given a breakage for each test that looks at templates
    assert set(broken.BREAKS) == template_tests()

    # When each test runs on its broken service
    done = run_contract("infrastructure.broken:subject", "-p", "infrastructure.broken", "--tb=no", "-rf")

    # Then each fails, on its own assertion
    red = re.findall(
        r"^FAILED \S+::(test_\w+)\[.*?\] - (?:assert|AssertionError|graphlib.CycleError)\b", done.stdout, re.MULTILINE
    )
    assert sorted(red) == sorted(broken.BREAKS), done.stdout
