"""The pack of rules about AWS's behaviour: every rule finds its planted fault, cites its source, and is documented."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.nag.own import SynthesizedStack
from slipway.rules.aws.pack import RULES, OnlyAwsRules, identifier
from slipway.rules.aws.rule import AwsRule, planted_stack
from slipway.rules.model import Found, Templates
from slipway.rules.page import PAGE, page


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_sees_its_planted_fault(rule: AwsRule) -> None:
    assert list(rule.check(Templates((planted_stack(rule.planted, region=rule.planted_in),))))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_names_the_page_of_aws(rule: AwsRule) -> None:
    assert rule.source.startswith(("https://docs.aws.amazon.com/", "https://repost.aws/"))
    assert all(sentence.endswith(".") for sentence in (rule.does, rule.says, rule.fix))


def test_names_of_rules_are_unique() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_committed_page_lists_every_rule() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_pack_reports_a_rule_that_sees_nothing() -> None:
    # Given a rule that never finds anything
    blind = AwsRule(
        name="Blind", does="Nothing.", says="Nothing.", fix="Nothing.", source="", check=lambda _: (), planted={}
    )

    assert list(OnlyAwsRules([blind]).blind()) == [identifier(blind)]
    assert list(OnlyAwsRules().blind()) == []


def test_pack_reports_what_a_template_breaks(tmp_path: Path) -> None:
    # Given an assembly with one stack that breaks a rule
    rule = RULES[0]
    template = tmp_path / "Orders.template.json"
    template.write_text(json.dumps({"Resources": rule.planted}), encoding="utf-8")
    properties = {"templateFile": template.name, "stackName": "orders"}
    artifacts = {"Orders": {"environment": "aws://123456789012/eu-west-1", "properties": properties}}
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": artifacts}), encoding="utf-8")

    (found,) = OnlyAwsRules([rule]).judge([SynthesizedStack("App/Orders", template)])

    assert (found.rule, found.stack, found.logical_id) == (identifier(rule), "App/Orders", next(iter(rule.planted)))
    assert rule.says in found.description


def test_imported_values_are_followed_within_a_region() -> None:
    # Given a stack that exports a topic, and importers in the same and in another region
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    export = {"Topic": {"Value": {"Ref": "Topic"}, "Export": {"Name": "topic"}}}
    owner = planted_stack({"Resources": topic, "Outputs": export}, name="owner")
    near, far = planted_stack({}, name="near"), planted_stack({}, name="far", region="us-east-1")
    templates = Templates((owner, near, far))

    found = [Found(each.stack, each.logical_id) for each in templates.referred(near, {"Fn::ImportValue": "topic"})]

    assert found == [Found(owner, "Topic")]
    assert list(templates.referred(far, {"Fn::ImportValue": "topic"})) == []
