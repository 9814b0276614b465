"""Rules on Lambda SnapStart: its regions."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.rules.aws.functions import FUNCTION
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Templates

_PAGE = "https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html#snapstart-supported-regions"

WITHOUT = frozenset({"ap-east-2", "ap-southeast-6"})
"""Commercial regions that lack SnapStart: Taipei and New Zealand."""

_OTHER_PARTITIONS = ("cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-")
"""Prefixes of regions outside the commercial partition; the page promises SnapStart only in commercial regions."""


def _without_snapshots(templates: Templates) -> Iterator[Found]:
    for function in templates.of_type(FUNCTION):
        if function.get("SnapStart", "ApplyOn") not in {None, "None"} and lacks_snap_start(function.stack.region):
            yield Found(function.stack, function.logical_id)


def lacks_snap_start(region: str) -> bool:
    """Return True if Lambda lacks SnapStart in a region; False for an unresolved one."""
    return region in WITHOUT or region.startswith(_OTHER_PARTITIONS)


RULES = (
    AwsRule(
        name="NoSnapStartHere",
        does="SnapStart is available in commercial regions except Taipei (ap-east-2) and New Zealand (ap-southeast-6); "
        "elsewhere Lambda refuses a function with it.",
        says="The function uses SnapStart in a region without it, so its deployment fails.",
        fix="Remove snap_start from this environment's file, or use provisioned_concurrency.",
        source=_PAGE,
        check=_without_snapshots,
        planted={
            "Function": {
                "Type": FUNCTION,
                "Properties": {"SnapStart": {"ApplyOn": "PublishedVersions"}},
            }
        },
        planted_in="ap-east-2",
    ),
)
