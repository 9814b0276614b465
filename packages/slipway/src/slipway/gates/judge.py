"""Judge an assembly that lies there: `python -m slipway.gates.judge nag|lint [cdk.out]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from slipway import settings as config
from slipway.gates.packs import packs_of, unit_of
from slipway.nag.terminal import print_report, terminal
from slipway.nag.verdict import judge
from slipway.project import ROOT


def nag(assembly: Path, console: Console) -> int:
    """Print the nag report of an assembly; 1 when it is red."""
    settings = config.load()
    verdict = judge(
        assembly,
        packs_of(settings),
        today=datetime.now(UTC).date(),
        baseline=ROOT / "config" / "baseline.json",
        unit_of=unit_of(settings),
    )
    print_report(verdict, console)
    return int(verdict.red)


def lint(assembly: Path, console: Console) -> int:
    """Run cfn-lint on every template of an assembly, with `.cfnlintrc.yaml`; 1 when it objects or there is none."""
    templates = sorted(assembly.rglob("*.template.json"))
    if not templates:
        console.print(f"{assembly}: no templates; run `make synth`", soft_wrap=True)
        return 1
    command = [
        str(Path(sys.executable).with_name("cfn-lint")),
        "--config-file",
        str(ROOT / ".cfnlintrc.yaml"),
        "--format",
        "parseable",
    ]
    done = subprocess.run([*command, "--", *map(str, templates)], check=False)
    console.print(
        f"cfn-lint: {len(templates)} templates {'pass' if done.returncode == 0 else 'do not pass'}", soft_wrap=True
    )
    return int(done.returncode != 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m slipway.gates.judge", description=__doc__)
    parser.add_argument("gate", choices=("nag", "lint"))
    parser.add_argument("assembly", nargs="?", type=Path, default=Path("cdk.out"), help="default: cdk.out")
    options = parser.parse_args(arguments)
    console = terminal()
    try:
        return {"nag": nag, "lint": lint}[options.gate](options.assembly, console)
    except config.ConfigurationError as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 2


if __name__ == "__main__":
    sys.exit(main())
