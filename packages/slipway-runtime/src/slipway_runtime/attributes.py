"""JSON values as DynamoDB's attribute values, and back.

boto3's own conversion refuses numbers that DynamoDB holds: its context counts trailing zeros as digits, so 1E+60
written in full fails.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from slipway_runtime.exact_json import number_text


def to_attribute(value: Any) -> dict[str, Any]:
    """Return the DynamoDB attribute of a value from `exact_json.loads`, or of an integer.

    Raises:
        TypeError: The value is not a JSON value.
    """
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is dict:
        return {"M": {key: to_attribute(element) for key, element in value.items()}}
    if kind is list:
        return {"L": [to_attribute(element) for element in value]}
    if value is None:
        return {"NULL": True}
    if kind is bool:
        return {"BOOL": value}
    return {"N": number_text(value)}


def from_attribute(attribute: Mapping[str, Any]) -> Any:
    """Return the JSON value of a DynamoDB attribute. Numbers become `Decimal`.

    Raises:
        TypeError: The attribute is a set or binary, which JSON lacks.
    """
    (kind, value), *_ = attribute.items()
    if kind in {"S", "BOOL"}:
        return value
    if kind == "N":
        return Decimal(value)
    if kind == "M":
        return {key: from_attribute(element) for key, element in value.items()}
    if kind == "L":
        return [from_attribute(element) for element in value]
    if kind == "NULL":
        return None
    raise TypeError(f"{kind} is not JSON")
