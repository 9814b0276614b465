"""Helpers for the tests of `items`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from slipway.emulator.environment import LocalEnvironment
from slipway.testing.emulated import Request


def create(signed: Request, **fields: Any) -> dict[str, Any]:
    """Create an item and return it."""
    response = signed("POST", "/items", json={"name": "kettle", **fields})
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item


def recycle(local: LocalEnvironment, function_arn: str) -> None:
    """End a function's idle execution environments, so that the next call starts one."""
    local.emulator.recycle(function_arn.split(":")[6])


@contextmanager
def closed_bucket(root: boto3.Session, bucket: str, prefix: str) -> Iterator[None]:
    """Deny everyone the objects under a prefix of a bucket for a while."""
    s3 = root.client("s3")
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    document = json.loads(policy)
    refusal = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/{prefix}*",
    }
    document["Statement"].append(refusal)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
