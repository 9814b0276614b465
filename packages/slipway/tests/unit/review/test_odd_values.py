"""Unexpected values anywhere in a template never break a check."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.review.assembly import Assembly
from slipway.review.comparison import compare
from unit.review.planted import CASES

ODD = st.sampled_from(
    [
        None,
        True,
        7,
        "",
        "x",
        [],
        ["x"],
        [None],
        {},
        {"x": 1},
        [{"x": 1}],
        {"Ref": "x"},
        {"Fn::If": ["x", 1, 2]},
        {"Ref": 7},
    ]
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


def _odd(assembly: Assembly, data: st.DataObject) -> Assembly:
    """Return the assembly with an unexpected value in the properties of its first stack."""
    stack, *others = assembly.stacks
    template = copy.deepcopy(dict(stack.template))
    places = [
        (logical_id, *place)
        for logical_id, resource in template["Resources"].items()
        for section in ("Properties", "UpdatePolicy")
        for place in _places(resource.get(section, {}), (section,))
        if len(place) > 1
    ]
    if places:
        *way, last = data.draw(st.sampled_from(places), "place")
        target = template["Resources"]
        for part in way:
            target = target[part]
        target[last] = data.draw(ODD, "odd")
    return replace(assembly, stacks=(replace(stack, template=template), *others))


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_content_is_read_without_an_error(data: st.DataObject) -> None:
    # Given a planted case with an unexpected value before or after the change
    case = data.draw(st.sampled_from(CASES), "case")
    before, after = _odd(case.before, data), _odd(case.after, data)

    # Then it is compared in both directions
    compare(before, after)
    compare(after, before)
    unchanged = compare(after, after)
    assert not any(stage.stacks for stage in unchanged.stages)
    assert {finding.kind for finding in unchanged.findings} <= {"assembly-unread", "not-looked-up"}
