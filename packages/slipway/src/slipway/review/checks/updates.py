"""What AWS refuses to change in place, and what it executes before the code that needs it."""

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
"""What of an index can be changed."""


@on("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", judges=f"{_INDEXES} AttributeDefinitions/*/AttributeType")
def indexes(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Indexes of a table: one may come or go in an update, and none may become another.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
    """
    if not (sides := both(pair)):
        return
    after = sides[1]
    ones, others = (_indexes(side) for side in sides)
    gone, come = sorted(ones.keys() - others.keys()), sorted(others.keys() - ones.keys())
    for name in gone:
        what = f"the index {name} is removed, before the new code is there"
        yield found("index-removed", after, what, detail=name)
    if len(gone) + len(come) > 1:
        what = f"{len(gone) + len(come)} indexes come and go, {shown([*gone, *come])}; an update takes one"
        do = "deliver one index after the other, each in a commit of its own"
        yield found("update-refused", after, what, do=do, detail=_INDEXES)
    for name in sorted(ones.keys() & others.keys()):
        changed = [part for part in _parts(ones[name], others[name]) if part not in _FREE]
        if changed:
            what = f"the index {name} has another {' and '.join(changed)}; an index cannot become another"
            do = (
                "add an index under a new name, deliver the code that asks it, then remove the old one; each in a "
                "commit of its own"
            )
            yield found("update-refused", after, what, do=do, detail=name)


def _indexes(table: ReviewedResource) -> dict[str, Mapping[str, Any]]:
    return {str(index.get("IndexName")): index for index in table.entries(_INDEXES)}


def _parts(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    found_parts = (
        difference.path[0]
        # The order of the key's parts is in their types, and what is projected has none.
        for difference in differences(one, other, is_set=lambda _: True)
    )
    return list(dict.fromkeys(found_parts))


@on("AWS::Cognito::UserPool", judges="Schema")
def attributes(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Attributes of users: they can be added, and neither changed nor removed.

    https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html
    """
    if not (sides := both(pair)):
        return
    ones, others = ({str(one.get("Name")): one for one in side.entries("Schema")} for side in sides)
    for name, attribute in ones.items():
        if name not in others:
            what = f"the attribute {name} goes; attributes cannot be removed"
            yield found("update-refused", sides[1], what, do="keep it in the schema", detail=name)
        elif changed := _parts(attribute, others[name]):
            what = f"{' and '.join(changed)} of the attribute {name} changes; attributes cannot be changed"
            yield found("update-refused", sides[1], what, do="keep it, or add another attribute", detail=name)
    for name in others.keys() - ones.keys():
        if others[name].get("Required") in {True, "true"}:
            what = f"the attribute {name} is added and required; what is added cannot be required"
            yield found("update-refused", sides[1], what, do="add it without Required", detail=name)
