"""Measure, print a table, and write `build/bench/results.json`: `python -m bench`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import growth, imports, requests, synth, worst
from bench.rows import Row
from slipway.blocks.assets import AssetError, AssetStore
from slipway.project import ROOT
from slipway.testing.functions import LAMBDA, POWERTOOLS
from slipway.testing.shipped import unpack

RESULTS = ROOT / "build" / "bench" / "results.json"
LAYER_GOAL_MB = 15.0
HANDLERS = {
    folder.parts[-2]: [file.stem for file in sorted(folder.glob("*.py")) if "finished()" in file.read_text("utf-8")]
    for folder in sorted(ROOT.glob("services/*/runtime"))
}
"""Modules with handlers, by service."""

ENVIRONMENT = POWERTOOLS | LAMBDA
for _folder in sorted(ROOT.glob("services/*/tests/unit")):
    ENVIRONMENT |= getattr(import_module(f"services.{_folder.parts[-3]}.tests.unit"), "VARIABLES", {})
"""Variables that handlers read when they are imported; nothing is called."""


def main() -> int:
    """Run from the command line.

    Returns:
        0, even if a goal is missed, since the README states the number; 1 if nothing can be measured.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=9, help="fresh processes for each import (default 9)")
    parser.add_argument("--requests", type=int, default=3000, help="warm requests of each kind (default 3000)")
    parser.add_argument("--growth", action="store_true", help="also build apps of 3, 6 and 9 services (minutes)")
    parser.add_argument("--syntheses", type=int, default=3, help="runs of synth (default 3)")
    options = parser.parse_args()
    console = Console(highlight=False)
    try:
        rows = list(_measure(options, console))
    except (AssetError, RuntimeError) as error:
        console.print(f"nothing measured: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    console.print(_table(rows))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": _machine(), "rows": [_plain(row) for row in rows]}, indent=2) + "\n")
    console.print(f"written to {RESULTS.relative_to(ROOT)}")
    return 0


def _measure(options: argparse.Namespace, console: Console) -> list[Row]:
    store = AssetStore()
    layer = store.record("layer").unzipped_bytes / 1e6
    rows = [Row("layer, unzipped", layer, "MB", LAYER_GOAL_MB, "python3.14 on arm64")]
    for service, modules in HANDLERS.items():
        handlers = [f"services.{service}.runtime.{module}" for module in modules]
        with tempfile.TemporaryDirectory() as folder:
            with console.status(f"unpacking {service}"):
                warm = unpack(Path(folder, "compiled"), store, service=service, compiled=True)
                cold = unpack(Path(folder, "source"), store, service=service, compiled=False)
            if service == "items":
                with console.status(f"requests to {service}"):
                    rows += requests.measure(warm, requests=options.requests, variables=ENVIRONMENT)
            with console.status(f"worst requests to {service}"):
                rows += worst.measure(warm, service, variables=ENVIRONMENT, work=Path(folder))
            with console.status(f"imports of {service}"):
                rows += imports.measure(warm, handlers, runs=options.runs, variables=ENVIRONMENT)
                rows += imports.measure(
                    cold,
                    handlers[:1],
                    runs=options.runs,
                    variables=ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"},
                    # A layer without bytecode is compiled at every cold start, since its folder is read-only
                    note=", our code and layer without bytecode",
                    goal=None,
                )
    with console.status("synth"):
        rows += synth.measure(runs=options.syntheses)
    if options.growth:
        with console.status("growth"):
            rows += growth.rows(growth.measure((3, 6, 9)))
    return rows


def _table(rows: list[Row]) -> Table:
    table = Table(title="bench", title_justify="left", title_style="bold")
    table.add_column("what", overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("goal", justify="right", no_wrap=True)
    table.add_column("")
    table.add_column("behind it", overflow="fold")
    verdicts = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}
    for row in rows:
        goal = "" if row.goal is None else f"≤ {row.goal:g} {row.unit}"
        table.add_row(row.name, f"{row.value:.3g} {row.unit}".strip(), goal, verdicts[row.met], row.detail)
    return table


def _plain(row: Row) -> dict[str, object]:
    return asdict(row) | {"met": row.met}


def _machine() -> dict[str, object]:
    return {"python": platform.python_version(), "platform": platform.platform(), "cpus": os.cpu_count()}


if __name__ == "__main__":
    sys.exit(main())
