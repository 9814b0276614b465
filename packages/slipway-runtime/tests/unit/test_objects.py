"""Objects in a bucket: what is not there is None, and a refusal is not taken for that."""

import pytest
from botocore.exceptions import ClientError

from slipway.testing.functions import client_error
from slipway.testing.in_process import InProcess
from slipway_runtime.objects import read_object


def test_missing_object_is_none_and_refusal_an_error() -> None:
    aws = InProcess()
    client, bucket = aws.client("s3"), aws.bucket()
    client.put_object(Bucket=bucket, Key="there", Body=b"content")

    assert read_object(client, bucket, "there") == b"content"
    assert read_object(client, bucket, "missing") is None
    aws.fail(client_error("AccessDenied", "GetObject"))
    with pytest.raises(ClientError, match="AccessDenied"):
        read_object(client, bucket, "missing")
