"""Patterns of IAM policies: `*` is any text, `?` any character.

A *reference* (written by `values.py`) stands for text that only the deployment knows, a policy variable for text that
only the request knows. Both are symbols that only match themselves or a `*`.

`covered` is exact, even for unions, because in practice several patterns together may cover one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

OPEN, CLOSE = "\ue000", "\ue001"
"""Delimiters of a reference: private code points, which no template contains."""

REFERENCE = re.compile(f"{OPEN}([^{CLOSE}]*){CLOSE}")

MANY, ONE = "many", "one"
_OTHER = "other"
# Escapes for characters with a special meaning.
_ESCAPED = {"${*}": "*", "${?}": "?", "${$}": "$"}
_SYMBOL = re.compile(rf"{OPEN}[^{CLOSE}]*{CLOSE}|\$\{{[^}}]*\}}|.", re.DOTALL)
_CACHED = 1 << 16

Symbols = tuple[str, ...]
"""A pattern, split: characters have length one, all other symbols are longer."""


@lru_cache(maxsize=_CACHED)
def symbols(pattern: str) -> Symbols:
    """Return a pattern split into characters, wildcards, references and policy variables."""
    found: list[str] = []
    for symbol in _SYMBOL.findall(pattern):
        if symbol == "*":
            if found[-1:] != [MANY]:
                found.append(MANY)
        elif symbol == "?":
            found.append(ONE)
        else:
            found.append(_ESCAPED.get(symbol, symbol))
    return tuple(found)


@lru_cache(maxsize=_CACHED)
def covered(pattern: str, by: frozenset[str]) -> bool:
    """Return True if every text that a pattern matches is matched by at least one of the others.

    Args:
        pattern: A pattern, or a text without wildcards.
        by: The others.
    """
    if pattern in by or "*" in by:
        return True
    inner = symbols(pattern)
    # A pattern with a different beginning or end cannot cover it, which excludes most patterns.
    outer = tuple(cut for cut in map(symbols, by) if _may_cover(cut, inner))
    return bool(outer) and _covered(inner, outer)


def overlaps(one: str, other: str) -> bool:
    """Return True if a text may match both patterns. A reference may be any text."""
    return _overlap(_loose(symbols(one)), _loose(symbols(other)))


def _loose(cut: Symbols) -> Symbols:
    return tuple(symbol if len(symbol) == 1 or symbol == ONE else MANY for symbol in cut)


def _may_cover(outer: Symbols, inner: Symbols) -> bool:
    if not inner or not outer:
        return inner in {(), (MANY,)} and outer in {(), (MANY,)}
    return all(
        mine in {MANY, ONE} or its in {MANY, ONE} or mine == its
        for mine, its in ((outer[0], inner[0]), (outer[-1], inner[-1]))
    )


def _closed(states: Iterable[tuple[int, int]], outer: tuple[Symbols, ...]) -> frozenset[tuple[int, int]]:
    """Return the positions in the outer patterns reachable without a further symbol: a `*` may be empty."""
    closed = set()
    for number, place in states:
        closed.add((number, place))
        if place < len(outer[number]) and outer[number][place] == MANY:
            closed.add((number, place + 1))
    return frozenset(closed)


def _step(states: frozenset[tuple[int, int]], symbol: str, outer: tuple[Symbols, ...]) -> frozenset[tuple[int, int]]:
    """Return the positions in the outer patterns after one more symbol."""
    is_character = len(symbol) == 1 or symbol == _OTHER
    moved = set()
    for number, place in states:
        if place == len(outer[number]):
            continue
        expected = outer[number][place]
        if expected == MANY:
            moved.add((number, place))
        elif expected == symbol or (expected == ONE and is_character):
            moved.add((number, place + 1))
    return _closed(moved, outer)


def _covered(inner: Symbols, outer: tuple[Symbols, ...]) -> bool:
    """Walk the inner pattern and, at once, all places where the outer ones may be: the subset construction."""
    start = (0, _closed(((number, 0) for number in range(len(outer))), outer))
    seen, waiting = {start}, [start]
    while waiting:
        place, states = waiting.pop()
        if place == len(inner):
            if not any(at == len(outer[number]) for number, at in states):
                return False
            continue
        expected = inner[place]
        if expected in {MANY, ONE}:
            # Only characters that an outer pattern distinguishes from others can make a difference.
            told = {outer[number][at] for number, at in states if at < len(outer[number])}
            given = [*(symbol for symbol in told if len(symbol) == 1), _OTHER]
        else:
            given = [expected]
        following = [(place if expected == MANY else place + 1, _step(states, symbol, outer)) for symbol in given]
        if expected == MANY:
            following.append((place + 1, states))
        for reached in following:
            if not reached[1]:
                return False
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    return True


@lru_cache(maxsize=_CACHED)
def _overlap(one: Symbols, other: Symbols) -> bool:
    seen, waiting = {(0, 0)}, [(0, 0)]
    while waiting:
        left, right = waiting.pop()
        if left == len(one) and right == len(other):
            return True
        mine = one[left] if left < len(one) else None
        its = other[right] if right < len(other) else None
        following = []
        if mine == MANY:
            following.append((left + 1, right))
        if its == MANY:
            following.append((left, right + 1))
        if mine and its and (mine == its or {mine, its} & {MANY, ONE}):
            following.append((left + (mine != MANY), right + (its != MANY)))
        for reached in following:
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    return False
