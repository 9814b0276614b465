"""Resources of an app that cannot be rehearsed are found before anything is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.errors import RehearsalError
from slipway.rehearsal.hosting import find_unhosted, refuse_unhosted


def _assembly(folder: Path, resource: dict[str, Any]) -> Path:
    artifact = {"type": "aws:cloudformation:stack", "properties": {"templateFile": "App.json", "stackName": "app"}}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": {"App": artifact}}), encoding="utf-8")
    (folder / "App.json").write_text(json.dumps({"Resources": {"It": resource}}), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("kind", "properties", "says"),
    [
        ("AWS::ECS::Service", {}, "containers need Docker"),
        ("AWS::EC2::VPC", {}, "networks are not created here"),
    ],
)
def test_an_app_that_cannot_be_played_stops_at_once(
    tmp_path: Path, kind: str, properties: dict[str, Any], says: str
) -> None:
    found = find_unhosted(_assembly(tmp_path, {"Type": kind, "Properties": properties}))

    with pytest.raises(RehearsalError, match=f"this app cannot be rehearsed here: .*{says}.*app: It"):
        refuse_unhosted(found)


def test_an_image_to_be_built_stops_at_once(tmp_path: Path) -> None:
    assembly = _assembly(tmp_path, {"Type": "AWS::SNS::Topic"})
    (assembly / "App.assets.json").write_text(json.dumps({"dockerImages": {"abc": {}}}), encoding="utf-8")

    with pytest.raises(RehearsalError, match="images are built by Docker"):
        refuse_unhosted(find_unhosted(assembly))


def test_a_build_that_may_use_docker_is_named(tmp_path: Path) -> None:
    project = {"Type": "AWS::CodeBuild::Project", "Properties": {"Environment": {"PrivilegedMode": True}}}
    (found,) = find_unhosted(_assembly(tmp_path, project))

    assert (found.reason, found.stops) == ("it may use Docker, which is not available here", False)


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"Runtime": "java21"}, "runtime java21"),
        ({"Runtime": "provided.al2023"}, "runtime provided.al2023"),
        ({"PackageType": "Image"}, "container image"),
    ],
)
def test_a_function_that_cannot_run_is_named(tmp_path: Path, properties: dict[str, Any], says: str) -> None:
    (found,) = find_unhosted(_assembly(tmp_path, {"Type": "AWS::Lambda::Function", "Properties": properties}))

    assert says in found.reason
    refuse_unhosted([found])


@pytest.mark.parametrize("runtime", ["python3.14", "nodejs22.x", {"Fn::FindInMap": ["Latest", "r", "v"]}])
def test_functions_of_python_and_node_run(tmp_path: Path, runtime: object) -> None:
    function = {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": runtime}}

    assert find_unhosted(_assembly(tmp_path, function)) == []
