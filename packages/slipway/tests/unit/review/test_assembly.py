"""Assemblies are read strictly: a damaged one is refused in one line, and never compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk
import aws_cdk.aws_sns
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.review.assembly import Assembly, read_assembly
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


def test_every_output_of_the_library_is_known(tmp_path: Path) -> None:
    # Given the installed CDK: new output of an upgraded version fails this test first
    folder = tmp_path / "cdk.out"
    app = aws_cdk.App(outdir=str(folder))
    stage = aws_cdk.Stage(app, "Prod", env=aws_cdk.Environment(account="333333333333", region="us-east-1"))
    aws_cdk.aws_sns.Topic(aws_cdk.Stack(stage, "Data", termination_protection=True), "Topic")
    app.synth()

    assert read_assembly(folder).unread == ()


@pytest.mark.parametrize("version", ["16.0.0", "31.0.0", "48.0.0", "56.1.0", "99.0.0"])
def test_different_schema_versions_are_read(tmp_path: Path, version: str) -> None:
    found = read_assembly(write(tmp_path / "cdk.out", TABLES, version=version))

    assert len(found.stacks) == 1
    assert found.unread == ()


def test_a_schema_without_asset_manifests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"written in schema 1, older than 4"):
        read_assembly(write(tmp_path / "cdk.out", TABLES, version="1"))


def test_unknown_content_is_a_finding(tmp_path: Path) -> None:
    # Given an assembly of a future CDK, with an unknown artifact and unknown properties
    before = write(tmp_path / "before", TABLES)
    after = write(tmp_path / "after", TABLES, version="99.0.0", plugins=[])
    _edit(after / "manifest.json", lambda c: c["artifacts"].update(new={"type": "aws:terraform:module"}))
    _edit(
        after / "manifest.json",
        lambda c: c["artifacts"]["prod-items-data"]["properties"].update(deployedBy="somebody"),
    )

    findings = compare(read_assembly(before), read_assembly(after)).findings

    assert [(finding.kind, finding.severity) for finding in findings] == [("assembly-unread", "medium")] * 3
    assert "contains an artifact of type aws:terraform:module" in " ".join(finding.what for finding in findings)
    assert {finding.severity for finding in compare(read_assembly(after), read_assembly(after)).findings} == {"low"}


def test_lookups_not_made_are_a_finding(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "cdk.out", TABLES, missing=[{"key": "hosted-zone:example.com", "provider": "hosted-zone"}]
    )

    (finding,) = compare(read_assembly(folder), read_assembly(folder)).findings

    assert finding.kind == "not-looked-up"
    assert "hosted-zone:example.com" in finding.what


def _stage(folder: Path, name: str, region: str = "unknown-region") -> dict[str, Any]:
    write(folder / f"assembly-{name}", {"svc": template({"Table": resource("AWS::DynamoDB::Table")})})
    unknown = f"aws://unknown-account/{region}"
    _edit(folder / f"assembly-{name}" / "manifest.json", lambda c: c["artifacts"]["svc"].update(environment=unknown))
    return {"type": "cdk:cloud-assembly", "properties": {"directoryName": f"assembly-{name}", "displayName": name}}


def test_stages_without_an_account_have_separate_stacks(tmp_path: Path) -> None:
    # Given two stages without account or region, each with a stack called svc
    folder = write(tmp_path / "cdk.out", {})
    stages = {name: _stage(folder, name) for name in ("dev", "prod")}
    _edit(folder / "manifest.json", lambda c: c["artifacts"].update(stages))

    before = read_assembly(folder)

    assert [(stack.stage, stack.key.name) for stack in before.stacks] == [("dev", "svc"), ("prod", "svc")]
    # And a changed stack is compared with the one of the same stage
    template_file = folder / "assembly-prod" / "svc.template.json"
    _edit(template_file, lambda c: c["Resources"]["Table"].update(Properties={"TableName": "another"}))
    (finding,) = [one for one in compare(before, read_assembly(folder)).findings if one.severity == "critical"]
    assert (finding.kind, finding.stage) == ("stateful-replaced", "prod")


def test_stacks_of_one_name_without_account_coexist(tmp_path: Path) -> None:
    # Given an app whose stacks are deployed with different profiles
    folder = write(tmp_path / "cdk.out", {"one": TABLES["prod-items-data"], "two": TABLES["prod-items-data"]})

    def unknown(content: Any) -> None:
        for artifact in content["artifacts"].values():
            artifact["environment"] = "aws://unknown-account/unknown-region"
            artifact["properties"]["stackName"] = "svc"

    _edit(folder / "manifest.json", unknown)

    assert len(read_assembly(folder).by_key) == 2


def test_a_folder_without_an_assembly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"manifest.json is missing: not a cloud assembly; `cdk synth` writes one"):
        read_assembly(tmp_path)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("manifest.json", lambda c: c.pop("version"), "it has no version"),
        ("manifest.json", lambda c: c.update(artifacts=[]), "artifacts is not an object"),
        ("manifest.json", lambda c: c.update(artifacts={}), "contains no stack"),
        ("manifest.json", lambda c: c["artifacts"].update(x=7), "artifact x is not an object"),
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
            "gone.json is missing; synthesise again",
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
        ("prod-items-data.template.json", lambda c: c.update(Outputs=[]), "Outputs is not an object"),
    ],
)
def test_damaged_content_is_named(folder: Path, file: str, change: Callable[[Any], object], message: str) -> None:
    _edit(folder / file, change)

    with pytest.raises(ReviewError, match=message) as caught:
        read_assembly(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"", b'{"version": '])
@pytest.mark.parametrize("file", ["manifest.json", "prod-items-data.template.json"])
def test_a_file_that_is_not_json_is_named(folder: Path, file: str, content: bytes) -> None:
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
def test_damaged_input_is_refused_or_compared(tmp_path: Path, data: st.DataObject) -> None:
    # Given a template or manifest with a random value in a random place
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

    # Then it is read, or refused in one line
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
