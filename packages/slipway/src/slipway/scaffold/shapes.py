"""The shapes that a new service can have, and what the templates say of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """What brings a service its work."""

    QUEUE = "queue"
    STREAM = "stream"
    SCHEDULE = "schedule"


@dataclass(frozen=True)
class Words:
    """What the templates say of a shape."""

    summary: str
    does: str
    invoked: str
    page: str
    test: str
    reader: str
    idle_event: str
    idle_answer: str


WORDS = {
    Shape.QUEUE: Words(
        summary="messages of a queue, each kept once",
        does="Keeps what each message of the queue brings",
        invoked="Once for each batch of messages.",
        page='Send `{"id": "…", "content": "…"}` to the queue of the output `EntryQueueUrl`. What cannot be used '
        "goes to the queue's dead letters with its reason; what fails comes again.",
        test="a_message_is_kept",
        reader="QueueReaderSettings",
        idle_event='{"Records": []}',
        idle_answer='{"batchItemFailures": []}',
    ),
    Shape.STREAM: Words(
        summary="changes of a table, each worked on once",
        does="Keeps the latest change of each item",
        invoked="Once for each change, or for several where many come at once.",
        page="Each item written to the table of the output `EntryTableName` reaches the worker by the table's stream.",
        test="a_change_is_kept",
        reader="FunctionSettings",
        idle_event='{"Records": []}',
        idle_answer='{"batchItemFailures": []}',
    ),
    Shape.SCHEDULE: Words(
        summary="work by the clock, each run kept",
        does="Keeps a record of each run",
        invoked="Once for each run.",
        page="EventBridge runs the worker every hour (`EVERY` in `infrastructure.py`).",
        test="a_run_is_kept",
        reader="FunctionSettings",
        idle_event="{}",
        idle_answer='{"ran": False}',
    ),
}
