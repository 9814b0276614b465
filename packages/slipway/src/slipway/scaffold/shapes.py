"""Shapes of new services, and their texts for the templates."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Shape(StrEnum):
    """Source of a service's work."""

    REST = "rest"
    HTTP = "http"
    QUEUE = "queue"
    STREAM = "stream"
    SCHEDULE = "schedule"

    @property
    def has_api(self) -> bool:
        """True if it has an API; otherwise it has a worker."""
        return self in {Shape.REST, Shape.HTTP}

    @property
    def function(self) -> str:
        """Name of the function's entry module."""
        return "api" if self.has_api else "worker"


_BATCHES = {
    "idle_event": '{"Records": []}',
    "idle_answer": '{"batchItemFailures": []}',
}

WORDS: Mapping[Shape, Mapping[str, str]] = {
    Shape.REST: {
        "summary": "records behind a REST API, for callers with IAM credentials",
        "callers": "callers with IAM permission",
        "entry": "RestEntry",
    },
    Shape.HTTP: {
        "summary": "records behind an HTTP API, for users who sign in",
        "callers": "signed-in users, for their own records",
        "entry": "HttpEntry",
    },
    Shape.QUEUE: {
        "summary": "messages of a queue, each stored once",
        "does": "Stores each message of the queue",
        "invoked": "Once for each batch of messages.",
        "page": 'Send `{"id": "…", "content": "…"}` to the queue of the output `EntryQueueUrl`. An unusable message '
        "goes to the dead-letter queue with the reason; a message that fails is delivered again.",
        "test": "a_message_is_kept",
        "reader": "QueueReaderSettings",
        **_BATCHES,
    },
    Shape.STREAM: {
        "summary": "changes of a table, each processed once",
        "does": "Keeps the latest change of each item",
        "invoked": "Once per change, or per batch of changes.",
        "page": "Each item written to the table of the output `EntryTableName` reaches the worker by the table's "
        "stream.",
        "test": "a_change_is_kept",
        "reader": "FunctionSettings",
        **_BATCHES,
    },
    Shape.SCHEDULE: {
        "summary": "scheduled work, with a record of each run",
        "does": "Keeps a record of each run",
        "invoked": "Once for each run.",
        "page": "EventBridge runs the worker every hour (`EVERY` in `infrastructure.py`).",
        "test": "a_run_is_kept",
        "reader": "FunctionSettings",
        "idle_event": "{}",
        "idle_answer": '{"ran": False}',
    },
}
"""Texts for the templates of each shape."""
