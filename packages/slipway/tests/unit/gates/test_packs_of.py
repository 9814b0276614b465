"""The configuration decides which packs judge which stack."""

from __future__ import annotations

from typing import Any

import pytest

import specimen
from slipway.gates.packs import PIPELINE, packs_of, unit_of
from slipway.nag.names import PACKS
from slipway.settings import Environment, Settings
from slipway.settings.model import NagPackName

SETTINGS = specimen.SETTINGS
ALWAYS = ["AwsSolutions", "Serverless"]


def changed(model: Any, **changes: Any) -> Any:
    return model.model_validate(model.model_dump(mode="json", exclude_none=True) | changes)


def test_the_configuration_knows_every_pack_of_the_gate() -> None:
    assert {name.value for name in NagPackName} == set(PACKS)


@pytest.mark.parametrize(
    ("stack", "environment"),
    [
        ("Pipeline/dev-items/Data", "dev"),
        ("Pipeline/prod-foundation/Foundation", "prod"),
        ("staging-items/Compute", "staging"),
    ],
)
def test_a_stack_is_judged_by_the_packs_of_its_environment(stack: str, environment: str) -> None:
    packs = SETTINGS.environment(environment).gates.packs

    assert list(packs_of(SETTINGS)(stack))[: len(packs)] == [pack.value for pack in packs]


def test_stack_without_environment_is_judged_by_pipelines_packs() -> None:
    settings = Settings(
        pipeline=changed(SETTINGS.pipeline, gates={"packs": [*ALWAYS, "PCI.DSS.321"]}),
        environments=SETTINGS.environments,
    )

    assert "PCI.DSS.321" in packs_of(settings)("Pipeline")
    assert "PCI.DSS.321" in packs_of(settings)("cross-region-stack-101112131415:eu-west-1")
    assert "PCI.DSS.321" not in packs_of(settings)("Pipeline/dev-items/Data")


def test_environment_is_not_matched_by_a_name_prefix() -> None:
    dev = SETTINGS.environment("dev")
    other: Environment = changed(dev, name="dev-eu", gates={"packs": [*ALWAYS, "HIPAA.Security"]})
    find = packs_of(Settings(pipeline=SETTINGS.pipeline, environments=(dev, other)))

    assert "HIPAA.Security" in find("Pipeline/dev-eu-items/Data")
    assert "HIPAA.Security" not in find("Pipeline/dev-items/Data")


def test_prod_is_judged_by_every_pack() -> None:
    assert set(packs_of(SETTINGS)("Pipeline/prod-items/Data")) >= set(PACKS)


@pytest.mark.parametrize(
    ("stack", "unit"),
    [
        ("Pipeline", PIPELINE),
        ("Pipeline/Bus", PIPELINE),
        ("Pipeline/prod-items/Data", "items"),
        ("Pipeline/prod-foundation/Foundation", "foundation"),
        ("Pipeline/prod-eu-items/Data", "items"),
        ("cross-region-stack-101112131415:eu-west-1", PIPELINE),
    ],
)
def test_a_stack_belongs_to_its_service_in_every_environment(stack: str, unit: str) -> None:
    # Given an environment whose name starts with another's
    twin = SETTINGS.environment("prod").model_copy(update={"name": "prod-eu"})
    settings = SETTINGS.model_copy(update={"environments": (*SETTINGS.environments, twin)})

    assert unit_of(settings)(stack) == unit
