"""The kernel of CDK's constructs, without jsii's process in between."""

from __future__ import annotations

from typing import Any, cast

import jsii
import psutil
import pytest
from aws_cdk import App, CfnOutput, Duration, Stack, aws_events, aws_s3
from jsii.errors import JavaScriptError

from slipway.kernel import Kernel


@pytest.fixture
def kernel() -> Kernel:
    return cast("Kernel", cast("Any", jsii.kernel.provider)._process)


@pytest.fixture
def asked(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Messages to the kernel, as they are sent."""
    messages: list[Any] = []
    ask = kernel._ask

    def record(request: Any, response_type: type[Any]) -> Any:
        messages.append(request)
        return ask(request, response_type)

    monkeypatch.setattr(kernel, "_ask", record)
    return messages


def test_the_kernel_is_the_only_node_process(kernel: Kernel) -> None:
    # When CDK was called
    Stack(App(), "Stack")

    # Then the one process of Node is the kernel
    node = psutil.Process(kernel._process.pid)
    assert node.cmdline()[-1].endswith("program.js")
    assert node.children() == []


def test_what_never_changes_is_asked_for_once(asked: list[Any]) -> None:
    # Given
    stack = Stack(App(), "Stack")
    del asked[:]

    # When
    paths = {stack.node.path for _ in range(3)}

    # Then
    assert paths == {"Stack"}
    assert [request.property for request in asked] == ["node", "path"]


def test_a_property_that_was_set_is_asked_for_again() -> None:
    # Given a resource whose name was read
    bucket = aws_s3.CfnBucket(Stack(App(), "Stack"), "Bucket", bucket_name="before")
    assert bucket.bucket_name == "before"

    # When
    bucket.bucket_name = "after"

    # Then
    assert bucket.bucket_name == "after"


def test_values_that_the_kernel_made_keep_apart() -> None:
    assert [Duration.minutes(5).to_seconds(), Duration.minutes(6).to_seconds()] == [300, 360]
    assert Duration.hours(1).to_seconds() == Duration.minutes(60).to_seconds()


def test_an_error_of_the_kernel_is_raised_where_it_arises() -> None:
    # Given
    stack = Stack(App(), "Stack")
    CfnOutput(stack, "Output", value="1")

    # Then it carries the message, and the trace in JavaScript
    with pytest.raises(RuntimeError, match="already a Construct with name 'Output'") as raised:
        CfnOutput(stack, "Output", value="2")
    assert isinstance(raised.value.__cause__, JavaScriptError)


def test_what_cdk_prints_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    # When a deprecated property is written
    aws_events.CfnEventBusPolicy(Stack(App(), "Stack"), "Policy", statement_id="one", principal="*", action="*")

    # Then CDK's warning keeps out of what the program prints
    assert capfd.readouterr().out == ""
