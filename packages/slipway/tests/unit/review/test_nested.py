"""Nested stacks are reviewed like other stacks, with values from their parents' parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from slipway.review.assembly import Assembly, StackKey, read_assembly
from slipway.review.comparison import Fate, compare
from slipway.review.errors import ReviewError
from slipway.review.findings import ChangeFinding, Severity
from unit.review.assemblies import ACCOUNT, REGION, TOOLS, assembly, nested, resource, stack, write
from unit.review.planted import TABLE, allow, role

PARENT = "prod-items-data"
NESTED = {"Nested": resource("AWS::CloudFormation::Stack", {"TemplateURL": "https://a"})}


def _of(resources: Mapping[str, Any], outer: Mapping[str, Any] | None = None, **sections: Any) -> Assembly:
    parent = stack({**(outer or {}), **NESTED} if "Nested" not in (outer or {}) else dict(outer or {}))
    tools = stack({"Topic": resource("AWS::SNS::Topic")}, name="slipway-pipeline", stage="pipeline", account=TOOLS)
    return assembly(parent, nested(parent, "Nested", resources, **sections), tools)


def _found(before: Assembly, after: Assembly, kind: str) -> list[ChangeFinding]:
    return [finding for finding in compare(before, after).findings if finding.kind == kind]


def _named(name: str | None) -> dict[str, Any]:
    properties = {**TABLE["Table"]["Properties"], **({"TableName": name} if name else {})}
    return {"Table": {**TABLE["Table"], "Properties": properties}}


def test_replaced_table_of_a_nested_stack_is_critical() -> None:
    # Given a nested stack whose table gets a name
    before, after = _of(_named(None)), _of(_named("a"))

    # When it is reviewed
    (finding,) = _found(before, after, "stateful-replaced")

    # Then the finding names the nested stack and the table
    assert finding.severity == Severity.CRITICAL
    assert finding.stack == f"{PARENT}.Nested"
    assert finding.resource == "Pipeline/prod-items/Data/Nested/Table"
    (stage, *_) = [stage for stage in compare(before, after).stages if stage.stacks]
    assert [(found.name, found.changes[0].fate) for found in stage.stacks] == [(f"{PARENT}.Nested", Fate.REPLACED)]


def test_nested_stacks_unlimited_role_is_critical() -> None:
    before, after = _of(role(allow("s3:GetObject"))), _of(role(allow("*", on="*")))

    (finding,) = _found(before, after, "access-widened")

    assert finding.severity == Severity.CRITICAL


def test_removed_nested_stack_removes_its_table() -> None:
    # Given a nested stack with a table, which is removed from the template, retained or not
    parent = stack({"Topic": resource("AWS::SNS::Topic")})
    for policy, fate in (("Delete", "is deleted"), ("Retain", "remains as an orphan")):
        outer = {"Topic": resource("AWS::SNS::Topic"), "Nested": {**NESTED["Nested"], "DeletionPolicy": policy}}
        bare = {"Table": {key: value for key, value in TABLE["Table"].items() if not key.endswith("Policy")}}
        before = _of(bare, outer)

        # When it is reviewed
        (finding,) = _found(before, assembly(parent, before.stacks[2]), "stateful-removed")

        # Then the finding says what happens to the table
        assert finding.severity == Severity.CRITICAL
        assert fate in finding.what


def test_removed_stack_lists_nested_data() -> None:
    before = _of(TABLE)

    (finding,) = _found(before, assembly(before.stacks[2]), "stack-removed")

    assert finding.details == ("Pipeline/prod-items/Data/Nested/Table (its items, and its point-in-time recovery)",)


def test_parameters_of_the_parent_reach_the_nested_stack() -> None:
    # Given a nested table whose name is a parameter set by the parent
    def named(name: str) -> Assembly:
        outer = {"Nested": resource("AWS::CloudFormation::Stack", {"TemplateURL": "a", "Parameters": {"Name": name}})}
        table = {**TABLE["Table"]["Properties"], "TableName": {"Ref": "Name"}}
        return _of({"Table": {**TABLE["Table"], "Properties": table}}, outer, Parameters={"Name": {"Type": "String"}})

    # When the parent passes another name, then the table is replaced
    assert _found(named("one"), named("two"), "stateful-replaced")


def test_outputs_of_the_nested_stack_reach_the_parent() -> None:
    # Given a parent's policy on a nested stack's table, changed to an output with every table
    outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Table", "Arn"]}}, "Any": {"Value": "*"}}

    def on(output: str) -> Assembly:
        statement = allow("dynamodb:*", on={"Fn::GetAtt": ["Nested", f"Outputs.{output}"]})
        return _of(TABLE, {**role(statement), **NESTED}, Outputs=outputs)

    # When it is reviewed, then the wider access is found
    (finding,) = _found(on("Arn"), on("Any"), "access-widened")
    assert "on *" in finding.details[0]

    # And a missing output is a broken reference
    (broken,) = _found(on("Arn"), on("Gone"), "broken-reference")
    assert "Outputs.Gone" in broken.what


def test_replacing_a_nested_table_replaces_its_users() -> None:
    # Given a parent's resource that uses the name of a nested table, and is replaced when the name changes
    taker = {
        "Taker": resource(
            "AWS::SecretsManager::RotationSchedule", {"SecretId": {"Fn::GetAtt": ["Nested", "Outputs.Name"]}}
        )
    }
    outputs = {"Name": {"Value": {"Ref": "Table"}}}

    findings = _found(
        _of(_named(None), {**taker, **NESTED}, Outputs=outputs),
        _of(_named("a"), {**taker, **NESTED}, Outputs=outputs),
        "replaced",
    )

    assert [finding.resource for finding in findings] == ["Pipeline/prod-items/Data/Taker"]


def test_reader_in_the_same_stack_is_updated_with_it() -> None:
    # Given a nested role with access to a table of its parent, which is replaced
    passed = {"TemplateURL": "a", "Parameters": {"Arn": {"Fn::GetAtt": ["Table", "Arn"]}}}
    outer = {"Nested": resource("AWS::CloudFormation::Stack", passed)}
    inner = role(allow("dynamodb:GetItem", on={"Ref": "Arn"}))
    parameters = {"Arn": {"Type": "String"}}

    findings = compare(
        _of(inner, {**_named(None), **outer}, Parameters=parameters),
        _of(inner, {**_named("a"), **outer}, Parameters=parameters),
    ).findings

    assert {finding.kind for finding in findings} == {"stateful-replaced"}


# In an assembly
# --------------


def _write(folder: Path, inner: Mapping[str, Any], *, metadata: bool, manifest: bool) -> Path:
    text = json.dumps(inner)
    digest = hashlib.sha256(text.encode()).hexdigest()
    url = {"Fn::Sub": f"https://s3.${{AWS::Region}}.${{AWS::URLSuffix}}/assets/{digest}.json"}
    outer = resource("AWS::CloudFormation::Stack", {"TemplateURL": url})
    if metadata:
        outer["Metadata"] = {"aws:asset:path": "Data.Nested.nested.template.json"}
    write(folder, {PARENT: {"Resources": {"Nested": outer}}})
    (folder / "Data.Nested.nested.template.json").write_text(text, encoding="utf-8")
    if manifest:
        files = {digest: {"source": {"path": "Data.Nested.nested.template.json"}}}
        (folder / f"{PARENT}.assets.json").write_text(json.dumps({"files": files}), encoding="utf-8")
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        content["artifacts"][PARENT]["dependencies"] = [f"{PARENT}.assets"]
        (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("metadata", "manifest"), [(True, False), (False, True), (True, True)])
def test_nested_templates_are_read_from_an_assembly(tmp_path: Path, *, metadata: bool, manifest: bool) -> None:
    # Given an assembly with a nested stack, found by its digest or by the metadata of its parent
    before = read_assembly(_write(tmp_path / "a", {"Resources": _named(None)}, metadata=metadata, manifest=manifest))
    after = read_assembly(_write(tmp_path / "b", {"Resources": _named("a")}, metadata=metadata, manifest=manifest))

    # When both are reviewed
    comparison = compare(before, after)

    # Then the nested table is replaced, and no code is new
    assert [found.key for found in before.stacks] == [
        StackKey(ACCOUNT, REGION, PARENT),
        StackKey(ACCOUNT, REGION, f"{PARENT}.Nested"),
    ]
    assert {finding.kind for finding in comparison.findings} == {"stateful-replaced"}
    assert str(comparison.code) == "no new code"
    assert compare(before, before).is_empty


def test_missing_nested_template_is_reported(tmp_path: Path) -> None:
    before = read_assembly(_write(tmp_path / "a", {"Resources": _named(None)}, metadata=False, manifest=False))
    after = read_assembly(_write(tmp_path / "b", {"Resources": _named("a")}, metadata=False, manifest=False))

    assert {finding.kind for finding in compare(before, after).findings} == {"nested-unread"}
    assert compare(before, before).is_empty


def test_template_that_is_nested_in_itself_is_refused(tmp_path: Path) -> None:
    metadata = {"aws:asset:path": "Data.Nested.nested.template.json"}
    itself = {"Resources": {"Again": {**NESTED["Nested"], "Metadata": metadata}}}
    folder = _write(tmp_path, itself, metadata=True, manifest=True)

    with pytest.raises(ReviewError, match="nested in itself"):
        read_assembly(folder)


def test_damaged_nested_template_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path, {"Resources": {}}, metadata=True, manifest=True)

    with pytest.raises(ReviewError, match=r"Data\.Nested\.nested\.template\.json is damaged"):
        read_assembly(folder)
