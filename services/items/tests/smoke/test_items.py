"""Smoke tests of `items`: a few calls, each of which needs another part of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from slipway.testing.smoke import DeployedService


@pytest.fixture
def item(deployed: DeployedService) -> Iterator[dict[str, Any]]:
    """Create an item with a unique status, and delete it afterwards in any case."""
    # The status is new, so no edge cache has its list
    response = deployed.signed("POST", "items", json={"name": "smoke test", "status": f"smoke-{uuid4().hex[:16]}"})
    assert response.status_code == 201, response.text
    created = response.json()
    try:
        yield created
    finally:
        # A read may be cached by the edge, and would not give the current version
        for version in range(1, 4):
            answer = deployed.signed("DELETE", f"items/{created['id']}", headers={"If-Match": f'"{version}"'})
            if answer.status_code in {204, 404}:
                break


def test_the_service_is_healthy(deployed: DeployedService) -> None:
    response = deployed.http.get(deployed.outputs["HealthEndpoint"])
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "ok"


def test_a_write_without_a_signature_is_refused(deployed: DeployedService) -> None:
    response = deployed.unsigned("POST", "items", json={"name": "smoke test"})
    assert response.status_code == 403, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_a_read_past_the_edge_is_refused(deployed: DeployedService) -> None:
    response = deployed.unsigned("GET", "items")
    assert response.status_code == 403, response.text
    assert [error["field"] for error in response.json()["errors"]] == ["X-Origin-Verify"]


def test_a_listed_item_is_read_as_it_was_listed(deployed: DeployedService) -> None:
    # Given the newest items, which others may be changing
    page = deployed.edge("GET", "items?limit=5")
    assert page.status_code == 200, page.text
    listed = {item["id"]: item for item in page.json()["items"]}
    # When they are read one by one
    answers = [deployed.edge("GET", f"items/{item_id}") for item_id in listed]
    read = [answer.json() for answer in answers if answer.status_code == 200]
    # Then list and read are equal for the same version
    same = [item for item in read if item["version"] == listed[item["id"]]["version"]]
    assert same or not listed
    assert same == [listed[item["id"]] for item in same]


@pytest.mark.writes
def test_an_item_is_created_read_replaced_listed_and_deleted(deployed: DeployedService, item: dict[str, Any]) -> None:
    path, status = f"items/{item['id']}", item["status"]

    # When it is read through the edge
    read = deployed.edge("GET", path)
    # Then it is the created item
    assert read.status_code == 200, read.text
    assert read.json() == item

    # When it is replaced on condition that it is unchanged
    replacement = {"name": "smoke test, replaced", "status": status}
    replaced = deployed.signed("PUT", path, json=replacement, headers={"If-Match": read.headers["ETag"]})
    # Then this succeeds once
    assert replaced.status_code == 200, replaced.text
    assert replaced.json()["version"] == 2
    stale = deployed.signed("PUT", path, json=replacement, headers={"If-Match": read.headers["ETag"]})
    assert stale.status_code == 412, stale.text

    # When the items with its status are listed
    # Then it is the only one
    assert _listed(deployed, status, replaced.json()) == {"items": [replaced.json()], "next_cursor": None}

    # When it is deleted
    deleted = deployed.signed("DELETE", path, headers={"If-Match": replaced.headers["ETag"]})
    # Then it cannot be deleted again
    assert deleted.status_code == 204, deleted.text
    assert deployed.signed("DELETE", path, headers={"If-Match": replaced.headers["ETag"]}).status_code == 404


def _listed(deployed: DeployedService, status: str, expected: dict[str, Any]) -> Any:
    """Return the list of a status, once the eventually consistent index has the expected item."""
    for attempt in range(10):
        # Use a different limit each time, since the edge caches the list
        response = deployed.edge("GET", f"items?status={status}&limit={10 + attempt}")
        assert response.status_code == 200, response.text
        if expected in response.json()["items"]:
            break
        time.sleep(0.5)
    return response.json()
