"""Run a handler under a debugger: `watch` puts this file beside a function's code.

The function runs from the working tree, so that breakpoints are in the files open in the editor.
"""

import importlib
import json
import os
import sys
from typing import Any

sys.path[:0] = json.loads(os.environ["SLIPWAY_DEBUG_PATH"])


def _listen() -> None:
    debugpy: Any = importlib.import_module("debugpy")
    try:
        debugpy.listen(("127.0.0.1", int(os.environ["SLIPWAY_DEBUG_PORT"])), in_process_debug_adapter=True)
    except Exception as error:  # noqa: BLE001 - a second execution environment answers without a debugger
        sys.stderr.write(f"no debugger here: {error}\n")


_listen()
_module, _, _name = os.environ["SLIPWAY_DEBUGGED"].rpartition(".")
handler = getattr(importlib.import_module(_module), _name)
