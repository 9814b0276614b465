"""Build, check and write what `app.py` names: the pipeline and the services."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aws_cdk import App
from rich.console import Console

from slipway import settings as config
from slipway.blocks.assets import AssetStore
from slipway.delivery.names import too_long
from slipway.errors import SlipwayError
from slipway.gates.packs import packs_of, unit_of
from slipway.nag.baseline import write_baseline
from slipway.nag.exports import write_all
from slipway.nag.packs import CONTEXT, prepare, register
from slipway.nag.terminal import print_report
from slipway.nag.verdict import judge
from slipway.narrowing import NARROWED, narrowed_to
from slipway.project import ROOT
from slipway.rules.aws.pack import OnlyAwsRules
from slipway.rules.pack import SlipwayRules
from slipway.service import Service
from slipway.settings import ConfigurationError, Problem, Settings
from slipway.settings.groups import GROUP, selected

JUDGED = "CDK_VALIDATION"
"""Environment variable with which the CDK CLI disables validation: `false` writes the assembly without the gates."""

CDK_JSON = ROOT / "cdk.json"
FEATURE_FLAGS = Path(__file__).with_name("feature_flags.json")
"""CDK's feature flags that the blocks are written for and tested with."""

REPORT = ROOT / "build" / "report"
"""Folder of the verdict, in every format."""

RUNBOOKS = ROOT / "docs" / "runbooks"
BASELINE = ROOT
"""Project in which `make baseline` writes the accepted findings by place, and the gate compares them."""


def context() -> dict[str, Any]:
    """Return the context of the app: CDK's feature flags, as changed and extended by `cdk.json`.

    The CDK CLI passes the context of `cdk.json` itself; without the CLI (tests, `python app.py`) the values are the
    same.
    """
    files = (FEATURE_FLAGS.read_text(encoding="utf-8"), CDK_JSON.read_text(encoding="utf-8"))
    flags, own = map(json.loads, files)
    return {**flags, **own.get("context", {})}


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The pipeline and the services that it deploys.

    Attributes:
        pipeline: Class of the pipeline's stack; it is called with the app, an id, and the keywords `settings`,
            `services` and `assets`.
        services: Classes of the services that every environment gets.
    """

    pipeline: Callable[..., Any]
    services: Sequence[type[Service]]

    def build(
        self,
        settings: Settings,
        assets: AssetStore,
        *,
        outdir: str | None = None,
        services: Sequence[type[Service]] | None = None,
    ) -> App:
        """Return the whole app, not yet synthesised.

        Args:
            settings: All of `config/`.
            assets: The built assets.
            outdir: Folder of the assembly. Default: the one that the CDK CLI asks for, else a temporary folder.
            services: Services of every environment. Default: those in `SLIPWAY_SERVICES`, else the group's, else all.

        Raises:
            ConfigurationError: `SLIPWAY_SERVICES` names a service that doesn't exist, or a derived name is longer than
                AWS allows.
        """
        app = App(
            outdir=outdir,
            # The gate runs CDK's template checks itself, together with its packs.
            builtin_cloud_formation_validation=False,
            context=context(),
            # Not with our own synthesizer: a single instance cannot serve stages in several accounts.
            post_cli_context={
                **CONTEXT,
                "@aws-cdk/core:bootstrapQualifier": settings.pipeline.qualifier,
                # The deployment may create no role without it: docs/bootstrap.md.
                "@aws-cdk/core:permissionsBoundary": {"name": settings.pipeline.permissions_boundary},
            },
        )
        if services is None:
            group, names = settings.pipeline.groups.get(settings.pipeline.group or ""), narrowed_to()
            services = self.chosen(names or (group.services if group else ()))
            settings = _with_waves_of(settings, names) if names else settings
        if problems := list(too_long(settings, [service.name for service in services])):
            raise ConfigurationError(problems)
        self.pipeline(app, "Pipeline", settings=settings, services=services, assets=assets)
        return app

    def chosen(self, names: Sequence[str]) -> Sequence[type[Service]]:
        """Return the services with these names.

        Args:
            names: Empty for all services.

        Raises:
            ConfigurationError: No service has one of the names.
        """
        known = {service.name: service for service in self.services}
        unknown = [
            Problem("app.py", NARROWED, repr(name), f"is not a service; choose from {', '.join(known)}")
            for name in names
            if name not in known
        ]
        if unknown:
            raise ConfigurationError(unknown)
        return [known[name] for name in names] or self.services

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Synthesise the app and run the gates.

        Args:
            arguments: `--baseline` writes the current acknowledgements as the new baseline, unless the gate fails for
                another reason. Default: those of the command line.

        Returns:
            0 if the gate passes; 1 if it fails; 2 if the configuration or the assets cannot be used.
        """
        new_baseline = "--baseline" in (sys.argv[1:] if arguments is None else arguments)
        names = narrowed_to()
        some = " ".join(names) or selected() or ""
        if new_baseline and some:
            return _refuse(f"{NARROWED if names else GROUP} = {some!r}: a baseline needs every service; unset it")
        judged = os.environ.get(JUDGED) != "false"
        if judged:
            prepare()
        try:
            settings = config.load()
            app = self.build(settings, AssetStore())
        except SlipwayError as error:
            return _refuse(str(error))
        if not judged:
            app.synth()
            return 0
        return _synthesise_and_judge(app, settings, new_baseline=new_baseline, complete=not some)


def _with_waves_of(settings: Settings, names: Sequence[str]) -> Settings:
    """Return settings whose waves contain only some services; a service that is in no wave is still an error."""
    waves = tuple(tuple(name for name in wave if name in names) for wave in settings.pipeline.waves)
    return settings.model_copy(
        update={"pipeline": settings.pipeline.model_copy(update={"waves": tuple(wave for wave in waves if wave)})}
    )


def _synthesise_and_judge(app: App, settings: Settings, *, new_baseline: bool, complete: bool) -> int:
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
        complete=complete,
        unit_of=unit_of(settings),
    )
    write_all(verdict, REPORT)
    print_report(verdict, details=os.path.relpath(REPORT / "nag.html", ROOT))
    if new_baseline and not verdict.red:
        write_baseline(BASELINE, verdict.counts)
    return 1 if verdict.red else 0


def _refuse(why: str) -> int:
    Console(stderr=True, soft_wrap=True).print(why, markup=False, highlight=False)
    return 2
