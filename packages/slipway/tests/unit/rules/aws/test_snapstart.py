"""The rule about regions without SnapStart."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rules.aws.rule import planted_stack
from slipway.settings.regions import regions
from unit.rules.aws.judging import broken


def _function(starts: dict[str, str] | None) -> dict[str, Any]:
    return {"Function": {"Type": "AWS::Lambda::Function", "Properties": {"SnapStart": starts} if starts else {}}}


@pytest.mark.parametrize(
    ("region", "wrong"),
    [
        ("eu-central-1", []),
        ("us-east-1", []),
        ("ap-east-1", []),
        ("ap-east-2", ["Function"]),
        ("ap-southeast-6", ["Function"]),
        ("us-gov-west-1", ["Function"]),
        ("cn-north-1", ["Function"]),
    ],
)
def test_snapshots_are_only_used_in_supported_regions(region: str, wrong: list[str]) -> None:
    # Given a function that starts from snapshots
    stack = planted_stack(_function({"ApplyOn": "PublishedVersions"}), region=region)

    # Then it is reported in a region without SnapStart
    assert broken("NoSnapStartHere", None, stack) == wrong


@pytest.mark.parametrize("starts", [None, {"ApplyOn": "None"}])
def test_a_function_without_snapshots_may_be_anywhere(starts: dict[str, str] | None) -> None:
    for region in regions():
        assert broken("NoSnapStartHere", None, planted_stack(_function(starts), region=region)) == []
