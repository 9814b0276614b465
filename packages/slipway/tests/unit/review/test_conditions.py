"""A condition implies another only if every request that meets it also meets the other."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.review.iam.conditions import implies, read_conditions


def _implies(stricter: Any, looser: Any) -> bool:
    return implies(read_conditions(stricter), read_conditions(looser))


ACCOUNT = {"StringEquals": {"aws:SourceAccount": "1"}}


@pytest.mark.parametrize(
    ("stricter", "looser"),
    [
        (ACCOUNT, None),
        (ACCOUNT, {}),
        (ACCOUNT, ACCOUNT),
        ({"StringEquals": {"aws:sourceaccount": ["1"]}}, ACCOUNT),
        ({**ACCOUNT, "Bool": {"aws:SecureTransport": True}}, ACCOUNT),
        ({"Bool": {"a": True}}, {"Bool": {"a": "true"}}),
        (ACCOUNT, {"StringEquals": {"aws:SourceAccount": ["1", "2"]}}),
        (ACCOUNT, {"StringLike": {"aws:SourceAccount": "*"}}),
        (ACCOUNT, {"StringEqualsIfExists": {"aws:SourceAccount": "1"}}),
        ({"StringEquals": {"a": "X"}}, {"StringEqualsIgnoreCase": {"a": "x"}}),
        ({"ArnLike": {"a": "arn:aws:sns:*:1:b"}}, {"ArnEquals": {"a": "arn:aws:sns:*"}}),
        ({"StringNotEquals": {"a": ["x", "y"]}}, {"StringNotEquals": {"a": "x"}}),
        ({"StringNotLike": {"a": "x*"}}, {"StringNotEquals": {"a": ["xa", "xb"]}}),
        ({"NumericLessThan": {"a": "5"}}, {"NumericLessThanEquals": {"a": 10}}),
        ({"NumericGreaterThanEquals": {"a": 10}}, {"NumericGreaterThan": {"a": 5}}),
        ({"IpAddress": {"aws:SourceIp": "10.1.0.0/16"}}, {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}),
        ({"NotIpAddress": {"a": "10.0.0.0/8"}}, {"NotIpAddress": {"a": "10.1.0.0/16"}}),
        ({"ForAllValues:StringEquals": {"a": ["x"]}}, {"ForAllValues:StringEquals": {"a": ["x", "y"]}}),
        ({"Null": {"a": "false"}}, {"Null": {"a": "false"}}),
    ],
)
def test_implied_conditions(stricter: Any, looser: Any) -> None:
    assert _implies(stricter, looser)


@pytest.mark.parametrize(
    ("stricter", "looser"),
    [
        (None, ACCOUNT),
        ({"StringEquals": {"aws:SourceAccount": ["1", "2"]}}, ACCOUNT),
        ({"StringEquals": {"aws:SourceArn": "1"}}, ACCOUNT),
        ({"StringLike": {"aws:SourceAccount": "*"}}, ACCOUNT),
        ({"StringEqualsIfExists": {"aws:SourceAccount": "1"}}, ACCOUNT),
        ({"ForAllValues:StringEquals": {"aws:SourceAccount": "1"}}, ACCOUNT),
        # A star is a literal star unless values are compared as patterns
        ({"StringLike": {"a": "x*"}}, {"StringEquals": {"a": "x*"}}),
        ({"StringEqualsIgnoreCase": {"a": "x"}}, {"StringEquals": {"a": "x"}}),
        ({"StringNotEquals": {"a": "x"}}, {"StringNotEquals": {"a": ["x", "y"]}}),
        ({"NumericLessThan": {"a": 10}}, {"NumericLessThan": {"a": 5}}),
        ({"NumericLessThanEquals": {"a": 5}}, {"NumericLessThan": {"a": 5}}),
        ({"NumericLessThan": {"a": "x"}}, {"NumericLessThan": {"a": 5}}),
        ({"DateLessThan": {"a": "2027-01-01T00:00:00Z"}}, {"DateLessThan": {"a": "2028-01-01T00:00:00Z"}}),
        ({"IpAddress": {"a": "10.0.0.0/8"}}, {"IpAddress": {"a": "10.1.0.0/16"}}),
        ({"Bool": {"a": "true"}}, {"Bool": {"a": "false"}}),
        ("what is this", ACCOUNT),
    ],
)
def test_conditions_that_are_not_implied(stricter: Any, looser: Any) -> None:
    assert not _implies(stricter, looser)
