"""Every configuration that the model allows passes the gate, not only the committed ones."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from aws_cdk import App

from infrastructure import synthesis
from infrastructure.matrix import ENVIRONMENTS, SPECIMEN, changed
from slipway.app import RUNBOOKS
from slipway.gates.packs import packs_of
from slipway.nag.packs import register
from slipway.nag.verdict import judge
from slipway.rules.aws.pack import OnlyAwsRules
from slipway.rules.pack import SlipwayRules
from slipway.service import Service
from slipway.settings import Environment, Settings
from slipway.settings.model import NagPackName
from specimen.delivery import SERVICES
from specimen.services.catalog.infrastructure import Catalog
from stages.foundation_stage import FoundationStage
from stages.service_stage import ServiceStage

# A day on which every acknowledgement is valid; `make synth` reports expired ones
TODAY = date(2026, 11, 1)

# The committed ones are judged with the whole app
_NOT_COMMITTED = [name for name in ENVIRONMENTS if name not in {"dev", "staging", "prod"}]


def _findings(app: App, settings: Settings) -> list[tuple[str, str]]:
    """Return places and rules of the gate's findings; empty if it is green."""
    packs = packs_of(settings)
    register(app, packs, own=[OnlyAwsRules(), SlipwayRules(settings, RUNBOOKS)])
    verdict = judge(Path(app.synth().directory), packs, today=TODAY)
    assert not verdict.faults
    return [(finding.path, finding.rule) for finding in verdict.findings]


def _found_in(environment: Environment, *services: type[Service]) -> list[tuple[str, str]]:
    """Return the gate's findings in the foundation and services of one environment."""
    app = synthesis.new_app()
    FoundationStage(app, environment=environment, services=[service.name for service in services])
    for service in services:
        ServiceStage(app, service=service(environment=environment, assets=synthesis.assets()))
    return _findings(app, Settings(pipeline=SPECIMEN.pipeline, environments=(environment,)))


@pytest.mark.requirement("the report on the terminal and as a page")
@pytest.mark.parametrize("variant", [name for name in _NOT_COMMITTED if "GovCloud" not in name])
def test_every_environment_passes_the_gate(variant: str) -> None:
    assert _found_in(ENVIRONMENTS[variant], Catalog) == []


def test_every_pack_may_be_active_in_another_environment() -> None:
    # Given staging with prod's packs, and with what they require
    environment = changed(
        SPECIMEN.environment("staging"),
        {
            "gates.packs": list(NagPackName),
            "backup": {"keep_days": 7},
            "stateful.deletion_protection": True,
        },
    )

    assert _found_in(environment, *SERVICES) == []


def test_enabled_pack_finds_its_own_violations() -> None:
    # Given the same without a backup
    environment = changed(SPECIMEN.environment("staging"), {"gates.packs": list(NagPackName)})

    assert {rule for _, rule in _found_in(environment, Catalog)} == {
        *("NIST.800.53.R5-DynamoDBInBackupPlan", "HIPAA.Security-DynamoDBInBackupPlan"),
    }


def test_a_region_without_cloudfront_fails_the_gate() -> None:
    # Given a region in which CloudFormation does not support distributions
    findings = _found_in(ENVIRONMENTS["dev, GovCloud"], Catalog)

    # Then it is reported before anything is deployed
    assert findings
    assert all("/Edge/" in path for path, _ in findings)
