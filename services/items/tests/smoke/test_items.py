"""`items` stands: a handful of calls, each of which needs another part of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from slipway.testing.smoke import DeployedService


@pytest.fixture(scope="module")
def items(deployed: DeployedService) -> DeployedService:
    """The service `items` where it is deployed."""
    return deployed


@pytest.fixture
def item(items: DeployedService) -> Iterator[dict[str, Any]]:
    """An item of a status of its own, gone afterwards whatever became of it."""
    # A status that nobody asked for before: no cache of the edge knows its list.
    response = items.signed("POST", "items", json={"name": "smoke test", "status": f"smoke-{uuid4().hex[:16]}"})
    assert response.status_code == 201, response.text
    created = response.json()
    try:
        yield created
    finally:
        # The version that is there now is told by no read that the edge may have cached.
        for version in range(1, 4):
            answer = items.signed("DELETE", f"items/{created['id']}", headers={"If-Match": f'"{version}"'})
            if answer.status_code in {204, 404}:
                break


def test_the_service_is_healthy(items: DeployedService) -> None:
    response = items.http.get(items.outputs["HealthEndpoint"])
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "ok"


def test_a_write_without_a_signature_is_refused(items: DeployedService) -> None:
    response = items.unsigned("POST", "items", json={"name": "smoke test"})
    assert response.status_code == 403, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_a_read_past_the_edge_is_refused(items: DeployedService) -> None:
    response = items.unsigned("GET", "items")
    assert response.status_code == 403, response.text
    assert [error["field"] for error in response.json()["errors"]] == ["X-Origin-Verify"]


def test_a_listed_item_is_read_as_it_was_listed(items: DeployedService) -> None:
    # Given the newest items, some of which others may be about to write
    page = items.edge("GET", "items?limit=5")
    assert page.status_code == 200, page.text
    listed = {item["id"]: item for item in page.json()["items"]}
    # When they are read one by one
    answers = [items.edge("GET", f"items/{item_id}") for item_id in listed]
    read = [answer.json() for answer in answers if answer.status_code == 200]
    # Then both say the same of each version
    same = [item for item in read if item["version"] == listed[item["id"]]["version"]]
    assert same or not listed
    assert same == [listed[item["id"]] for item in same]


@pytest.mark.writes
def test_an_item_is_created_read_replaced_listed_and_deleted(items: DeployedService, item: dict[str, Any]) -> None:
    path, status = f"items/{item['id']}", item["status"]

    # When it is read through the edge
    read = items.edge("GET", path)
    # Then it is what was created
    assert read.status_code == 200, read.text
    assert read.json() == item

    # When it is replaced on the condition that it is as it was read
    replacement = {"name": "smoke test, replaced", "status": status}
    replaced = items.signed("PUT", path, json=replacement, headers={"If-Match": read.headers["ETag"]})
    # Then that works once
    assert replaced.status_code == 200, replaced.text
    assert replaced.json()["version"] == 2
    stale = items.signed("PUT", path, json=replacement, headers={"If-Match": read.headers["ETag"]})
    assert stale.status_code == 412, stale.text

    # When those of its status are listed
    # Then it is the one
    assert _listed(items, status, replaced.json()) == {"items": [replaced.json()], "next_cursor": None}

    # When it is deleted
    deleted = items.signed("DELETE", path, headers={"If-Match": replaced.headers["ETag"]})
    # Then there is nothing left to delete
    assert deleted.status_code == 204, deleted.text
    assert items.signed("DELETE", path, headers={"If-Match": replaced.headers["ETag"]}).status_code == 404


def _listed(items: DeployedService, status: str, expected: dict[str, Any]) -> Any:
    """The list of a status, given an index time to follow: DynamoDB's indexes are eventually consistent."""
    for attempt in range(10):
        # Another limit each time, or the edge would answer with the list that it has.
        response = items.edge("GET", f"items?status={status}&limit={10 + attempt}")
        assert response.status_code == 200, response.text
        if expected in response.json()["items"]:
            break
        time.sleep(0.5)
    return response.json()
