"""Conditions of policy statements, and which conditions imply others."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from slipway.review.assembly import Json
from slipway.review.patterns import covered

_FOR_ALL = "forallvalues:"
_SET_OPERATORS = (_FOR_ALL, "foranyvalue:")
_IF_EXISTS = "ifexists"
_LIKE = frozenset({"stringlike", "arnlike", "arnequals"})
"""Operators whose values may contain wildcards; ArnEquals is another name for ArnLike."""

# Operator → operators that it implies for the same values.
_FOLLOWING: Final[Mapping[str, frozenset[str]]] = {
    "stringequals": frozenset({"stringequals", "stringequalsignorecase", "stringlike"}),
    "stringlike": frozenset({"stringlike"}),
    "arnequals": _LIKE - {"stringlike"},
    "arnlike": _LIKE - {"stringlike"},
    "stringnotlike": frozenset({"stringnotlike", "stringnotequals"}),
    "stringnotequalsignorecase": frozenset({"stringnotequalsignorecase", "stringnotequals"}),
    "arnnotequals": frozenset({"arnnotequals", "arnnotlike"}),
    "arnnotlike": frozenset({"arnnotequals", "arnnotlike"}),
}
_COMPARED = re.compile(r"(numeric|date)(less|greater)than(equals)?")


@dataclass(frozen=True, order=True)
class Condition:
    """One key of a condition block. It holds if one of the values matches, or if none does for a negated operator.

    Args:
        operator: `stringequals`, … in lower case, with its prefix and suffix.
        key: `aws:sourcearn`, … in lower case.
        values: Values to compare the request's value with.
    """

    operator: str
    key: str
    values: frozenset[str]

    def __str__(self) -> str:
        return f"{self.key} {self.operator} {' or '.join(sorted(self.values))}"

    @property
    def comparison(self) -> str:
        """Its operator without the parts about sets and missing keys: `stringlike`."""
        return _parts(self.operator)[1]

    @property
    def needs_key(self) -> bool:
        """Return True if it cannot hold for a request without the key."""
        prefix, operator, optional = _parts(self.operator)
        return not optional and prefix != _FOR_ALL and "not" not in operator and operator != "null"


def read_conditions(block: Json) -> frozenset[Condition]:
    """Return the conditions of a statement, all of which must hold.

    An unreadable one counts as a condition that no other implies.
    """
    return frozenset(_read(block))


def _read(block: Json) -> Iterator[Condition]:
    if block is None:
        return
    if not isinstance(block, Mapping):
        yield Condition("unreadable", "", frozenset({json.dumps(block, sort_keys=True, default=str)}))
        return
    for operator, keys in block.items():
        if not isinstance(keys, Mapping):
            yield Condition("unreadable", operator, frozenset({json.dumps(keys, sort_keys=True, default=str)}))
            continue
        for key, values in keys.items():
            listed = values if isinstance(values, list) else [values]
            yield Condition(operator.lower(), str(key).lower(), frozenset(map(_text, listed)))


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def implies(stricter: Iterable[Condition], looser: Iterable[Condition]) -> bool:
    """Return True if every request that meets the stricter conditions also meets the looser ones.

    False if that is unknown: a statement is then reported rather than missed.
    """
    given = list(stricter)
    return all(any(_implies(one, wanted) for one in given) for wanted in looser)


def _implies(given: Condition, wanted: Condition) -> bool:
    if given == wanted:
        return True
    if given.key != wanted.key:
        return False
    (given_set, given_operator, given_optional) = _parts(given.operator)
    (wanted_set, wanted_operator, wanted_optional) = _parts(wanted.operator)
    # Optional: it also holds if the request lacks the key.
    if given_set != wanted_set or (given_optional and not wanted_optional):
        return False
    if (one := _COMPARED.fullmatch(given_operator)) and (other := _COMPARED.fullmatch(wanted_operator)):
        return one[1] == other[1] == "numeric" and one[2] == other[2] and _further(given, wanted, one[2], one, other)
    if wanted_operator not in _FOLLOWING.get(given_operator, {given_operator}):
        return False
    negated = "not" in given_operator
    narrow, wide = (wanted, given) if negated else (given, wanted)
    narrow_operator, wide_operator = (wanted_operator, given_operator) if negated else (given_operator, wanted_operator)
    return _values_within(narrow, narrow_operator.replace("not", ""), wide, wide_operator.replace("not", ""))


def _parts(operator: str) -> tuple[str, str, bool]:
    prefix = next((found for found in _SET_OPERATORS if operator.startswith(found)), "")
    rest = operator.removeprefix(prefix)
    return prefix, rest.removesuffix(_IF_EXISTS), rest.endswith(_IF_EXISTS)


def _further(given: Condition, wanted: Condition, way: str, one: re.Match[str], other: re.Match[str]) -> bool:
    """Return True if one bound is within another."""
    try:
        ours, theirs = ([float(value) for value in side.values] for side in (given, wanted))
    except ValueError:
        return False
    if not ours or not theirs:
        return False
    bound, limit = (max(ours), max(theirs)) if way == "less" else (min(ours), min(theirs))
    if bound == limit:
        return bool(other[3]) or not one[3]
    return bound < limit if way == "less" else bound > limit


def _values_within(narrow: Condition, operator: str, wide: Condition, wide_operator: str) -> bool:
    if wide_operator == "ipaddress":
        return all(any(_inside(one, other) for other in wide.values) for one in narrow.values)
    if wide_operator == "stringequalsignorecase":
        return {value.lower() for value in narrow.values} <= {value.lower() for value in wide.values}
    if wide_operator in _LIKE:
        literal = operator not in _LIKE
        return all(covered(_escaped(value) if literal else value, wide.values) for value in narrow.values)
    return narrow.values <= wide.values


def _escaped(value: str) -> str:
    """Return a text without wildcards, so that its stars are literal."""
    return value.replace("*", "${*}").replace("?", "${?}")


def _inside(one: str, other: str) -> bool:
    try:
        inner, outer = ipaddress.ip_network(one, strict=False), ipaddress.ip_network(other, strict=False)
        return inner.version == outer.version and outer.supernet_of(inner)  # type: ignore[arg-type]
    except ValueError:
        return one == other
