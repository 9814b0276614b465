"""Import handlers as Lambda would, in a separate process: `watch` runs this and reads the tracebacks it prints."""

import importlib
import json
import os
import sys
import traceback
from typing import Any


def _import(module: str) -> str | None:
    try:
        importlib.import_module(module)
    except BaseException as error:  # noqa: BLE001 - whatever ends an import would also keep the function from starting
        # Frames of this file and of the import system don't help to find the line.
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename != __file__ and "importlib" not in frame.filename
        ]
        text = "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)])
        return f"{module} cannot be imported\n{text.rstrip()}"
    return None


def main() -> None:
    """Read the order from standard input; write the tracebacks as one line of JSON."""
    order: dict[str, Any] = json.loads(sys.stdin.read())
    sys.path[:0] = order["path"]
    problems = []
    for module, variables in order["handlers"]:
        os.environ.update(variables)
        if (problem := _import(module)) is not None:
            problems.append(problem)
    sys.stdout.write("\n" + json.dumps(list(dict.fromkeys(problems))) + "\n")


main()
