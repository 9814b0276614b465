"""The kernel of CDK's constructs, without jsii's intermediate process."""

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
    """Record the messages sent to the kernel."""
    messages: list[Any] = []
    ask = kernel._ask

    def record(request: Any, response_type: type[Any]) -> Any:
        messages.append(request)
        return ask(request, response_type)

    monkeypatch.setattr(kernel, "_ask", record)
    return messages


def test_the_kernel_is_the_only_node_process(kernel: Kernel) -> None:
    # When CDK is called
    Stack(App(), "Stack")

    # Then the kernel is the only Node process
    node = psutil.Process(kernel._process.pid)
    assert node.cmdline()[-1].endswith("program.js")
    assert node.children() == []


def test_constant_properties_are_requested_once(asked: list[Any]) -> None:
    # Given
    stack = Stack(App(), "Stack")
    del asked[:]

    # When
    paths = {stack.node.path for _ in range(3)}

    # Then
    assert paths == {"Stack"}
    assert [request.property for request in asked] == ["node", "path"]


def test_a_changed_property_is_requested_again() -> None:
    # Given a resource whose name was read
    bucket = aws_s3.CfnBucket(Stack(App(), "Stack"), "Bucket", bucket_name="before")
    assert bucket.bucket_name == "before"

    # When
    bucket.bucket_name = "after"

    # Then
    assert bucket.bucket_name == "after"


def test_values_created_by_the_kernel_are_distinct() -> None:
    assert [Duration.minutes(5).to_seconds(), Duration.minutes(6).to_seconds()] == [300, 360]
    assert Duration.hours(1).to_seconds() == Duration.minutes(60).to_seconds()


def test_an_error_of_the_kernel_is_raised_where_it_arises() -> None:
    # Given
    stack = Stack(App(), "Stack")
    CfnOutput(stack, "Output", value="1")

    # Then it contains the message and the JavaScript stack trace
    with pytest.raises(RuntimeError, match="already a Construct with name 'Output'") as raised:
        CfnOutput(stack, "Output", value="2")
    assert isinstance(raised.value.__cause__, JavaScriptError)


def test_output_of_cdk_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    # When a deprecated property is set
    aws_events.CfnEventBusPolicy(Stack(App(), "Stack"), "Policy", statement_id="one", principal="*", action="*")

    # Then CDK's warning does not appear on standard output
    assert capfd.readouterr().out == ""
