"""Check cache keys: answers are no longer distinguished by a removed part of the key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from slipway.review.checks.registry import CheckContext, both, on, shown, words
from slipway.review.findings import ChangeFinding, Severity, found
from slipway.review.resources import Pair, ReviewedResource

_KEY: Final = "CachePolicyConfig.ParametersInCacheKeyAndForwardedToOrigin"
_PARTS: Final = (("Cookie", "Cookies"), ("Header", "Headers"), ("QueryString", "QueryStrings"))


@on(
    "AWS::CloudFront::CachePolicy",
    judges=" ".join(f"{_KEY.replace('.', '/')}/{plural}Config" for _, plural in _PARTS),
)
def cache_policy(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Yield headers, cookies and parameters that are removed from a cache key, or added to it."""
    if not (sides := both(pair)):
        return
    after = sides[1]
    for singular, plural in _PARTS:
        config = f"{_KEY}.{plural}Config"
        old, new = (side.get(config) for side in sides)
        if old == new:
            continue
        before_key, after_key = (_Held.read(side, config, singular, plural) for side in sides)
        if not after_key.holds(before_key):
            what = f"answers are distinguished by {after_key} of the {plural.lower()}, and no longer by {before_key}"
            yield found("cache-key-narrowed", after, what, detail=plural)
        elif not before_key.holds(after_key):
            what = f"the origin receives, and answers are cached by, {after_key} of the {plural.lower()}"
            yield found("interface-changed", after, what, severity=Severity.LOW, detail=plural)


class _Held:
    """The headers, cookies or parameters in a key: some, or all except some."""

    def __init__(self, names: frozenset[str], *, others: bool) -> None:
        self._names = names
        self._others = others

    @classmethod
    def read(cls, policy: ReviewedResource, config: str, singular: str, plural: str) -> _Held:
        names = words(policy.get(f"{config}.{plural}"))
        match policy.get(f"{config}.{singular}Behavior", "none"):
            case "none":
                return cls(frozenset(), others=False)
            case "all":
                return cls(frozenset(), others=True)
            case "allExcept":
                return cls(names, others=True)
        return cls(names, others=False)

    def __str__(self) -> str:
        names = shown(", ".join(sorted(self._names))) if self._names else ""
        if self._others:
            return f"all but {names}" if names else "all"
        return names or "none"

    def holds(self, other: _Held) -> bool:
        """Return True if it contains everything that another key contains."""
        if self._others:
            return self._names <= other._names if other._others else not self._names & other._names
        return not other._others and other._names <= self._names
