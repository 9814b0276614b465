"""Rules on SQS: Lambda's event source mappings of queues."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.rules.aws.functions import functions
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Templates, text

_SCALING = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"
_CONFIGURING = "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"

QUEUE = "AWS::SQS::Queue"

UNRESOLVED = "unresolved"
"""Finding for a place whose template lacks the information that the rule needs."""

LEAST_RECEIVES = 5
"""AWS's recommended minimum if a batch may be throttled."""


def _mappings(templates: Templates) -> Iterator[tuple[Resource, list[Resource]]]:
    """Yield the mappings that read a queue, each with the queue if the templates contain it."""
    for mapping in templates.of_type("AWS::Lambda::EventSourceMapping"):
        source = mapping.get("EventSourceArn")
        queues = [found for found in templates.referred(mapping.stack, source) if found.type == QUEUE]
        if queues or ":sqs:" in text(source):
            yield mapping, queues


def _reserved(templates: Templates, mapping: Resource) -> list[object]:
    """Return the reserved concurrency of a mapping's function; an empty list if the templates don't contain it."""
    found = functions(templates, mapping.stack, mapping.get("FunctionName"))
    return [function.get("ReservedConcurrentExecutions") for function in dict.fromkeys(found)]


def _without_room(templates: Templates) -> Iterator[Found]:
    for mapping, _ in _mappings(templates):
        batches = mapping.get("ScalingConfig", "MaximumConcurrency")
        reservations = _reserved(templates, mapping)
        if not reservations:
            yield Found(mapping.stack, mapping.logical_id, UNRESOLVED)
        for reserved in reservations:
            if reserved is None:
                continue
            if not isinstance(reserved, int) or not isinstance(batches, int | None):
                yield Found(mapping.stack, mapping.logical_id, UNRESOLVED)
            elif batches is None or batches >= reserved:
                yield Found(mapping.stack, mapping.logical_id)


def _given_up_soon(templates: Templates) -> Iterator[Found]:
    for mapping, queues in _mappings(templates):
        limited = mapping.get("ScalingConfig") is not None or any(_reserved(templates, mapping))
        for queue in queues if limited else ():
            receives = queue.get("RedrivePolicy", "maxReceiveCount")
            if queue.get("RedrivePolicy") is None:
                continue
            if not isinstance(receives, int):
                yield Found(queue.stack, queue.logical_id, UNRESOLVED)
            elif receives < LEAST_RECEIVES:
                yield Found(queue.stack, queue.logical_id)


_FUNCTION = {"Type": "AWS::Lambda::Function", "Properties": {"ReservedConcurrentExecutions": 2}}
_READER = {
    "Type": "AWS::Lambda::EventSourceMapping",
    "Properties": {
        "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
        "FunctionName": {"Ref": "Function"},
        "ScalingConfig": {"MaximumConcurrency": 2},
    },
}

RULES = (
    AwsRule(
        name="QueueReaderHasRoom",
        does="The mapping of a queue ignores the reserved concurrency of its function, which all versions and "
        "aliases share: a batch beyond it is throttled and counts as received, and a contract check of a new version "
        "is refused with 429.",
        says="A mapping may start at least as many batches as its function may run.",
        fix="Set ScalingConfig.MaximumConcurrency below the function's ReservedConcurrentExecutions, or reserve none.",
        source=_SCALING,
        check=_without_room,
        planted={"Queue": {"Type": QUEUE}, "Function": _FUNCTION, "Reader": _READER},
    ),
    AwsRule(
        name="QueueReceives",
        does="A batch that is throttled at the limit of its function counts as received; AWS recommends a "
        "maxReceiveCount of at least 5 there.",
        says="A queue drops a message after fewer than 5 receives, although the concurrency of its reader is limited.",
        fix="Set RedrivePolicy.maxReceiveCount to 5 or more.",
        source=_CONFIGURING,
        check=_given_up_soon,
        planted={
            "Queue": {"Type": QUEUE, "Properties": {"RedrivePolicy": {"maxReceiveCount": 3}}},
            "Function": _FUNCTION,
            "Reader": _READER,
        },
    ),
)
