"""Public access to buckets, and peers of security groups."""

from __future__ import annotations

from typing import Any

import pytest

from unit.review.assemblies import found, resource

FOUR = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def _bucket(blocks: dict[str, bool] | None) -> dict[str, Any]:
    return {
        "Bucket": resource("AWS::S3::Bucket", {"PublicAccessBlockConfiguration": blocks} if blocks is not None else {})
    }


@pytest.mark.parametrize(
    ("before", "after", "off"),
    [
        (None, dict.fromkeys(FOUR, False), FOUR),
        (None, {"BlockPublicAcls": True}, FOUR[1:]),
        (dict.fromkeys(FOUR, True), None, FOUR),
        (dict.fromkeys(FOUR, True), {"BlockPublicAcls": True, "IgnorePublicAcls": True}, (FOUR[1], FOUR[3])),
        (None, dict.fromkeys(FOUR, True), ()),
        (None, None, ()),
        (dict.fromkeys(FOUR, False), None, ()),
    ],
)
def test_disabled_access_blocks_are_public_access(
    before: dict[str, bool] | None, after: dict[str, bool] | None, off: tuple[str, ...]
) -> None:
    findings = found({**_bucket(before), "T": resource("AWS::SNS::Topic")}, _bucket(after), "public-access")

    assert sorted(finding.detail for finding in findings) == sorted(off)
    assert {finding.severity for finding in findings} <= {"critical"}


def _group(*egress: dict[str, Any]) -> dict[str, Any]:
    return {"Group": resource("AWS::EC2::SecurityGroup", {"SecurityGroupEgress": list(egress)})}


NOBODY = {"CidrIp": "255.255.255.255/32", "IpProtocol": "icmp", "FromPort": 252, "ToPort": 86}


def test_the_rule_without_egress_opens_nothing() -> None:
    assert found({}, _group(NOBODY), "network-opened") == []


def test_a_replaced_rule_is_reported() -> None:
    anybody = {"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}

    (finding,) = found(_group(NOBODY), _group(anybody), "network-opened")

    assert finding.what == "it may connect to 0.0.0.0/0 by tcp on port 443"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"IpProtocol": "-1"}, "10.0.0.0/8 may connect to it by any protocol"),
        ({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 90}, "10.0.0.0/8 may connect to it by tcp on ports 80 to 90"),
        ({"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1}, "10.0.0.0/8 may connect to it by icmp on any port"),
    ],
)
def test_rules_are_described_in_words(rule: dict[str, Any], said: str) -> None:
    group = {"Group": resource("AWS::EC2::SecurityGroup", {"SecurityGroupIngress": [{"CidrIp": "10.0.0.0/8", **rule}]})}

    (finding,) = found({}, group, "network-opened")

    assert finding.what == said
