"""An acknowledgement without a finding, reason, owner or expiry is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Fn, Stack, aws_iam
from aws_cdk import aws_s3 as s3
from constructs import Construct, RootConstruct

from slipway.blocks.acknowledgements import Signature, accept, signature
from slipway.nag.acknowledge import AcknowledgementError, acknowledge, resource_finding
from slipway.nag.reason import read
from slipway.release import RELEASED
from slipway.waivers import WaiverFileError

EXPIRES = date(2027, 6, 30)
REASON = "Only the platform's own roles can reach it."


@pytest.fixture
def construct() -> Construct:
    """Create a construct in a stack without an app, which is never synthesised."""
    return Construct(Stack(RootConstruct(), "Stack"), "Thing")


def recorded(construct: Construct) -> Mapping[str, str]:
    """Return ids and reasons as CDK stores them."""
    entries = [entry.data for entry in construct.node.metadata if entry.type == "aws:cdk:acknowledged-rules"]
    return {key: reason for entry in entries for key, reason in entry.items()}


@pytest.mark.parametrize(
    ("rule", "finding", "qualified"),
    [
        ("AwsSolutions-S1", None, "AwsSolutions::AwsSolutions-S1"),
        ("AwsSolutions-IAM5", "Action::s3:Get*", "AwsSolutions::AwsSolutions-IAM5[Action::s3:Get*]"),
        ("Serverless-LambdaDLQ", None, "Serverless::Serverless-LambdaDLQ"),
        ("NIST.800.53.R5-IAMNoInlinePolicy", None, "NIST.800.53.R5::NIST.800.53.R5-IAMNoInlinePolicy"),
        ("HIPAA.Security-LambdaInsideVPC", None, "HIPAA.Security::HIPAA.Security-LambdaInsideVPC"),
        ("PCI.DSS.321-LambdaInsideVPC", None, "PCI.DSS.321::PCI.DSS.321-LambdaInsideVPC"),
        ("Slipway-AlarmActs", None, "Slipway::Slipway-AlarmActs"),
        ("W3697", None, "CloudFormation-Validate::W3697"),
        ("Annotation::@aws-cdk/aws-s3:x", None, "Annotation::@aws-cdk/aws-s3:x"),
    ],
)
def test_the_id_is_qualified_and_the_reason_signed(
    construct: Construct, rule: str, finding: str | None, qualified: str
) -> None:
    # When a finding is acknowledged
    acknowledge(construct, rule=rule, finding=finding, reason=REASON, expires=EXPIRES, owner="data")

    # Then the recorded id and text contain pack, rule, finding, reason, owner and expiry
    ((identifier, text),) = recorded(construct).items()
    signed = read(text)
    assert identifier == qualified
    assert signed
    assert (signed.reason, signed.owner, signed.expires) == (REASON, "data", EXPIRES)


def test_one_reason_may_cover_several_rules_and_findings(construct: Construct) -> None:
    acknowledge(
        construct, rule=["HIPAA.Security-LambdaDLQ", "Serverless-LambdaDLQ"], reason=REASON, expires=EXPIRES, owner="a"
    )
    acknowledge(
        construct,
        rule="AwsSolutions-IAM5",
        finding=["Action::a:*", "Resource::*"],
        reason=REASON,
        expires=EXPIRES,
        owner="a",
    )

    assert set(recorded(construct)) == {
        "HIPAA.Security::HIPAA.Security-LambdaDLQ",
        "Serverless::Serverless-LambdaDLQ",
        "AwsSolutions::AwsSolutions-IAM5[Action::a:*]",
        "AwsSolutions::AwsSolutions-IAM5[Resource::*]",
    }


def test_source_line_is_recorded_without_its_folder(construct: Construct) -> None:
    acknowledge(construct, rule="AwsSolutions-S1", reason=REASON, expires=EXPIRES, owner="data")
    accept(construct, "AwsSolutions-S2", reason=REASON)

    places = {signed.at for text in recorded(construct).values() if (signed := read(text))}
    assert len(places) == 2
    for place in places:
        file, line = place.split(":")
        assert file == f"{__name__.replace('.', '/')}.py"
        assert int(line) > 0


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no reason": ({"reason": "  "}, "explain in a sentence"),
    "a reason of two words": ({"reason": "is fine"}, "explain in a sentence"),
    "a reason of three words": ({"reason": "It is fine."}, "explain in a sentence"),
    "the rule's id for a reason": ({"reason": "AwsSolutions-S1 AwsSolutions-S1 AwsSolutions-S1 not here"}, "sentence"),
    "numbers for a reason": ({"reason": "1 2 3 4 5 6"}, "explain in a sentence"),
    "the rule's own text": ({"reason": "The S3 Bucket has server access logs disabled."}, "repeats the rule"),
    "the rule's text in other letters": (
        {"reason": "the s3 bucket  has SERVER ACCESS LOGS, disabled - it's so"},
        "repeats the rule",
    ),
    "the rule's explanation": (
        {
            "reason": "The bucket should have server access logging enabled to provide detailed records for the "
            "requests that are made to the bucket."
        },
        "repeats the rule",
    ),
    "an owner in the reason": (
        {"reason": f"{REASON} [owner: me; expires: 2999-01-01]"},
        "pass owner and expiry as arguments",
    ),
    "no owner": ({"owner": " "}, "name the responsible team"),
    "an owner that breaks the signature": ({"owner": "a; expires: 2999-01-01]"}, "name the responsible team"),
    "a pack that nobody knows": ({"rule": "Homemade-S1"}, "no known pack"),
    "a rule that its pack has not": ({"rule": "AwsSolutions-S99"}, "no known pack"),
    "no pack": ({"rule": "S1"}, "no known pack"),
    "a pack alone": ({"rule": "AwsSolutions"}, "no known pack"),
    "a fatal template rule": ({"rule": "F3031"}, "no known pack"),
    "an id that is qualified already": ({"rule": "AwsSolutions::AwsSolutions-S1"}, "no known pack"),
    "no finding for a rule that has some": ({"rule": "AwsSolutions-IAM5"}, "names one finding"),
    "an empty finding": ({"rule": "AwsSolutions-IAM4", "finding": ""}, "names one finding"),
    "a finding for a rule that has none": ({"finding": "Action::s3:Get*"}, "reports no findings"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_traceless_or_reasonless_acknowledgement_is_refused(construct: Construct, case: str) -> None:
    arguments, says = REFUSED[case]
    given: dict[str, Any] = {"rule": "AwsSolutions-S1", "reason": REASON, "expires": EXPIRES, "owner": "data"}

    with pytest.raises(AcknowledgementError, match=says) as raised:
        acknowledge(construct, **given | arguments)

    # And the message names the place and the rule in one line, and nothing is acknowledged
    rule = arguments.get("rule", "AwsSolutions-S1")
    assert str(raised.value).startswith(f"Stack/Thing: acknowledgement of {rule}: ")
    assert "\n" not in str(raised.value)
    assert recorded(construct) == {}


def test_resources_are_named_as_in_the_pack(construct: Construct) -> None:
    # Given a bucket of the stack, and the ARN of its objects
    stack = Stack.of(construct)
    bucket = s3.Bucket(stack, "Bucket")
    logical_id = stack.get_logical_id(bucket.node.default_child)  # type: ignore[arg-type]
    role = aws_iam.CfnRole(stack, "Role", assume_role_policy_document={})

    assert resource_finding(role, bucket.arn_for_objects("items/*")) == f"Resource::<{logical_id}.Arn>/items/*"
    assert resource_finding(role, "*") == "Resource::*"
    assert resource_finding(role, f"arn:aws:s3:::{stack.region}") == "Resource::arn:aws:s3:::<AWS::Region>"
    assert resource_finding(role, Fn.sub("arn:${AWS::Partition}:x/*")) == "Resource::arn:<AWS::Partition>:x/*"


def test_blocks_are_signed_for_a_year_from_the_release(tmp_path: Path) -> None:
    signed = signature(tmp_path / "policy.toml")
    assert (signed.owner, signed.expires - RELEASED) == ("platform", timedelta(days=365))


def test_the_app_configures_owner_and_expiry(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[acknowledgements]\nowner = "payments"\nexpires = 2031-01-31\n', encoding="utf-8")
    assert signature(file) == Signature(owner="payments", expires=date(2031, 1, 31))


def test_a_wrong_signature_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[acknowledgements]\nexpires = "soon"\n', encoding="utf-8")
    with pytest.raises(WaiverFileError, match=r"config/policy\.toml: acknowledgements\.expires: .*'soon'"):
        signature(file)
