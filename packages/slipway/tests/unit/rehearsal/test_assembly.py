"""A stage of an assembly is rewritten for the emulator."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from slipway.emulator.layers import pointer
from slipway.emulator.stages import EmulatedStage, stage_folder, staged, translate_stage
from slipway.errors import RehearsalError

ARM = b"wheels for arm64"
BUCKET = "s3://assets"


def _known(_: Iterable[str]) -> set[str]:
    return set()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """Write a stage of one stack with a layer, as `cdk synth` does."""
    folder = tmp_path / "cdk.out" / "assembly-Pipeline-dev-items"
    folder.mkdir(parents=True)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "layer.zip").write_bytes(ARM)
    with zipfile.ZipFile(tmp_path / "assets" / "layer-local.zip", "w") as layer:
        layer.writestr("python/package.py", "HERE = True")
    (folder.parent / "asset.layer.zip").write_bytes(ARM)
    (folder.parent / "asset.code.zip").write_bytes(b"code")
    content = {"S3Bucket": "assets", "S3Key": "layer.zip"}
    secret = {"Fn::GetStackOutput": {"StackName": "dev-items-security", "OutputName": "Secret"}}
    template = {
        "Resources": {
            "Layer": {"Type": "AWS::Lambda::LayerVersion", "Properties": {"Content": content}},
            "App": {"Type": "AWS::CodeDeploy::Application"},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": secret}},
        }
    }
    files = {
        "layer": _file("../asset.layer.zip", "layer.zip"),
        "code": _file("../asset.code.zip", "code.zip"),
        "template": _file("Compute.template.json", "synthesized.json"),
    }
    properties = {
        "templateFile": "Compute.template.json",
        "stackName": "dev-items-compute",
        "stackTemplateAssetObjectUrl": f"{BUCKET}/synthesized.json",
    }
    artifacts = {
        "Compute": {"type": "aws:cloudformation:stack", "properties": properties, "additionalMetadataFile": "x"},
        "Compute.assets": {"type": "cdk:asset-manifest", "properties": {"file": "Compute.assets.json"}},
        "Tree": {"type": "cdk:tree"},
    }
    _write(folder / "Compute.template.json", template)
    _write(folder / "Compute.assets.json", {"version": "55.0.0", "files": files})
    _write(folder / "manifest.json", {"version": "55.0.0", "artifacts": artifacts})
    (folder / "cdk.out").write_text('{"version":"55.0.0"}')
    return folder


def _file(path: str, key: str) -> dict[str, Any]:
    return {"source": {"path": path}, "destinations": {"dev": {"bucketName": "assets", "objectKey": key}}}


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _rehearse(stage: Path, tmp_path: Path, **settings: Any) -> EmulatedStage:
    arguments: dict[str, Any] = {
        "plain_port": 4567,
        "assets": tmp_path / "assets",
        "unknown_types": _known,
        "layers": tmp_path / "layers",
        **settings,
    }
    return translate_stage(stage, tmp_path / "out", **arguments)


def test_template_is_published_under_its_new_digest(stage: Path, tmp_path: Path) -> None:
    result = _rehearse(stage, tmp_path)
    content = (result.folder / "Compute.template.json").read_bytes()
    manifest, files = _read(result.folder / "manifest.json"), _read(result.folder / "Compute.assets.json")["files"]
    properties = manifest["artifacts"]["Compute"]["properties"]
    assert properties["stackTemplateAssetObjectUrl"] == f"{BUCKET}/{_digest(content)}.json"
    assert files["template"]["destinations"]["dev"]["objectKey"] == f"{_digest(content)}.json"
    assert b"CodeDeploy" not in content
    assert set(manifest["artifacts"]) == {"Compute", "Compute.assets"}


def test_local_layer_replaces_the_shipped_one(stage: Path, tmp_path: Path) -> None:
    result = _rehearse(stage, tmp_path)
    files = _read(result.folder / "Compute.assets.json")["files"]
    layer = pointer(tmp_path / "assets" / "layer-local.zip", tmp_path / "layers")
    key = f"{_digest(layer.read_bytes())}.zip"
    assert files["layer"]["destinations"]["dev"]["objectKey"] == key
    assert Path(files["layer"]["source"]["path"]).read_bytes() == layer.read_bytes()
    assert result.stacks[0].template["Resources"]["Layer"]["Properties"]["Content"]["S3Key"] == key
    assert Path(files["code"]["source"]["path"]).read_bytes() == b"code"
    assert files["code"]["destinations"]["dev"]["objectKey"] == "code.zip"


def test_a_missing_layer_is_reported(stage: Path, tmp_path: Path) -> None:
    (tmp_path / "assets" / "layer-local.zip").unlink()
    with pytest.raises(RehearsalError, match=r"layer-local\.zip is missing; run `make build`"):
        _rehearse(stage, tmp_path)


def test_an_unknown_resource_type_stops_the_run_and_is_named(stage: Path, tmp_path: Path) -> None:
    asked: set[str] = set()

    def unknown(names: Iterable[str]) -> set[str]:
        asked.update(names)
        return {"AWS::SNS::Topic"}

    with pytest.raises(RehearsalError, match=re.escape("dev-items-compute: Topic (AWS::SNS::Topic)")):
        _rehearse(stage, tmp_path, unknown_types=unknown)
    assert asked == {"AWS::SNS::Topic", "AWS::Lambda::LayerVersion"}


def _nest(stage: Path, resources: dict[str, Any], *, held: bool = True) -> None:
    """Move resources into a nested stack of the stage's stack."""
    template = _read(stage / "Compute.template.json")
    template["Resources"]["Inner"] = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": "https://a"},
        "Metadata": {"aws:asset:path": "Inner.nested.template.json"},
    }
    _write(stage / "Compute.template.json", template)
    if held:
        _write(stage / "Inner.nested.template.json", {"Resources": resources})


