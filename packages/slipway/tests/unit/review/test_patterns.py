"""Policy patterns: one covers another exactly if it matches everything the other matches."""

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
def test_covered_patterns(pattern: str, by: list[str]) -> None:
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
        # The value of a reference is unknown
        (TABLE, ["arn:aws:dynamodb:*"]),
        ("${aws:username}", ["?*"]),
        ("${aws:username}", ["${aws:userid}"]),
        # An escaped star is a literal star
        ("*", ["${*}"]),
        ("abc", ["${*}"]),
        ("a", []),
    ],
)
def test_patterns_that_are_not_covered(pattern: str, by: list[str]) -> None:
    assert not _covered(pattern, *by)


def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(symbol, re.escape(symbol)) for symbol in pattern))


PATTERNS = st.text(alphabet="ab*?", max_size=5)


@given(pattern=PATTERNS, by=st.frozensets(PATTERNS, max_size=3))
@settings(max_examples=150, deadline=None)
def test_covered_means_every_match_is_included(pattern: str, by: frozenset[str]) -> None:
    # Given every word of up to seven letters, including one letter that no pattern contains
    words = ("".join(letters) for length in range(8) for letters in itertools.product("abc", repeat=length))
    inner, outer = _regex(pattern), [_regex(other) for other in by]
    missed = [word for word in words if inner.fullmatch(word) and not any(other.fullmatch(word) for other in outer)]

    # Then the pattern is covered exactly if every word that it matches is matched by the others
    assert covered(pattern, by) is (not missed), missed[:3]


@given(one=PATTERNS, other=PATTERNS)
@settings(max_examples=100, deadline=None)
def test_overlapping_patterns_have_a_common_word(one: str, other: str) -> None:
    words = ("".join(letters) for length in range(7) for letters in itertools.product("abc", repeat=length))
    common = any(_regex(one).fullmatch(word) and _regex(other).fullmatch(word) for word in words)

    # A common word may be longer than those tried
    assert overlaps(one, other) or not common
    if "*" not in one + other:
        assert overlaps(one, other) is common


def test_a_denied_reference_may_be_anything() -> None:
    assert overlaps(TABLE, "arn:aws:dynamodb:*")
    assert overlaps(f"{TABLE}/index/a", "arn:*/index/*")
    assert not overlaps(f"{TABLE}/index/a", "*/table")


def test_references_and_variables_are_single_symbols() -> None:
    assert symbols(f"a{TABLE}${{aws:userid}}?") == ("a", TABLE, "${aws:userid}", "one")
