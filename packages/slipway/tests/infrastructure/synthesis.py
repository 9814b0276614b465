"""Synthesise a service of the specimen in a variant once, and read its templates as plain data."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from aws_cdk import App, CfnResource, DefaultStackSynthesizer, Stack

import specimen
from infrastructure.matrix import ENVIRONMENTS
from pipeline.delivery import PipelineStack
from slipway.app import context
from slipway.blocks.assets import AssetStore, file_digest
from slipway.delivery.roles import VerificationRole
from slipway.nag.packs import CONTEXT
from slipway.service import Service
from slipway.settings import Environment, Settings
from slipway.testing.synthesis import Kept, app_sources, new_folder, stand_in_assets
from slipway.testing.templates import DeployedTemplates, Template, read_templates, templates_of
from specimen.services.catalog.infrastructure import Catalog
from stages.foundation_stage import FoundationStage
from stages.service_stage import ServiceStage

KEPT = Kept((*app_sources(), specimen.FOLDER, specimen.PROJECT / "services", Path(__file__).with_name("matrix.py")))


def assets() -> AssetStore:
    """Return placeholders for the built zips: templates only depend on their digests."""
    return stand_in_assets(tuple(specimen.MODELS))


def new_app(folder: Path | None = None) -> App:
    """Return an app with the context and synthesizer of `app.py` that writes to its own folder."""
    return App(
        outdir=str(folder or new_folder()),
        # The gate runs these checks itself; here they would take a second per process, more than synthesising a service
        builtin_cloud_formation_validation=False,
        context=context(),
        post_cli_context=CONTEXT,
        default_stack_synthesizer=DefaultStackSynthesizer(),
    )


@cache
def deployment(variant: str, service: type[Service] = Catalog) -> DeployedTemplates:
    """Return a service in a variant of the matrix, synthesised once for these sources by the first process."""
    made_by = file_digest(Path(inspect.getfile(service)))
    found = KEPT.templates(
        f"{service.__name__} of {made_by} in {variant}", lambda: deploy(variant, ENVIRONMENTS[variant], service)
    )
    return DeployedTemplates(variant, ENVIRONMENTS[variant], {template.name: template for template in found})


def deploy(variant: str, environment: Environment, service: type[Service] = Catalog) -> DeployedTemplates:
    """Synthesise the foundation and a service of an environment."""
    app = new_app()
    FoundationStage(app, environment=environment, services=[service.name])
    ServiceStage(app, service=service(environment=environment, assets=assets()))
    return DeployedTemplates(variant, environment, read_templates(Path(app.synth().directory)))


class Tiny(Service[None, None, None]):
    """A service with one resource per stack, for tests of everything around services."""

    name = "tiny"
    description = "Tiny"

    def add_security(self, stack: Stack) -> None:
        CfnResource(stack, "Handle", type="AWS::CloudFormation::WaitConditionHandle")

    def add_data(self, stack: Stack, security: None) -> None:
        self.add_security(stack)

    def add_compute(self, stack: Stack, security: None, data: None, verification: VerificationRole) -> None:
        self.add_security(stack)

    def add_observability(self, stack: Stack, security: None, data: None, compute: None) -> None:
        self.add_security(stack)


class Small(Tiny):
    """A second one: CDK Pipelines names a wave with a single stage after the stage."""

    name = "small"


def pipeline(
    settings: Settings, services: Sequence[type[Service]] = (Tiny, Small)
) -> tuple[Template, Mapping[str, Template], Path]:
    """Return the pipeline's own template, those of every stack by stack name, and the assembly.

    It is synthesised once for these sources by the first process, since many modules read the committed one.
    """
    identity = [file_digest(Path(__file__)), settings.model_dump_json(), *map(_identity, services)]
    assembly = Path(KEPT.result(json.dumps(identity), lambda folder: _deliver(settings, services, folder)))
    templates = {template.stack_name: template for template in templates_of(assembly)}
    return templates[f"{settings.pipeline.app}-pipeline"], templates, assembly


def _identity(service: type[Service]) -> list[str | None]:
    """Return the identity of a class: its names, and the file that defines it."""
    return [service.__qualname__, service.name, service.description, file_digest(Path(inspect.getfile(service)))]


def _deliver(settings: Settings, services: Sequence[type[Service]], folder: Path) -> str:
    # Left by another process
    shutil.rmtree(folder, ignore_errors=True)
    app = new_app(folder)
    PipelineStack(app, "Pipeline", settings=settings, services=services, assets=assets())
    return str(app.synth().directory)
