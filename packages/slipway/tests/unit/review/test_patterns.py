"""Patterns of policies: what one covers of another is exactly what it matches."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.review.patterns import CLOSE, OPEN, covered, overlaps, symbols

TABLE = f"{OPEN}333333333333/us-east-1/prod-items-data/Table.Arn{CLOSE}"


def _covered(pattern: str, *by: str) -> bool:
    return covered(pattern, frozenset(by))


@pytest.mark.parametrize(
    ("pattern", "by"),
    [
        ("s3:getobject", ["s3:getobject"]),
        ("s3:getobject", ["s3:get*"]),
        ("s3:get*", ["s3:*"]),
        ("s3:get*", ["*"]),
        ("arn:aws:s3:::a/b/*", ["arn:aws:s3:::a/*"]),
        ("a*", ["a", "a?*"]),
        ("*a", ["?*"]),
        ("a??", ["a?*"]),
        (f"{TABLE}/index/*", [f"{TABLE}/*"]),
        (TABLE, [TABLE]),
        (TABLE, ["*"]),
        ("arn:${aws:PrincipalTag/team}/x", ["arn:*"]),
        ("a**b", ["a*b"]),
        ("", ["*"]),
        ("${*}", ["${*}"]),
    ],
)
def test_what_is_covered(pattern: str, by: list[str]) -> None:
    assert _covered(pattern, *by)


@pytest.mark.parametrize(
    ("pattern", "by"),
    [
        ("s3:*", ["s3:get*"]),
        ("s3:get*", ["s3:getobject", "s3:getobjectacl"]),
        ("arn:aws:s3:::a/*", ["arn:aws:s3:::a/b/*"]),
        ("a*", ["a", "a?"]),
        ("a*b", ["a?*b"]),
        ("a?", ["ab"]),
        (TABLE, [f"{TABLE}/*"]),
        (f"{TABLE}*", [TABLE]),
        # Nobody knows what a reference will be
        (TABLE, ["arn:aws:dynamodb:*"]),
        ("${aws:username}", ["?*"]),
        ("${aws:username}", ["${aws:userid}"]),
        # An escaped star is a star
        ("*", ["${*}"]),
        ("abc", ["${*}"]),
        ("a", []),
    ],
)
def test_what_is_not_covered(pattern: str, by: list[str]) -> None:
    assert not _covered(pattern, *by)


def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(symbol, re.escape(symbol)) for symbol in pattern))


PATTERNS = st.text(alphabet="ab*?", max_size=5)


@given(pattern=PATTERNS, by=st.frozensets(PATTERNS, max_size=3))
@settings(max_examples=150, deadline=None)
def test_covered_is_inclusion_of_what_is_matched(pattern: str, by: frozenset[str]) -> None:
    # Given every word of up to seven letters, one of which no pattern names
    words = ("".join(letters) for length in range(8) for letters in itertools.product("abc", repeat=length))
    inner, outer = _regex(pattern), [_regex(other) for other in by]
    missed = [word for word in words if inner.fullmatch(word) and not any(other.fullmatch(word) for other in outer)]

    # Then it is covered exactly where no word is missed
    assert covered(pattern, by) is (not missed), missed[:3]


@given(one=PATTERNS, other=PATTERNS)
@settings(max_examples=100, deadline=None)
def test_overlapping_is_having_a_word_in_common(one: str, other: str) -> None:
    words = ("".join(letters) for length in range(7) for letters in itertools.product("abc", repeat=length))
    common = any(_regex(one).fullmatch(word) and _regex(other).fullmatch(word) for word in words)

    # A word in common may be longer than those that were tried
    assert overlaps(one, other) or not common
    if "*" not in one + other:
        assert overlaps(one, other) is common


def test_a_reference_may_be_anything_where_it_is_denied() -> None:
    assert overlaps(TABLE, "arn:aws:dynamodb:*")
    assert overlaps(f"{TABLE}/index/a", "arn:*/index/*")
    assert not overlaps(f"{TABLE}/index/a", "*/table")


def test_references_and_variables_are_one_symbol() -> None:
    assert symbols(f"a{TABLE}${{aws:userid}}?") == ("a", TABLE, "${aws:userid}", "one")
