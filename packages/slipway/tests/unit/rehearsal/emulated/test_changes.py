"""Index changes that CloudFormation refuses."""

from typing import Any

import pytest

from slipway.emulator.extensions.changes import refused_indexes


def table(**keys: str) -> dict[str, Any]:
    """Return a table's properties with these indexes, each on the given attribute."""
    return {
        "GlobalSecondaryIndexes": [
            {"IndexName": name, "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}], "Projection": {}}
            for name, key in keys.items()
        ]
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        (table(a="x"), table(a="x")),
        (table(a="x"), table(a="x", b="y")),
        (table(a="x", b="y"), table(a="x")),
        ({}, table(a="x")),
    ],
)
def test_one_index_at_a_time_is_accepted(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert refused_indexes(before, after) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (table(a="x"), table(a="x", b="y", c="z")),
        (table(a="x", b="y"), {}),
        # A renamed index is one deleted and one created index
        (table(a="x"), table(b="x")),
    ],
)
def test_several_indexes_at_once_are_refused(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert "more than one GSI creation or deletion" in str(refused_indexes(before, after))


def test_another_key_under_an_indexs_name_is_refused() -> None:
    assert "Cannot update GSI's properties" in str(refused_indexes(table(a="x"), table(a="y")))


def test_throughput_of_an_index_may_change() -> None:
    changed = table(a="x")
    changed["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = {"ReadCapacityUnits": 9, "WriteCapacityUnits": 9}
    assert refused_indexes(table(a="x"), changed) is None
