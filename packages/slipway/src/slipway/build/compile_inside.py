"""Compile the sources in `/mnt/build`, inside pyodide. `bytecode` runs this module there; nothing imports it."""

import json
import py_compile
import sys
import warnings
from pathlib import Path

WORK = Path("/mnt/build")


def compile_sources(names: list[str]) -> list[str]:
    """Write the bytecode of each source, and return the errors of those that cannot be compiled."""
    problems = []
    for number, name in enumerate(names):
        try:
            py_compile.compile(
                str(WORK / "sources" / str(number)),
                cfile=str(WORK / "compiled" / str(number)),
                dfile=name,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError as error:
            problems.append(f"{name}: {' '.join(error.msg.split())}")
    return problems


def main() -> None:
    """Compile what `order.json` lists, and write `problems.json`."""
    # Warnings about the syntax of packages are not useful here.
    warnings.simplefilter("ignore")
    order = json.loads((WORK / "order.json").read_text())
    if list(sys.version_info[:2]) == order["python"]:
        problems = compile_sources(order["names"])
    else:
        wanted = ".".join(map(str, order["python"]))
        problems = [f"the compiler is Python {sys.version.split()[0]}, but functions run on {wanted}"]
    (WORK / "problems.json").write_text(json.dumps(problems))


main()
