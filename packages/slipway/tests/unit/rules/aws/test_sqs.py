"""Rules about queues that Lambda reads."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rules.aws.rule import planted_stack
from unit.rules.aws.judging import broken

BY_ALIAS = {"Fn::Join": [":", [{"Fn::Select": [6, {"Fn::Split": [":", {"Ref": "Live"}]}]}, "live"]]}
"""The alias in a mapping as CDK names it: by the function's name, extracted from the alias's ARN."""


def _reader(
    *,
    reserved: object = None,
    batches: object = None,
    receives: object = 5,
    function: object = BY_ALIAS,
    source: object = None,
) -> dict[str, Any]:
    scaling = {} if batches is None else {"ScalingConfig": {"MaximumConcurrency": batches}}
    reservation = {} if reserved is None else {"ReservedConcurrentExecutions": reserved}
    return {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"RedrivePolicy": {"maxReceiveCount": receives}}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": reservation},
        "Live": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Function"}}},
        "Reader": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": source or {"Fn::GetAtt": ["Queue", "Arn"]},
                "FunctionName": function,
                **scaling,
            },
        },
    }


@pytest.mark.requirement("a contract check that fails because the function is busy")
@pytest.mark.parametrize(
    ("reserved", "batches", "wrong"),
    [
        (10, 8, []),
        (3, 2, []),
        (2, 2, ["Reader"]),
        (1, 2, ["Reader"]),
        (10, None, ["Reader"]),
        (None, None, []),
        (None, 8, []),
        ({"Ref": "Reserved"}, 2, ["Reader"]),
        (10, {"Ref": "Batches"}, ["Reader"]),
    ],
)
def test_batches_stay_below_reserved_concurrency(reserved: object, batches: object, wrong: list[str]) -> None:
    assert broken("QueueReaderHasRoom", _reader(reserved=reserved, batches=batches)) == wrong


def test_unknown_function_of_a_queue_is_a_finding() -> None:
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:elsewhere"

    assert broken("QueueReaderHasRoom", _reader(function=arn)) == ["Reader"]


def test_other_sources_need_no_room() -> None:
    stream = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/1"

    assert broken("QueueReaderHasRoom", _reader(reserved=1, source=stream)) == []


@pytest.mark.parametrize(
    ("receives", "reserved", "wrong"),
    [(5, 4, []), (3, 4, ["Queue"]), (3, None, []), ({"Ref": "Receives"}, 4, ["Queue"])],
)
def test_limited_readers_try_five_times(receives: object, reserved: int | None, wrong: list[str]) -> None:
    assert broken("QueueReceives", _reader(receives=receives, reserved=reserved)) == wrong


def test_queue_of_another_stack_is_judged() -> None:
    # Given a queue in one stack, and its reader in another
    resources = _reader(receives=3, reserved=4, batches=2)
    queue = {"Queue": resources.pop("Queue")}
    outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}}}
    owner = planted_stack({"Resources": queue, "Outputs": outputs}, name="owner")
    resources["Reader"]["Properties"]["EventSourceArn"] = {
        "Fn::GetStackOutput": {"StackName": "owner", "OutputName": "Arn"}
    }

    assert broken("QueueReceives", resources, owner) == ["Queue"]
