"""Concurrent writers lose nothing, and create nothing twice."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import boto3
import httpx
import pytest

from services.items.tests.local.items import create
from slipway.emulator.environment import Outputs
from slipway.testing.emulated import Request
from slipway.testing.problems import assert_problem

WRITERS = 16
INCREMENTS = 2
REPETITIONS = 50
# Many functions start at the same time, so a busy machine answers late or not at all: then a client retries
PATIENCE = 120
TRY_AGAIN = {429, 500, 502, 503, 504}


@pytest.mark.requirement("items: no duplicate, no lost update")
def test_writers_of_one_item_lose_nothing(signed: Request, edge: Request) -> None:
    # Given an item with a counter, and writers that increment it until they succeed
    item = create(signed, data={"count": 0})
    path = f"/items/{item['id']}"
    ready = Barrier(WRITERS)

    def increment(seed: int) -> Counter[int]:
        chance = random.Random(seed)
        answers: Counter[int] = Counter()
        ready.wait()
        while answers[200] < INCREMENTS:
            read = edge("GET", path, timeout=PATIENCE)
            if read.status_code == 200:
                changed = {"name": item["name"], "data": {"count": read.json()["data"]["count"] + 1}}
                tag = {"If-Match": read.headers["etag"]}
                answers[signed("PUT", path, json=changed, headers=tag, timeout=PATIENCE).status_code] += 1
            time.sleep(chance.uniform(0, 0.2))
        return answers

    # When they all write concurrently
    with ThreadPoolExecutor(WRITERS) as pool:
        answers = sum(pool.map(increment, range(WRITERS)), Counter[int]())

    # Then no increment is lost, and late writers got a 412
    final = edge("GET", path).json()
    assert final["version"] == 1 + final["data"]["count"]
    # A write that failed may have been carried out
    failed = sum(answers[status] for status in TRY_AGAIN)
    assert WRITERS * INCREMENTS <= final["data"]["count"] <= WRITERS * INCREMENTS + failed
    assert answers[412] > 0
    assert answers.keys() <= {200, 412} | TRY_AGAIN


@pytest.mark.requirement("items: no duplicate, no lost update")
def test_concurrent_requests_with_a_key_create_one_item(
    signed: Request, session: Callable[..., boto3.Session], outputs: Outputs
) -> None:
    # Given a request that is repeated before it is answered, by clients that retry when told to
    name, key = f"once {uuid4()}", uuid4().hex
    ready = Barrier(REPETITIONS)

    end = time.monotonic() + 240

    def insist(seed: int) -> httpx.Response:
        chance = random.Random(seed)
        ready.wait()
        while True:
            response = signed("POST", "/items", json={"name": name}, headers={"Idempotency-Key": key}, timeout=PATIENCE)
            if response.status_code == 409:
                assert_problem(response, 409, "Idempotency-Key")
            elif response.status_code not in TRY_AGAIN:
                return response
            assert time.monotonic() < end, response.text
            time.sleep(chance.uniform(0.5, 1.5))

    # When all of them arrive at the same time
    with ThreadPoolExecutor(REPETITIONS) as pool:
        answers = list(pool.map(insist, range(REPETITIONS)))

    # Then all get the same item
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    # And the table contains one
    pages = (
        session()
        .client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=outputs["items"]["TableName"],
            FilterExpression="#name = :name",
            ExpressionAttributeNames={"#name": "name"},
            ExpressionAttributeValues={":name": {"S": name}},
            ConsistentRead=True,
        )
    )
    assert [item["id"]["S"] for page in pages for item in page["Items"]] == [answers[0].json()["id"]]
