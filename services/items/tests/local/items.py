"""What the tests of `items` share."""

from __future__ import annotations

from typing import Any

from slipway.emulator.environment import LocalEnvironment
from slipway.testing.emulated import Request


def create(signed: Request, **fields: Any) -> dict[str, Any]:
    """A new item."""
    response = signed("POST", "/items", json={"name": "kettle", **fields})
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item


def recycle(local: LocalEnvironment, function_arn: str) -> None:
    """End a function's idle execution environments, so that the next call starts one."""
    local.emulator.recycle(function_arn.split(":")[6])
