"""Stack policies: updates are denied with CloudFormation's own messages."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.errors import RehearsalError
from slipway.rehearsal.player.records import PlayedChange
from slipway.rehearsal.player.stack_policies import denials

TABLE = "AWS::DynamoDB::Table"
REMOVED = PlayedChange("Table", TABLE, "Remove")
REPLACED = PlayedChange("Table", TABLE, "Modify", replacement="True")
MODIFIED = PlayedChange("Table", TABLE, "Modify", replacement="False")
ADDED = PlayedChange("Table", TABLE, "Add")

ALLOW = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}


def _deny(**more: Any) -> dict[str, Any]:
    statement = {"Effect": "Deny", "Action": ["Update:Delete", "Update:Replace"], "Principal": "*", "Resource": "*"}
    return {"Statement": [ALLOW, {**statement, **more}]}


def _denied(policy: dict[str, Any], *changes: PlayedChange) -> list[str]:
    return [reason for _, reason in denials(policy, changes)]


def test_deletes_and_replacements_are_denied() -> None:
    refused = (
        "Action denied by stack policy: Statement [#2] does not allow [Update:{}] for resource [LogicalResourceId/{}]"
    )
    assert _denied(_deny(), REMOVED, REPLACED, MODIFIED, ADDED) == [
        refused.format("Delete", "Table"),
        refused.format("Replace", "Table"),
    ]


@pytest.mark.parametrize(
    ("narrowed", "denied"),
    [
        ({"Condition": {"StringEquals": {"ResourceType": [TABLE]}}}, True),
        ({"Condition": {"StringLike": {"ResourceType": "AWS::DynamoDB::*"}}}, True),
        ({"Condition": {"StringEquals": {"ResourceType": ["AWS::S3::Bucket"]}}}, False),
        ({"Resource": "LogicalResourceId/Tab*"}, True),
        ({"Resource": ["LogicalResourceId/Other"]}, False),
        ({"NotResource": "LogicalResourceId/Table", "Resource": None}, False),
        ({"NotAction": "Update:Modify", "Action": None}, True),
    ],
)
def test_statements_are_narrowed(narrowed: dict[str, Any], *, denied: bool) -> None:
    policy = _deny(**narrowed)
    policy["Statement"][1] = {key: value for key, value in policy["Statement"][1].items() if value is not None}
    assert bool(_denied(policy, REMOVED)) is denied


def test_changes_that_no_statement_allows_are_denied() -> None:
    policy = {"Statement": {**ALLOW, "Action": "Update:Modify"}}
    assert _denied(policy, MODIFIED) == []
    assert "no statement allows [Update:Delete]" in _denied(policy, REMOVED)[0]


def test_an_unknown_condition_stops_the_player() -> None:
    with pytest.raises(RehearsalError, match="does not support ResourceTag in a stack policy"):
        _denied(_deny(Condition={"StringEquals": {"ResourceTag": "a"}}), REMOVED)
