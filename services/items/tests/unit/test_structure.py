"""What importing the functions' modules costs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.items.tests.unit import VARIABLES
from slipway.testing.functions import LAMBDA, POWERTOOLS

ROOT = Path(__file__).parents[4]


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
