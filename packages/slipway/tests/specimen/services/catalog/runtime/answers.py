"""Answers of the API, as API Gateway's proxy integration takes them."""

import json
from typing import Any


def answer(status: int, body: Any = None) -> dict[str, Any]:
    """Return an answer with a JSON body; one of a client's or the service's fault is a problem (RFC 9457)."""
    kind = "application/problem+json" if status >= 400 else "application/json"
    content = {"type": "about:blank", "status": status} if status >= 400 else body
    return {
        "statusCode": status,
        "multiValueHeaders": {"Content-Type": [kind]},
        "body": "" if content is None else json.dumps(content),
    }
