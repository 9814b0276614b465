"""Check the format of services' errors (RFC 9457)."""

from __future__ import annotations

from typing import Any

import httpx

PROBLEM = "application/problem+json"


def read_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem in an answer; fail if it isn't one with that status."""
    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == PROBLEM
    assert response.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = response.json()
    assert problem.keys() >= {"type", "title", "status", "instance", "request_id", "errors"}
    assert problem["status"] == status
    assert problem["request_id"]
    assert all(error["message"] for error in problem["errors"])
    assert "Traceback" not in response.text
    return problem


def assert_problem(response: httpx.Response, status: int, *fields: str) -> dict[str, Any]:
    """Return the problem in an answer; fail if the fields at fault are not exactly these."""
    problem = read_problem(response, status)
    assert tuple(error["field"] for error in problem["errors"]) == fields
    return problem
