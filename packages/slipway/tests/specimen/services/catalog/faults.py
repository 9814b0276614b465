"""What the rehearsal's faults break in `catalog`, apart from what they break in any service with an API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

BEFORE_THE_HANDLER: Mapping[str, str] = {
    "hook-fails": '    if event["path"] == "/health":\n        return {"statusCode": 503, "body": "{}"}\n',
}
"""Fault → what the handler of the API does first."""

REPLACED: Mapping[str, Sequence[tuple[str, str]]] = {
    "permission-missing": [
        (
            'actions=["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],',
            'actions=["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:UpdateItem"],',
        )
    ],
}
"""Fault → texts of `infrastructure.py`, and what stands there with the fault."""
