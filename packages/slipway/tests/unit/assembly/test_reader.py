"""A single module reads the files of a cloud assembly and reports what is wrong with them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import slipway
from slipway.assembly.reader import AssemblyError, MissingFileError, read_manifests, read_stacks

SOURCE = Path(slipway.__file__).parent
READER = SOURCE / "assembly"
# Artifact types and path keys that only a reader of assemblies needs to name.
OF_AN_ASSEMBLY = (
    "aws:cloudformation:stack",
    "cdk:asset-manifest",
    "cdk:cloud-assembly",
    "cdk:tree",
    "additionalMetadataFile",
    "directoryName",
    ".assets.json",
    "tree.json",
)
# The review lists the artifact types and keys that it knows, but reads no files.
KNOWN = {SOURCE / "review" / "assembly.py"}


def _write(folder: Path, artifacts: Any, **files: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"version": "55.0.0", "artifacts": artifacts}), encoding="utf-8")
    for name, content in files.items():
        (folder / f"{name}.template.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def _stack(name: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "aws:cloudformation:stack",
        "environment": "aws://111111111111/eu-west-1",
        "properties": {"templateFile": f"{name}.template.json", **properties},
        "dependencies": [f"{name}.assets"],
    }


def test_stacks_of_stages_follow_those_of_the_root(tmp_path: Path) -> None:
    stage = {"type": "cdk:cloud-assembly", "properties": {"directoryName": "stage", "displayName": "P/dev-items"}}
    root = _write(tmp_path, {"stage": stage, "P": _stack("P", stackName="Pipeline")}, P={"Resources": {}})
    _write(root / "stage", {"Data": {**_stack("Data"), "displayName": "P/dev-items/Data (Data)"}}, Data={"a": 1})
    (root / "stage" / "Data.assets.json").write_text('{"files": {"f": {}}, "dockerImages": {"i": {}}}')

    pipeline, data = read_stacks(root)

    assert [path for path, _ in read_manifests(root)] == ["", "P/dev-items"]
    assert (pipeline.name, pipeline.path, pipeline.template) == ("Pipeline", "P", {"Resources": {}})
    assert (data.name, data.path, data.place) == ("Data", "P/dev-items/Data", ("111111111111", "eu-west-1"))
    assert (data.template, dict(data.assets.files), dict(data.assets.images)) == ({"a": 1}, {"f": {}}, {"i": {}})
    assert (dict(pipeline.assets.files), pipeline.metadata) == ({}, {})


def test_metadata_may_have_its_own_file(tmp_path: Path) -> None:
    artifact = {**_stack("A"), "additionalMetadataFile": "A.metadata.json", "metadata": {"/A": []}}
    _write(tmp_path, {"A": artifact})
    (tmp_path / "A.metadata.json").write_text('{"/A/B": [{"type": "aws:cdk:logicalId", "data": "B"}]}')

    (stack,) = read_stacks(tmp_path)

    assert stack.metadata == {"/A": [], "/A/B": [{"type": "aws:cdk:logicalId", "data": "B"}]}


def test_folder_without_a_manifest_is_no_assembly(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"manifest\.json is missing: not a cloud assembly"):
        [*read_stacks(tmp_path)]


@pytest.mark.parametrize(
    ("artifacts", "why"),
    [
        ([], "artifacts is not an object"),
        ({"A": []}, "artifact A is not an object"),
        ({"A": {"type": "aws:cloudformation:stack"}}, "A has no templateFile"),
        ({"A": _stack("../A")}, "A has no templateFile"),
        ({"A": _stack("/A")}, "A has no templateFile"),
        ({"A": {"type": "cdk:cloud-assembly", "properties": {"directoryName": ".."}}}, "A has no directoryName"),
    ],
)
def test_damaged_manifest_says_why(tmp_path: Path, artifacts: Any, why: str) -> None:
    with pytest.raises(AssemblyError, match=rf"manifest\.json is damaged: {why}; synthesise again"):
        [stack.template_file for stack in read_stacks(_write(tmp_path, artifacts))]


@pytest.mark.parametrize("text", ["{", "[]", "\ud800"])
def test_damaged_template_is_named(tmp_path: Path, text: str) -> None:
    _write(tmp_path, {"A": _stack("A")})
    (tmp_path / "A.template.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    (stack,) = read_stacks(tmp_path)

    with pytest.raises(AssemblyError, match=r"A\.template\.json is damaged"):
        assert stack.template


def _texts(file: Path) -> Iterator[str]:
    source = file.read_text(encoding="utf-8")
    if not any(text in source for text in OF_AN_ASSEMBLY):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
            yield node.value


def test_nothing_else_reads_an_assembly() -> None:
    others = [file for file in SOURCE.rglob("*.py") if READER not in file.parents and file not in KNOWN]
    found = {
        f"{file.relative_to(SOURCE)}: {text}" for file in others for text in _texts(file) if text in OF_AN_ASSEMBLY
    }

    assert len(others) > 300
    assert found == set()
