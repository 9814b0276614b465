"""Requests to AWS: the caller, service, operation and parameters are read from any request."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.emulator.partition.requests import HttpRequest, Role
from unit.rehearsal.partition.sent import request

SIGNED = "AWS4-HMAC-SHA256 Credential=ASIA1/20261120/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize(
    ("sent", "signature"),
    [
        (request(authorization=SIGNED), ("ASIA1", "sts")),
        (request(Authorization=SIGNED), ("ASIA1", "sts")),
        (request(query=b"X-Amz-Credential=ASIA1%2F20261120%2Fus-east-1%2Fs3%2Faws4_request"), ("ASIA1", "s3")),
        (request(authorization=SIGNED.replace("sts", "execute-api")), ("ASIA1", "execute-api")),
        (request(authorization="Bearer token"), None),
        (request(authorization="AWS4-HMAC-SHA256 Credential=ASIA1/nothing"), None),
        (request(), None),
    ],
)
def test_the_signature_names_the_key_and_the_service(sent: HttpRequest, signature: tuple[str, str] | None) -> None:
    assert sent.signature == signature


FORM = "application/x-www-form-urlencoded; charset=utf-8"


@pytest.mark.parametrize(
    ("sent", "operation"),
    [
        (request(x_amz_target="CodePipeline_20150709.GetPipelineState"), "GetPipelineState"),
        (request(body=b"Action=AssumeRole&RoleArn=a", content_type=FORM), "AssumeRole"),
        (request(method="GET", query=b"Action=GetCallerIdentity&Version=1"), "GetCallerIdentity"),
        (request(), ""),
    ],
)
def test_the_operation_is_named_in_each_protocol(sent: HttpRequest, operation: str) -> None:
    assert sent.operation == operation


def test_parameters_come_from_the_body_before_the_address() -> None:
    assert request(query=b"A=1&B=2", body=b"B=3&C=%C3%A4", content_type=FORM).parameters == {
        "A": "1",
        "B": "3",
        "C": "ä",
    }
    content = json.dumps({"B": "3", "N": 4}).encode()
    assert request(query=b"B=2", body=content, content_type="application/x-amz-json-1.1").parameters == {"B": "3"}


@pytest.mark.parametrize(("host", "name"), [("api.amazonaws.com:443", "api.amazonaws.com"), ("localhost", "localhost")])
def test_the_host_has_no_port(host: str, name: str) -> None:
    assert request(host=host).host == name


@settings(deadline=None)
@given(
    body=st.binary(max_size=60),
    query=st.binary(max_size=40),
    kind=st.sampled_from(["application/x-amz-json-1.0", FORM, "", "text/plain"]),
)
def test_any_body_is_read_or_empty(body: bytes, query: bytes, kind: str) -> None:
    sent = request(body=body, query=query, content_type=kind)
    assert isinstance(sent.json, dict)
    assert all(isinstance(value, str) for value in sent.parameters.values())
    assert isinstance(sent.operation, str)
    assert sent.signature is None or len(sent.signature) == 2


@pytest.mark.parametrize(
    ("arn", "role"),
    [
        ("arn:aws:iam::111111111111:role/deploy", Role("111111111111", "deploy")),
        ("arn:aws-cn:iam::111111111111:role/a/path/deploy", Role("111111111111", "deploy")),
        ("arn:aws:iam::111111111111:user/somebody", None),
        ("arn:aws:iam::1:role/deploy", None),
        ("deploy", None),
    ],
)
def test_a_role_is_known_by_its_arn(arn: str, role: Role | None) -> None:
    assert Role.of(arn) == role
