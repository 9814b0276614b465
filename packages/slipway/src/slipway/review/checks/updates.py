"""Check for changes that AWS refuses in place, and changes that it executes before the code that needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.review.checks.registry import CheckContext, both, on, shown
from slipway.review.findings import ChangeFinding, found
from slipway.review.resources import Pair, ReviewedResource, differences

_INDEXES = "GlobalSecondaryIndexes"
_FREE = frozenset(
    {"ContributorInsightsSpecification", "OnDemandThroughput", "ProvisionedThroughput", "WarmThroughput"}
    | {"ReadOnDemandThroughputSettings", "ReadProvisionedThroughputSettings", "WriteProvisionedThroughputSettings"}
)
"""Properties of an index that can be changed."""


@on("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", judges=f"{_INDEXES} AttributeDefinitions/*/AttributeType")
def indexes(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check a table's indexes: an update may add or remove one index, but cannot change one.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
    """
    if not (sides := both(pair)):
        return
    after = sides[1]
    ones, others = (_indexes(side) for side in sides)
    gone, come = sorted(ones.keys() - others.keys()), sorted(others.keys() - ones.keys())
    for name in gone:
        what = f"the index {name} is removed before the new code is deployed"
        yield found("index-removed", after, what, detail=name)
    if len(gone) + len(come) > 1:
        what = f"{len(gone) + len(come)} indexes are added or removed, {shown([*gone, *come])}; an update allows one"
        do = "deliver one index after the other, each in its own commit"
        yield found("update-refused", after, what, do=do, detail=_INDEXES)
    for name in sorted(ones.keys() & others.keys()):
        changed = [part for part in _parts(ones[name], others[name]) if part not in _FREE]
        if changed:
            what = f"the index {name} changes its {' and '.join(changed)}; an index cannot be changed"
            do = (
                "add an index under a new name, deliver the code that queries it, then remove the old one; each in "
                "its own commit"
            )
            yield found("update-refused", after, what, do=do, detail=name)


def _indexes(table: ReviewedResource) -> dict[str, Mapping[str, Any]]:
    return {str(index.get("IndexName")): index for index in table.entries(_INDEXES)}


def _parts(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    found_parts = (
        difference.path[0]
        # The types contain the order of the key's parts; projected attributes have no order.
        for difference in differences(one, other, is_set=lambda _: True)
    )
    return list(dict.fromkeys(found_parts))


@on("AWS::Cognito::UserPool", judges="Schema")
def attributes(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check users' attributes: they can be added, but neither changed nor removed.

    https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html
    """
    if not (sides := both(pair)):
        return
    ones, others = ({str(one.get("Name")): one for one in side.entries("Schema")} for side in sides)
    for name, attribute in ones.items():
        if name not in others:
            what = f"the attribute {name} is removed; attributes cannot be removed"
            yield found("update-refused", sides[1], what, do="keep it in the schema", detail=name)
        elif changed := _parts(attribute, others[name]):
            what = f"{' and '.join(changed)} of the attribute {name} changes; attributes cannot be changed"
            yield found("update-refused", sides[1], what, do="keep it, or add another attribute", detail=name)
    for name in others.keys() - ones.keys():
        if others[name].get("Required") in {True, "true"}:
            what = f"the new attribute {name} is required; new attributes cannot be required"
            yield found("update-refused", sides[1], what, do="add it without Required", detail=name)
