"""Run rules over an assembly of any CDK app: `slipway nag` and `slipway rules`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.nag.anywhere import Ruling, judge_assembly, only_aws
from slipway.nag.names import PACKS
from slipway.nag.ruling import print_ruling, ruling_as_json, ruling_as_sarif
from slipway.nag.terminal import terminal

_SHOWN_AT: Final = "cdk.json"

Assembly = Annotated[Path, typer.Argument(metavar="[ASSEMBLY]", help="Folder of the assembly, written by `cdk synth`.")]
SarifFile = Annotated[
    Path | None, typer.Option("--sarif", metavar="FILE", help="Write SARIF 2.1.0 for code scanning. Default: no file.")
]


def nag(
    assembly: Assembly = Path("cdk.out"),
    *,
    pack: Annotated[
        list[str] | None,
        typer.Option(
            "--pack",
            metavar="NAME",
            help=f"Pack to run, one of {', '.join(PACKS)}; may be repeated. Default: AwsSolutions.",
        ),
    ] = None,
    warnings: Annotated[bool, typer.Option("--warnings/--no-warnings", help="Fail on warnings too.")] = True,
    json_file: JsonOption = None,
    sarif_file: SarifFile = None,
) -> None:
    """Run cdk-nag's rule packs on an assembly of a CDK app in any language (default: AwsSolutions).

    The app's own acknowledgements, in the format of cdk-nag 2 or of CDK, are honoured.

    Exit code: 0 without findings, 1 with findings, 2 if a pack or a template cannot be evaluated.
    """
    names = pack or [PACKS[0]]
    unknown = [name for name in names if name not in PACKS]
    if unknown:
        raise typer.BadParameter(f"unknown pack {', '.join(unknown)}; choose from {', '.join(PACKS)}")
    _judge(assembly, "slipway nag", packs=names, warnings=warnings, json_file=json_file, sarif_file=sarif_file)


def rules(assembly: Assembly = Path("cdk.out"), *, json_file: JsonOption = None, sarif_file: SarifFile = None) -> None:
    """Check an assembly of a CDK app in any language for mistakes that otherwise only a deployment shows.

    Exit code: 0 without findings, 1 with findings, 2 if the assembly cannot be evaluated.
    """
    _judge(assembly, "slipway rules", packs=(), warnings=True, json_file=json_file, sarif_file=sarif_file)


def _judge(
    assembly: Path,
    verb: str,
    *,
    packs: Sequence[str],
    warnings: bool,
    json_file: Path | None,
    sarif_file: Path | None,
) -> None:
    console = terminal()
    for path in (json_file, sarif_file):
        output.forget(path)
    ruling: Ruling = judge_assembly(assembly, packs, () if packs else (only_aws(),))
    for path, content in (
        (json_file, ruling_as_json(ruling, verb=verb)),
        (sarif_file, ruling_as_sarif(ruling, verb=verb, at=_SHOWN_AT)),
    ):
        if path is not None:
            output.write(content, path)
    print_ruling(ruling, console, verb=verb)
    raise typer.Exit(ruling.exit_code(warnings=warnings))
