"""What the functions' modules may import, and what importing them costs."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.items.tests.unit import VARIABLES
from slipway.testing.functions import LAMBDA, POWERTOOLS

ROOT = Path(__file__).parents[4]
SERVICES = ROOT / "services"
RUNTIME = sorted(path for path in SERVICES.rglob("*.py") if "runtime" in path.parts or "common" in path.parts)
IN_LAMBDA = {"aws_lambda_powertools", "pydantic", "pydantic_core", "boto3", "botocore", "services", "slipway_runtime"}


def imported(path: Path) -> set[str]:
    """The top-level packages a module imports, those for type checking apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", RUNTIME, ids=lambda path: str(path.relative_to(SERVICES)))
def test_the_runtime_imports_what_lambda_has(path: Path) -> None:
    assert imported(path) - set(sys.stdlib_module_names) <= IN_LAMBDA


def modules_after(module: str) -> set[str]:
    """What is loaded after a handler's module is, in a process of its own."""
    code = f"import sys, {module}; print(*sys.modules); import gc; assert gc.isenabled()"
    environment = (
        {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT}/packages/slipway-runtime/src"}
        | POWERTOOLS
        | LAMBDA
        | VARIABLES
    )
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    return set(completed.stdout.split())


@pytest.mark.parametrize("handler", ["stream", "rotation", "hooks"])
def test_functions_without_routes_load_neither_models_nor_routing(handler: str) -> None:
    loaded = modules_after(f"services.items.runtime.{handler}")
    assert not loaded & {"pydantic", "aws_lambda_powertools.event_handler"}
