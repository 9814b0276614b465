#!/usr/bin/env python3
"""What is deployed where: read `config/`, name the services, build the app, judge it.

`make synth`, `cdk synth` and the pipeline all run this file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from aws_cdk import App
from rich.console import Console

from pipeline.delivery import PipelineStack
from services.ingest.infrastructure import Ingest
from services.items.infrastructure import Items
from services.processing.infrastructure import Processing
from slipway import settings as config
from slipway.blocks.assets import AssetError, AssetStore
from slipway.gates.packs import packs_of
from slipway.nag.baseline import write_baseline
from slipway.nag.exports import write_all
from slipway.nag.packs import CONTEXT, register
from slipway.nag.terminal import print_report
from slipway.nag.verdict import judge
from slipway.rules.aws.pack import OnlyAwsRules
from slipway.rules.pack import SlipwayRules
from slipway.service import Service
from slipway.settings import ConfigurationError, Problem, Settings

SERVICES: Sequence[type[Service]] = (Items, Ingest, Processing)
"""What every environment gets, side by side."""

ONLY = "SLIPWAY_SERVICES"
"""Variable with names of services: a rehearsal of some of them builds the app with these alone. Default: all."""

CDK_JSON = Path(__file__).with_name("cdk.json")
REPORT = Path(__file__).parent / "build" / "report"
"""Where the gate's verdict is written, in every format."""

RUNBOOKS = Path(__file__).parent / "docs" / "runbooks"

BASELINE = Path(__file__).parent / "config" / "baseline.json"
"""How many findings are accepted; `make baseline` writes it."""


def build(
    settings: Settings,
    assets: AssetStore,
    *,
    outdir: str | None = None,
    services: Sequence[type[Service]] | None = None,
) -> App:
    """The whole app, not yet synthesised.

    Args:
        settings: all of `config/`.
        assets: the built assets.
        outdir: where the assembly goes. Default: where the CDK CLI asks for it, else a temporary folder.
        services: what every environment gets. Default: what `SLIPWAY_SERVICES` names, else all of them.
    """
    app = App(
        outdir=outdir,
        # The CDK CLI hands these over itself; without it (tests, `python app.py`) they are the same.
        context=json.loads(CDK_JSON.read_text(encoding="utf-8"))["context"],
        # Not by a synthesizer of our own: one instance cannot serve stages of several accounts.
        post_cli_context={
            **CONTEXT,
            "@aws-cdk/core:bootstrapQualifier": settings.pipeline.qualifier,
            # Who deploys may make no role without it: docs/bootstrap.md.
            "@aws-cdk/core:permissionsBoundary": {"name": settings.pipeline.permissions_boundary},
        },
    )
    if services is None:
        services = chosen(os.environ.get(ONLY, ""))
    PipelineStack(app, "Pipeline", settings=settings, services=services, assets=assets)
    return app


def chosen(names: str) -> Sequence[type[Service]]:
    """The services of these names, all of them when there is none.

    Args:
        names: with spaces between them.

    Raises:
        ConfigurationError: there is no service of a name.
    """
    known = {service.name: service for service in SERVICES}
    strangers = [
        Problem("app.py", ONLY, repr(name), f"is no service; there are {', '.join(known)}")
        for name in names.split()
        if name not in known
    ]
    if strangers:
        raise ConfigurationError(strangers)
    return [known[name] for name in names.split()] or SERVICES


def main(*, new_baseline: bool = False) -> int:
    """Synthesise and judge.

    Args:
        new_baseline: take what is accepted now as the new baseline, unless the gate is red for another reason.
            Default: compare with the committed one.

    Returns:
        0 when the gate is green; 1 when it is red; 2 when the configuration or the assets cannot be used.
    """
    some = os.environ.get(ONLY, "")
    if new_baseline and some:
        return _refused(f"{ONLY} = {some!r}: leaves services out, which a baseline must not")
    try:
        settings = config.load()
        app = build(settings, AssetStore())
    except (ConfigurationError, AssetError) as error:
        return _refused(str(error))
    packs = packs_of(settings)
    register(app, packs, own=[OnlyAwsRules(), SlipwayRules(settings, RUNBOOKS)])
    started = datetime.now(UTC)
    assembly = Path(app.synth().directory)
    verdict = judge(
        assembly,
        packs,
        today=started.date(),
        since=started.timestamp(),
        baseline=None if new_baseline else BASELINE,
        complete=not some,
    )
    print_report(verdict)
    write_all(verdict, REPORT)
    if new_baseline and not verdict.red:
        write_baseline(BASELINE, verdict.counts)
    return 1 if verdict.red else 0


def _refused(why: str) -> int:
    Console(stderr=True, soft_wrap=True).print(why, markup=False, highlight=False)
    return 2


if __name__ == "__main__":
    sys.exit(main(new_baseline="--baseline" in sys.argv[1:]))
