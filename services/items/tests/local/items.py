"""What the tests of `items` share."""

from __future__ import annotations

from typing import Any

import httpx

from slipway.emulator.environment import LocalEnvironment
from slipway.testing.emulated import Request

PROBLEM = "application/problem+json"


def assert_problem(response: httpx.Response, status: int, *fields: str) -> dict[str, Any]:
    """The one shape of an error (P18); the fields at fault are exactly these."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    assert response.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = response.json()
    assert problem.keys() >= {"type", "title", "status", "instance", "request_id", "errors"}
    assert problem["status"] == status
    assert problem["request_id"]
    assert tuple(error["field"] for error in problem["errors"]) == fields
    assert all(error["message"] for error in problem["errors"])
    assert "Traceback" not in response.text
    return problem


def create(signed: Request, **fields: Any) -> dict[str, Any]:
    """A new item."""
    response = signed("POST", "/items", json={"name": "kettle", **fields})
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item


def recycle(local: LocalEnvironment, function_arn: str) -> None:
    """End a function's idle execution environments, so that the next call starts one."""
    local.emulator.recycle(function_arn.split(":")[6])
