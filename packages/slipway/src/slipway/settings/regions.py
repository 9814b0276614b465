"""The regions of AWS, as the installed botocore knows them."""

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
    """Return the name of a region as it is.

    Raises:
        ValueError: botocore knows no such region; the message names the nearest.
    """
    if name not in regions():
        nearest = min(sorted(regions()), key=lambda region: _distance(name, region))
        raise ValueError(f"{name!r} is not a region that botocore knows; did you mean {nearest!r}?")
    return name


def _distance(name: str, region: str) -> tuple[int, float]:
    """Return how far a name is from a region: by letters, whatever their order, then by sequence."""
    here, there = Counter(name), Counter(region)
    return ((here - there).total() + (there - here).total(), -SequenceMatcher(None, name, region).ratio())
