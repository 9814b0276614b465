import tracemalloc
from decimal import Decimal

import pytest

from slipway_runtime.exact_json import InvalidJsonError, dumps, holds_more, loads
from slipway_runtime.faults import faults


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.10"), "1.1"),
        (Decimal("-0"), "0"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-3"), "0.001"),
        (Decimal("1E+125"), "1E+125"),
        (Decimal("-1.50E-130"), "-1.5E-130"),
        (Decimal(12345678901234567890123456789012345678), "12345678901234567890123456789012345678"),
        (Decimal(10) ** 50, "1E+50"),
        (Decimal("1" + "0" * 37), "1" + "0" * 37),
        (Decimal("0E+999"), "0"),
        (7, "7"),
        (True, "true"),
        (None, "null"),
        ('"\\\n\u0000ä💡', '"\\"\\\\\\n\\u0000ä💡"'),
        ({}, "{}"),
        ([], "[]"),
        ({"b": [1, {"d": 1, "c": 2}], "a": False}, '{"a":false,"b":[1,{"c":2,"d":1}]}'),
    ],
)
def test_values_are_written_in_canonical_form(value: object, text: str) -> None:
    assert dumps(value) == text
    assert loads(text) == value


@pytest.mark.parametrize("value", [0.1, Decimal("NaN"), Decimal("Infinity"), object(), {1, 2}, Decimal("1" * 39)])
def test_values_without_an_exact_form_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        dumps(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a" 1}', "is not JSON: line 1, column 6"),
        ("", "is not JSON: line 1, column 1"),
        ('{"a": 1, "b": {"c": 1, "c": 1}}', "has the key 'c' twice in one object"),
        ("[" * 200_000, "is nested deeper than 20 levels"),
        (b"\xff\xfe", "is not"),
    ],
)
def test_invalid_json_is_refused_with_the_place(text: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidJsonError, match=reason):
        loads(text)


def test_numbers_are_never_floats() -> None:
    assert [type(number) for number in loads("[1, 0.1, 1e5, NaN]")] == [Decimal] * 4


def test_the_path_names_the_invalid_value() -> None:
    assert faults(loads('{"a": [0, {"b/c": NaN}]}'), "data") == [
        ("/data/a/1/b~1c", "is not a number that can be stored")
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1", 1),
        ('"a,b[{"', 1),
        ("[1, 2, 3]", 4),
        ('{"a": 1, "b": {"c": [null, true]}}', 6),
        ('{"a\\"": ["\\\\", ",", "[\\","]}', 5),
        ("[" + ",".join(['","'] * 200) + "]", 201),
        ("[" + ",".join(['"[{,\\""'] * 200) + "]", 201),
        # Text that resembles JSON, and text that ends within a string
        ("[[[[", 5),
        ('"' + "," * 1000, 1),
    ],
)
def test_values_are_counted_before_they_are_parsed(text: str, count: int) -> None:
    assert not holds_more(text, count)
    assert holds_more(text, count - 1)


@pytest.mark.parametrize("text", ['"' + "x" * 6_000_000 + '"', '"' + "\\u0001" * 1_000_000 + '"', '",' * 3_000_000])
def test_counting_the_largest_body_needs_little_memory(text: str) -> None:
    tracemalloc.start()
    try:
        holds_more("," * 200 + text, 100)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(text)
