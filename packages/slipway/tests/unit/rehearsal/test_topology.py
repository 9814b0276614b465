"""The accounts and regions of a delivery are read from any assembly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.emulator.topology import ANY_ACCOUNT, ANY_REGION, Topology, stacks
from slipway.errors import RehearsalError
from specimen import DEV, PROD, SETTINGS
from unit.rehearsal.assemblies import PIPELINE, stack, write


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    """Write two pipelines in one account, a helper stack elsewhere, and two stages in other accounts."""
    folder = write(
        tmp_path / "cdk.out",
        {
            "support": stack("aws://444444444444/us-west-2"),
            "dev-pipeline": stack("aws://444444444444/eu-west-1", PIPELINE),
            "prod-pipeline": stack("aws://444444444444/eu-west-1", PIPELINE),
            "events": stack("aws://111111111111/eu-west-1"),
        },
    )
    write(folder / "assembly-dev", {"devapp": stack("aws://222222222222/eu-west-1", stackName="app")})
    write(folder / "assembly-prod", {"prodapp": stack("aws://333333333333/us-west-2", stackName="app")})
    files = {"a": {"destinations": {"x": {"bucketName": "cdk-own-assets-222222222222-eu-west-1", "objectKey": "a"}}}}
    (folder / "assembly-dev" / "devapp.assets.json").write_text(json.dumps({"files": files}), encoding="utf-8")
    return folder


def test_accounts_and_regions_are_read_from_an_assembly(assembly: Path) -> None:
    found = Topology.of_assembly(assembly)

    assert found.tools == "444444444444"
    assert next(iter(found.regions)) == "444444444444"
    assert found.regions == {
        "444444444444": ("eu-west-1", "us-west-2"),
        "111111111111": ("eu-west-1",),
        "222222222222": ("eu-west-1",),
        "333333333333": ("us-west-2",),
    }
    assert [found.label(account) for account in found.regions] == ["tools", "111111111111", "dev", "prod"]
    assert found.qualifier == "own"


def test_stack_without_name_is_named_after_its_artifact(assembly: Path) -> None:
    assert {each.name for each in stacks(assembly)} == {"support", "dev-pipeline", "prod-pipeline", "events", "app"}


def test_an_assembly_without_accounts_gets_one(tmp_path: Path) -> None:
    folder = write(tmp_path, {"Pipeline": stack("aws://unknown-account/unknown-region", PIPELINE)})

    assert Topology.of_assembly(folder).regions == {ANY_ACCOUNT: (ANY_REGION,)}


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"App": stack("aws://111111111111/eu-west-1")}, "has pipelines in no account"),
        (
            {f"P{number}": stack(f"aws://{number * 12}/eu-west-1", PIPELINE) for number in "12"},
            "has pipelines in 111111111111, 222222222222",
        ),
    ],
)
def test_pipelines_are_those_of_one_account(tmp_path: Path, made: dict[str, Any], says: str) -> None:
    with pytest.raises(RehearsalError, match=says):
        Topology.of_assembly(write(tmp_path, made))


def test_a_folder_without_an_assembly_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="is not a cloud assembly"):
        Topology.of_assembly(tmp_path)


def test_accounts_have_the_bootstrapped_regions() -> None:
    # Given a pipeline in one region, and production in another
    away = PROD.model_copy(update={"region": "eu-west-1"})
    settings = SETTINGS.model_copy(update={"environments": (DEV, away)})

    found = Topology.of_settings(settings)

    # Then production also has the edge's region, and the pipeline's account has a bucket in production's region
    assert found.regions == {
        settings.pipeline.account: ("us-east-1", "eu-west-1"),
        DEV.account: ("us-east-1",),
        PROD.account: ("eu-west-1", "us-east-1"),
    }
