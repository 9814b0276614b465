"""Rules about CloudWatch Logs."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rules.aws.rule import planted_stack
from unit.rules.aws.judging import broken

EDGE = {"Edge": {"Type": "AWS::CloudFront::Distribution"}}
OUTPUT = {"Fn::GetStackOutput": {"StackName": "edge", "OutputName": "Arn"}}


def _source(arn: Any) -> dict[str, Any]:
    return {"Source": {"Type": "AWS::Logs::DeliverySource", "Properties": {"ResourceArn": arn}}}


@pytest.mark.parametrize(
    "arn", ["arn:aws:cloudfront::123456789012:distribution/E1", {"Fn::Sub": "arn:aws:cloudfront::1:d/${Edge}"}, OUTPUT]
)
def test_edge_logs_are_delivered_from_us_east_1(arn: Any) -> None:
    outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Edge", "Arn"]}}}
    edge = planted_stack({"Resources": EDGE, "Outputs": outputs}, name="edge")
    home = planted_stack(_source(arn), name="logs", region="us-east-1")

    assert broken("EdgeLogsInUsEast1", _source(arn), edge) == ["Source"]
    assert broken("EdgeLogsInUsEast1", None, edge, home) == []


def test_other_logs_are_delivered_anywhere() -> None:
    assert broken("EdgeLogsInUsEast1", _source("arn:aws:bedrock:eu-west-1:123456789012:knowledge-base/k")) == []
