from decimal import Decimal

import pytest

from slipway_runtime.attributes import from_attribute, to_attribute


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        ("text", {"S": "text"}),
        ("", {"S": ""}),
        (True, {"BOOL": True}),
        (None, {"NULL": True}),
        (7, {"N": "7"}),
        (Decimal("1.5"), {"N": "1.5"}),
        (Decimal("1E+60"), {"N": "1E+60"}),
        ([1, ["a"]], {"L": [{"N": "1"}, {"L": [{"S": "a"}]}]}),
        ({"a": {}, "b": []}, {"M": {"a": {"M": {}}, "b": {"L": []}}}),
    ],
)
def test_values_have_their_attribute(value: object, attribute: dict[str, object]) -> None:
    assert to_attribute(value) == attribute
    assert from_attribute(attribute) == value


def test_numbers_without_exponent_are_equal() -> None:
    assert from_attribute({"N": "1" + "0" * 125}) == Decimal("1E+125")
    assert from_attribute({"N": "0." + "0" * 129 + "1"}) == Decimal("1E-130")


@pytest.mark.parametrize("value", [0.5, object(), Decimal("NaN"), Decimal("1" * 39)])
def test_values_that_are_not_json_have_no_attribute(value: object) -> None:
    with pytest.raises(TypeError):
        to_attribute(value)


@pytest.mark.parametrize("attribute", [{"B": b""}, {"SS": ["a"]}])
def test_attributes_that_are_not_json_are_not_read(attribute: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        from_attribute(attribute)
