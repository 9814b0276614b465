"""Environments and services are chosen by name, and their addresses are those of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

import specimen
from slipway import project
from slipway.emulator.deploy import failure
from slipway.emulator.environment import LocalEnvironment, choose, services_of
from slipway.errors import RehearsalError

SETTINGS = specimen.SETTINGS


@pytest.fixture(autouse=True)
def _project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the specimen as the project: its folders define the services."""
    monkeypatch.setattr(project, "ROOT", specimen.PROJECT)


def _local(folder: Path) -> LocalEnvironment:
    return LocalEnvironment(choose(SETTINGS, "dev"), SETTINGS.pipeline, folder=folder, port=4566)


def test_an_unknown_environment_is_named_with_those_that_are() -> None:
    with pytest.raises(
        RehearsalError, match=r"unknown environment 'production'; choose from dev, staging, prod"
    ) as error:
        choose(SETTINGS, "production")
    assert error.value.exit_code == 2


def test_an_unknown_service_is_named_with_those_that_are() -> None:
    with pytest.raises(RehearsalError, match=r"unknown service 'itms' in dev; choose from catalog, ") as error:
        services_of(choose(SETTINGS, "dev"), ["itms"])
    assert error.value.exit_code == 2


def test_all_services_are_chosen_by_default() -> None:
    assert services_of(choose(SETTINGS, "dev")) == tuple(specimen.MODELS)
    assert services_of(choose(SETTINGS, "dev"), ["catalog"]) == ("catalog",)


def test_environments_have_different_ports(tmp_path: Path) -> None:
    ports = [
        port
        for name in SETTINGS.pipeline.environments
        for emulator in [LocalEnvironment(choose(SETTINGS, name), SETTINGS.pipeline, folder=tmp_path / name).emulator]
        for port in (emulator.port, emulator.plain_port)
    ]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize(
    ("value", "here"),
    [
        (
            "https://a1b2c3.execute-api.us-east-1.amazonaws.com/live/health",
            "https://localhost:4566/restapis/a1b2c3/live/_user_request_/health",
        ),
        (
            "https://a1b2c3.execute-api.us-east-1.amazonaws.com/live/",
            "https://localhost:4566/restapis/a1b2c3/live/_user_request_/",
        ),
        ("http://localhost:4567/111111111111/queue", "https://localhost:4566/111111111111/queue"),
        ("arn:aws:sns:us-east-1:111111111111:topic", "arn:aws:sns:us-east-1:111111111111:topic"),
    ],
)
def test_addresses_point_to_this_machine(tmp_path: Path, value: str, here: str) -> None:
    outputs = _local(tmp_path).collect({"dev-catalog-compute": {"It": value}})
    assert outputs == {"catalog": {"It": here}}


def test_outputs_are_by_service_without_exports(tmp_path: Path) -> None:
    stacks = {
        "dev-catalog-data": {"TableName": "t", "PublishOutputRefTable1": "t"},
        "dev-catalog-compute": {"DistributionDomain": "d1.cloudfront.net"},
        "dev-foundation": {"RoleArn": "r"},
        "CDKToolkit": {"BucketName": "b"},
    }
    assert _local(tmp_path).collect(stacks) == {
        "foundation": {"RoleArn": "r"},
        "catalog": {
            "TableName": "t",
            "DistributionDomain": "d1.cloudfront.net",
            "EdgeEndpoint": "https://localhost:4566/",
        },
    }


def test_a_stopped_environment_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="dev is not up: run `make up ENV=dev`"):
        _local(tmp_path).outputs()


def test_failed_deployments_reason_is_first_failed_resource() -> None:
    lines = [
        "dev-catalog-data | 0/4 | 10:24:35 AM | CREATE_IN_PROGRESS | AWS::S3::Bucket | Data/Bucket (Bucket) ",
        "dev-catalog-data |  1 | 10:26:21 AM | CREATE_FAILED | AWS::S3::Bucket | Data/Bucket (Bucket) name is taken",
        "dev-catalog-data |  1 | 10:26:21 AM | CREATE_FAILED | AWS::SNS::Topic | Data/Topic (Topic) creation cancelled",
        "❌  dev-catalog-data failed: the stack was rolled back",
    ]
    assert failure(lines) == "dev-catalog-data: AWS::S3::Bucket Data/Bucket (Bucket) name is taken"
    assert failure(lines[3:]) == lines[3]
    assert failure(["ValueError: no", "", "app: Subprocess exited with error 1"]) == "ValueError: no"
    full = "cannot build the layer: No space left on device"
    assert failure([full, "make[1]: *** [Makefile:38: build] Error 1"]) == full
    assert failure(["dev-catalog: fail: No bucket", "AggregateError:"]) == "dev-catalog: fail: No bucket"
    assert failure([]) == "cdk wrote nothing"