def test_nested_stack_is_deployed_in_its_parent(stage: Path, tmp_path: Path) -> None:
    # Given a nested stack with a queue, and resources that the emulator does not host
    _nest(stage, {"Queue": {"Type": "AWS::SQS::Queue"}, "Group": {"Type": "AWS::CodeDeploy::DeploymentGroup"}})

    result = _rehearse(stage, tmp_path)

    # Then the queue is part of its parent, the others are removed, and the table of substitutions counts it
    assert set(result.stacks[0].template["Resources"]) == {"Layer", "Topic", "InnerQueue"}
    used = {row.subject: times for row, times in result.used.items()}
    assert (used["AWS::CloudFormation::Stack"], used["AWS::CodeDeploy::*"]) == (1, 2)


def test_nested_stack_outside_the_assembly_stops_the_run(stage: Path, tmp_path: Path) -> None:
    _nest(stage, {}, held=False)

    with pytest.raises(RehearsalError, match=re.escape("Inner (AWS::CloudFormation::Stack)")):
        _rehearse(stage, tmp_path, unknown_types=lambda names: {*names} & {"AWS::CloudFormation::Stack"})


def test_a_mark_changes_the_template_but_no_resource(stage: Path, tmp_path: Path) -> None:
    plain = _rehearse(stage, tmp_path).stacks[0].template
    marked = _rehearse(stage, tmp_path, marks={"dev-items-compute": "new"}).stacks[0].template
    assert marked["Metadata"] == {"References": "new"}
    assert marked["Resources"] == plain["Resources"]


def test_a_stack_knows_which_outputs_it_reads(stage: Path, tmp_path: Path) -> None:
    assert _rehearse(stage, tmp_path).stacks[0].references == {("dev-items-security", "Secret")}


def test_a_stage_that_was_not_synthesized_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="has no stage dev-nothing; run `make synth`"):
        stage_folder(tmp_path, "dev", "nothing")


def test_stages_of_an_environment_are_those_of_the_manifest(stage: Path) -> None:
    # Given an assembly with two stages for dev and one for prod
    names = ("dev-foundation", "dev-items", "prod-items")
    stages = {
        f"assembly-Pipeline-{name}": {
            "type": "cdk:cloud-assembly",
            "properties": {"directoryName": f"assembly-Pipeline-{name}", "displayName": f"Pipeline/{name}"},
        }
        for name in names
    }
    (stage.parent / "manifest.json").write_text(json.dumps({"version": "50.0.0", "artifacts": stages}))
    # And a folder left by an earlier synthesis, of a service that was removed since
    shutil.copytree(stage, stage.parent / "assembly-Pipeline-dev-removed")

    assert staged(stage.parent, "dev") == ("foundation", "items")
