"""Load what ships in pyodide's Python, which has `/work` mounted; `test_gate_assets` runs this there."""

import importlib
import json
import marshal
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

WORK = Path("/mnt/build")
PLACES = {WORK / "task": "/var/task", WORK / "opt": "/opt"}

compiled: list[str] = []


def _refuse(_: SourceFileLoader, data: object, path: str, **options: Any) -> Any:
    compiled.append(path)
    raise ImportError(f"{path} has no bytecode that this interpreter takes")


def _load() -> tuple[int, list[str]]:
    """Return the number of loaded bytecode files, and those whose code names another file than in Lambda."""
    loaded, misnamed = 0, []
    for folder, place in PLACES.items():
        for path in folder.rglob("*.pyc"):
            code = marshal.loads(path.read_bytes()[16:])  # noqa: S302 - what was just built here  # nosec B302  # bytecode that this build wrote
            source = path.parent.parent / f"{path.name.partition('.')[0]}.py"
            if code.co_filename != f"{place}/{source.relative_to(folder)}":
                misnamed.append(str(path))
            loaded += 1
    return loaded, misnamed


def main() -> None:
    """Write the result to `found.json`."""
    loaded, misnamed = _load()
    SourceFileLoader.source_to_code = _refuse  # type: ignore[method-assign, assignment]
    sys.path[:0] = [str(WORK / "task"), str(WORK / "opt" / "python")]
    for name in json.loads((WORK / "imports.json").read_text()):
        importlib.import_module(name)
    found = {
        "version": sys.version,
        "loaded": loaded,
        "misnamed": misnamed,
        "compiled": compiled,
        "from_bytecode": [
            name
            for name, module in sys.modules.items()
            if str(getattr(module, "__cached__", "")).startswith("/mnt/build")
        ],
    }
    (WORK / "found.json").write_text(json.dumps(found))


main()
