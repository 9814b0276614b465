"""Assemblies are strictly read: what is damaged is refused in one line, and never compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk.cloud_assembly_schema as cdk_schema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.review.assembly import SCHEMAS, Assembly, read_assembly
from slipway.review.comparison import compare
from slipway.review.errors import ReviewError
from unit.review.assemblies import resource, template, write

TABLES = {"prod-items-data": template({"Table": resource("AWS::DynamoDB::Table")})}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "cdk.out", TABLES)


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_an_assembly_is_read_with_its_stacks(folder: Path) -> None:
    (stack,) = read_assembly(folder).stacks

    assert stack.key.name == "prod-items-data"
    assert set(stack.resources) == {"Table"}
    assert not stack.termination_protection


def test_assemblies_within_are_stages(tmp_path: Path) -> None:
    root = write(tmp_path / "cdk.out", {"slipway-pipeline": template({"Topic": resource("AWS::SNS::Topic")})})
    write(root / "assembly-prod-items", TABLES)
    nested = {
        "type": "cdk:cloud-assembly",
        "properties": {"directoryName": "assembly-prod-items", "displayName": "Pipeline/prod-items"},
    }
    _edit(root / "manifest.json", lambda content: content["artifacts"].update(nested=nested))

    assert [(stack.stage, stack.key.name) for stack in read_assembly(root).stacks] == [
        ("pipeline", "slipway-pipeline"),
        ("prod-items", "prod-items-data"),
    ]


def test_the_library_writes_a_schema_that_is_known() -> None:
    # Given the CDK that is installed: an upgrade that writes another schema is seen here first
    assert int(cdk_schema.Manifest.version().partition(".")[0]) in SCHEMAS


@pytest.mark.parametrize("version", ["54.0.0", "56.1.0", "1"])
def test_another_schema_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(ReviewError, match=rf"schema {version}, and this review knows 55"):
        read_assembly(write(tmp_path / "cdk.out", TABLES, version=version))


def test_a_folder_without_an_assembly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"manifest.json is missing: it is no assembly; `make synth` writes one"):
        read_assembly(tmp_path)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("manifest.json", lambda c: c.pop("version"), "it names no version"),
        ("manifest.json", lambda c: c.update(artifacts=[]), "artifacts is no object"),
        ("manifest.json", lambda c: c.update(artifacts={}), "names no stack"),
        ("manifest.json", lambda c: c["artifacts"].update(x=7), "artifact x is no object"),
        ("manifest.json", lambda c: c["artifacts"]["prod-items-data"].pop("environment"), "names no account"),
        (
            "manifest.json",
            lambda c: c["artifacts"]["prod-items-data"]["properties"].pop("templateFile"),
            "no templateFile",
        ),
        (
            "manifest.json",
            lambda c: c["artifacts"]["prod-items-data"]["properties"].update(templateFile="../x.json"),
            "no templateFile",
        ),
        (
            "manifest.json",
            lambda c: c["artifacts"]["prod-items-data"]["properties"].update(templateFile="gone.json"),
            "gone.json is missing: the manifest names it",
        ),
        (
            "manifest.json",
            lambda c: c["artifacts"].update(twin=c["artifacts"]["prod-items-data"]),
            "two stacks are called",
        ),
        ("prod-items-data.template.json", lambda c: c.pop("Resources"), "it has no resources"),
        ("prod-items-data.template.json", lambda c: c["Resources"].update(Table=None), "resource Table has no type"),
        ("prod-items-data.template.json", lambda c: c["Resources"]["Table"].pop("Type"), "resource Table has no type"),
        (
            "prod-items-data.template.json",
            lambda c: c["Resources"]["Table"].update(Properties=[]),
            "properties of Table",
        ),
        ("prod-items-data.template.json", lambda c: c.update(Outputs=[]), "Outputs is no object"),
    ],
)
def test_what_is_damaged_by_hand_is_named(
    folder: Path, file: str, change: Callable[[Any], object], message: str
) -> None:
    _edit(folder / file, change)

    with pytest.raises(ReviewError, match=message) as caught:
        read_assembly(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"", b'{"version": '])
@pytest.mark.parametrize("file", ["manifest.json", "prod-items-data.template.json"])
def test_what_is_no_json_is_named(folder: Path, file: str, content: bytes) -> None:
    (folder / file).write_bytes(content)

    with pytest.raises(ReviewError, match=f"{file} is damaged"):
        read_assembly(folder)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in items for place in _places(inner, (*path, key)))]


RICH = template(
    {
        "Role": resource(
            "AWS::IAM::Role",
            {
                "AssumeRolePolicyDocument": {
                    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}]
                }
            },
        ),
        "Table": resource(
            "AWS::DynamoDB::Table", {"KeySchema": [{"AttributeName": "a"}], "Tags": [{"Key": "a", "Value": "b"}]}
        ),
        "Alarm": resource("AWS::CloudWatch::Alarm", {"Threshold": 1, "AlarmActions": [{"Ref": "Table"}]}),
        "Pipeline": resource("AWS::CodePipeline::Pipeline", {"Stages": [{"Name": "a", "Actions": [{"Name": "b"}]}]}),
    },
    Outputs={"Name": {"Value": {"Ref": "Table"}}},
)


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_damaged_is_either_refused_in_one_line_or_compared(tmp_path: Path, data: st.DataObject) -> None:
    # Given a template or a manifest with anything anywhere
    folder = write(tmp_path / "cdk.out", {"prod-items-data": RICH})
    before = read_assembly(folder)
    path = folder / data.draw(st.sampled_from(["manifest.json", "prod-items-data.template.json"]))
    content = json.loads(path.read_text(encoding="utf-8"))
    place = data.draw(st.sampled_from([one for one in _places(content) if one]))
    target = content
    for part in place[:-1]:
        target = target[part]
    target[place[-1]] = data.draw(_JSON)
    path.write_text(json.dumps(content), encoding="utf-8")

    # Then nothing but one line comes of it
    after = _read(folder)
    if isinstance(after, str):
        assert "\n" not in after
    else:
        compare(before, after)
        compare(after, before)


def _read(folder: Path) -> Assembly | str:
    try:
        return read_assembly(folder)
    except ReviewError as error:
        return str(error)
