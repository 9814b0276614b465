"""AWS regions, from the installed botocore's data."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from functools import cache

from botocore.loaders import create_loader


@cache
def regions() -> frozenset[str]:
    """Return the names of all regions of all partitions, from botocore's own data."""
    partitions = create_loader().load_data("partitions")["partitions"]
    names = {name for partition in partitions for name in partition["regions"]}
    return frozenset(name for name in names if not name.endswith("-global"))


def known_region(name: str) -> str:
    """Return the name of a region unchanged.

    Raises:
        ValueError: botocore doesn't know the region. The message names the most similar one.
    """
    if name not in regions():
        nearest = min(sorted(regions()), key=lambda region: _distance(name, region))
        raise ValueError(f"{name!r} is not an AWS region in botocore's data; did you mean {nearest!r}?")
    return name


def _distance(name: str, region: str) -> tuple[int, float]:
    """Return how much a name differs from a region's: first by letters in any order, then by sequence."""
    here, there = Counter(name), Counter(region)
    return ((here - there).total() + (there - here).total(), -SequenceMatcher(None, name, region).ratio())
