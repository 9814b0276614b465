"""Packs of rules judge assemblies that were not made for this gate."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from slipway.nag.anywhere import Ruling, judge_assembly, only_aws
from slipway.nag.ruling import ruling_as_sarif
from slipway.rules.aws import sqs
from slipway.rules.aws.pack import RULES
from slipway.rules.aws.rule import ACCOUNT, AwsRule
from unit.review.assemblies import resource, template, write
from unit.typed import typed

SARIF = json.loads(Path(__file__).parents[1].joinpath("gates", "sarif-2.1.0-required.json").read_text(encoding="utf-8"))
LOGS = "AwsSolutions-S1"
WILDCARD = "AwsSolutions-IAM5"


def _suppressing(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"cdk_nag": {"rules_to_suppress": list(entries)}}


def _bucket(**attributes: Any) -> dict[str, Any]:
    return resource("AWS::S3::Bucket", **attributes)


def _policy(*actions: str, **attributes: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "arn:aws:s3:::a-bucket"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return resource(
        "AWS::IAM::Policy", {"PolicyName": "p", "Roles": ["a-role"], "PolicyDocument": document}, **attributes
    )


def _judged(folder: Path, resources: dict[str, Any], **sections: Any) -> Ruling:
    return judge_assembly(write(folder / "cdk.out", {"data": template(resources, **sections)}), ["AwsSolutions"])


def _rules(ruling: Ruling) -> set[tuple[str, str]]:
    return {(finding.rule, finding.path) for finding in ruling.findings}


def test_finding_names_its_construct(tmp_path: Path) -> None:
    named = {"Metadata": {"aws:cdk:path": "App/data/Uploads/Resource"}}

    ruling = _judged(tmp_path, {"Uploads1A2B3C4D": _bucket(**named), "Other": _bucket()})

    assert {(LOGS, "App/data/Uploads"), (LOGS, "Pipeline/data/Other")} <= _rules(ruling)
    assert ruling.exit_code() == 1
    assert ruling.faults == ()


def test_suppressions_of_version_2_are_honoured(tmp_path: Path) -> None:
    # Given a suppression on a resource with an encoded reason, and one on the whole stack
    encoded = {"id": LOGS, "reason": "TG9ncyBnbyBlbHNld2hlcmUu", "is_reason_encoded": True}
    whole = _suppressing({"id": "AwsSolutions-S10", "reason": "TLS is enforced at the edge."})

    ruling = _judged(tmp_path, {"One": _bucket(Metadata=_suppressing(encoded)), "Two": _bucket()}, Metadata=whole)

    assert _rules(ruling) == {(LOGS, "Pipeline/data/Two")}
    assert ("Logs go elsewhere.", "Pipeline/data/One") in {(one.reason, one.finding.path) for one in ruling.accepted}
    assert [one.finding.rule for one in ruling.accepted].count("AwsSolutions-S10") == 2


@pytest.mark.parametrize(
    ("applies_to", "left"),
    [
        (None, set()),
        (["Action::s3:Get*"], {"Action::s3:Put*"}),
        ([{"regex": "/^Action::s3:(Get|Put).*$/g"}], set()),
        (["Action::s3:List*"], {"Action::s3:Get*", "Action::s3:Put*"}),
    ],
)
def test_granular_suppressions_cover_what_they_name(tmp_path: Path, applies_to: Any, left: set[str]) -> None:
    entry = {"id": WILDCARD, "reason": "It is a demo."} | ({"applies_to": applies_to} if applies_to else {})

    ruling = _judged(tmp_path, {"Policy": _policy("s3:Get*", "s3:Put*", Metadata=_suppressing(entry))})

    assert {finding.rule for finding in ruling.findings} == {f"{WILDCARD}[{finding}]" for finding in left}


def _acknowledge(folder: Path, path: str, identifier: str) -> None:
    file = folder / "manifest.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    entry = {"type": "aws:cdk:acknowledged-rules", "data": {identifier: "Nobody reads it."}}
    content["artifacts"]["data"]["metadata"] = {f"/{path}": [entry]}
    file.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("identifier", [f"AwsSolutions::{LOGS}", f"annotation::{LOGS.lower()}", f"Annotation::{LOGS}"])
@pytest.mark.parametrize("path", ["Pipeline/data", "Pipeline/data/One"])
def test_acknowledgements_of_cdk_are_honoured(tmp_path: Path, path: str, identifier: str) -> None:
    folder = write(tmp_path / "cdk.out", {"data": template({"One": _bucket()})})
    _acknowledge(folder, path, identifier)

    ruling = judge_assembly(folder, ["AwsSolutions"])

    assert LOGS not in {finding.rule for finding in ruling.findings}
    assert (LOGS, "Nobody reads it.") in {(one.finding.rule, one.reason) for one in ruling.accepted}


@pytest.mark.parametrize("prefix", ["", "AwsSolutions::", "annotation::"])
def test_a_granular_acknowledgement_covers_its_finding_alone(tmp_path: Path, prefix: str) -> None:
    # Given ids whose findings contain colons, which an app can write by bypassing CDK's check
    folder = write(tmp_path / "cdk.out", {"data": template({"Policy": _policy("s3:Get*", "s3:Put*")})})
    _acknowledge(folder, "Pipeline/data", f"{prefix}{WILDCARD}[Action::s3:Get*]")

    ruling = judge_assembly(folder, ["AwsSolutions"])

    assert {finding.rule for finding in ruling.findings} == {f"{WILDCARD}[Action::s3:Put*]"}
    assert [one.finding.rule for one in ruling.accepted] == [f"{WILDCARD}[Action::s3:Get*]"]


def test_an_acknowledgement_elsewhere_covers_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path / "cdk.out", {"data": template({"One": _bucket()})})
    _acknowledge(folder, "Pipeline/data/On", f"AwsSolutions::{LOGS}")

    assert LOGS in {finding.rule for finding in judge_assembly(folder, ["AwsSolutions"]).findings}


def test_functions_that_cdk_cannot_include_hide_nothing(tmp_path: Path) -> None:
    unknown = {"BucketName": {"Fn::GetStackOutput": {"StackName": "a", "OutputName": "b"}}}

    ruling = _judged(tmp_path, {"One": resource("AWS::S3::Bucket", unknown)})

    assert ruling.faults == ()
    assert (LOGS, "Pipeline/data/One") in _rules(ruling)


def test_a_template_that_cannot_be_judged_is_not_green(tmp_path: Path) -> None:
    broken = resource("AWS::S3::Bucket", {"BucketName": {"Ref": "Nowhere"}})

    ruling = _judged(tmp_path, {"One": broken})

    assert ruling.exit_code() == 2
    assert "Nowhere" in ruling.faults[0].message


def test_a_folder_without_an_assembly_is_not_green(tmp_path: Path) -> None:
    ruling = judge_assembly(tmp_path, ["AwsSolutions"])

    assert (ruling.exit_code(), len(ruling.faults)) == (2, 1)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_sees_its_fault_in_any_assembly(tmp_path: Path, rule: AwsRule) -> None:
    # Given the fault planted for the rule, in an app that uses nothing of this project
    body = rule.planted if "Resources" in rule.planted else template(rule.planted)
    folder = write(tmp_path / "cdk.out", {"planted": body})
    manifest = folder / "manifest.json"
    place = f"aws://{ACCOUNT}/{rule.planted_in}"
    text = re.sub(r"aws://\d{12}/[a-z0-9-]+", place, manifest.read_text(encoding="utf-8"))
    manifest.write_text(text, encoding="utf-8")

    ruling = judge_assembly(folder, own=(only_aws(),))

    assert ruling.faults == ()
    assert f"OnlyAws-{rule.name}" in {finding.rule.partition("[")[0] for finding in ruling.findings}
    assert ruling.exit_code() == 1


def test_a_rule_that_cannot_read_a_template_is_reported(tmp_path: Path) -> None:
    # Given a pipeline stage without a name, which CloudFormation refuses
    stages = [{"Actions": [{"Name": "build", "ActionTypeId": {"Category": "Build", "Provider": "CodeBuild"}}] * 9}]
    pipeline = resource("AWS::CodePipeline::Pipeline", {"Stages": stages})
    queue = template({"Pipeline": pipeline, **sqs.RULES[0].planted})

    ruling = judge_assembly(write(tmp_path / "cdk.out", {"data": queue}), own=(only_aws(),))

    rules = {finding.rule.partition("[")[0] for finding in ruling.findings}
    assert {"OnlyAws-Unread", f"OnlyAws-{sqs.RULES[0].name}"} <= rules


def test_exit_codes_match_the_verdict(tmp_path: Path) -> None:
    parameter = resource("AWS::SSM::Parameter", {"Type": "String"})
    green = write(tmp_path / "green", {"data": template({"Parameter": parameter})})
    red = write(tmp_path / "red", {"data": template(sqs.RULES[0].planted)})

    assert typed("rules", str(green)).exit_code == 0
    assert typed("rules", str(red), "--json", str(tmp_path / "r.json")).exit_code == 1
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["verdict"] == "red"
    assert typed("rules", str(tmp_path)).exit_code == 2
    assert typed("nag", str(green), "--pack", "Nobody").exit_code == 2


def test_sarif_of_a_ruling_is_valid(tmp_path: Path) -> None:
    given = _suppressing({"id": LOGS, "reason": "Nobody reads it."})

    content = ruling_as_sarif(_judged(tmp_path, {"One": _bucket(Metadata=given)}), verb="slipway nag", at="cdk.json")

    validator = jsonschema_rs.validator_for(SARIF, validate_formats=True)
    assert [error.message for error in validator.iter_errors(content)] == []
    assert [result["ruleId"] for result in content["runs"][0]["results"] if "suppressions" in result] == [LOGS]
