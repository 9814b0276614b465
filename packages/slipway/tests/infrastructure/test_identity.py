"""A function gets a new version if a resource that it uses is replaced, and only then."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from slipway.blocks.identity import REPLACED_BY, with_identity
from slipway.review.schemas import schema
from slipway.testing.templates import DeployedTemplates

_STRING = dynamodb.AttributeType.STRING


def _consumer(*, key: str = "id", read: int = 5, client_secret: bool = False, fifo: bool = False) -> dict[str, Any]:
    """Return the resources of a stack whose function uses another stack's table and client, and its own queue."""
    app = App(context={"@aws-cdk/core:defaultCrossStackReferences": "weak"})
    place = Environment(account="123456789012", region="eu-west-1")
    data, compute = Stack(app, "Data", env=place), Stack(app, "Compute", env=place)
    table = dynamodb.Table(
        data, "Table", partition_key=dynamodb.Attribute(name=key, type=_STRING), read_capacity=read, write_capacity=5
    )
    client = cognito.UserPool(data, "Users").add_client("Client", generate_secret=client_secret)
    queue = sqs.Queue(compute, "Queue", fifo=fifo or None)
    variables = {
        "TABLE_NAME": table.table_name,
        "CLIENT_ID": client.user_pool_client_id,
        "QUEUE_URL": queue.queue_url,
        "LEVEL": "INFO",
    }
    function = lambda_.Function(
        compute,
        "Function",
        code=lambda_.Code.from_inline("pass"),
        handler="index.handler",
        runtime=lambda_.Runtime.PYTHON_3_14,
        environment=variables,
        description=with_identity("Reads orders", variables.values()),
    )
    lambda_.Alias(compute, "Live", alias_name="live", version=function.current_version)
    resources: dict[str, Any] = app.synth().get_stack_by_name("Compute").template["Resources"]
    return resources


def _of_type(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    return {key: resource for key, resource in resources.items() if resource["Type"] == kind}


@pytest.mark.requirement("a replaced table that no new function version uses")
@pytest.mark.parametrize(
    "replacement", [{"key": "order"}, {"client_secret": True}, {"fifo": True}], ids=["table", "client", "queue"]
)
def test_a_replaced_resource_creates_a_new_version(replacement: dict[str, Any]) -> None:
    # Given a function and the resources that it uses
    before = _consumer()
    # When a resource is replaced under the same id, so that every reference to it stays the same
    after = _consumer(**replacement)
    assert {
        name: resource["Properties"]["Environment"]
        for name, resource in _of_type(before, "AWS::Lambda::Function").items()
    } == {
        name: resource["Properties"]["Environment"]
        for name, resource in _of_type(after, "AWS::Lambda::Function").items()
    }
    # Then the function changes and gets a new version
    assert _of_type(before, "AWS::Lambda::Function") != _of_type(after, "AWS::Lambda::Function")
    assert set(_of_type(before, "AWS::Lambda::Version")) != set(_of_type(after, "AWS::Lambda::Version"))


def test_a_resource_changed_in_place_creates_no_version() -> None:
    assert _consumer(read=6) == _consumer()


def test_a_function_that_uses_nothing_keeps_its_description() -> None:
    stack = Stack(App(), "Stack")
    assert stack.resolve(with_identity("Adds numbers", ["INFO"])) == "Adds numbers"


@pytest.mark.parametrize("kind", REPLACED_BY)
def test_replacement_properties_match_the_schema(kind: str) -> None:
    found = schema(kind, "us-east-1")
    assert found is not None
    wanted = {path[0] for path in (*found.create_only, *found.maybe_create_only)}
    assert REPLACED_BY[kind] == wanted - set(found.attributes)


def test_every_function_names_the_identity_of_its_resources(deployment: DeployedTemplates) -> None:
    for handler, function in deployment.functions().items():
        assert re.search(r" \(uses [0-9a-f]{8}\)$", function["Description"]), handler
