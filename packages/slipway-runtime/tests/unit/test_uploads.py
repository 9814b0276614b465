"""Upload forms as a function creates them on AWS: the address to which they send an object."""

from collections.abc import Iterator

import pytest

from slipway.testing.functions import environment
from slipway_runtime import aws
from slipway_runtime.uploads import S3UploadForms, signing_client


@pytest.fixture(autouse=True)
def _clients_of_their_own() -> Iterator[None]:
    aws._client.cache_clear()
    with environment({}):
        yield
    aws._client.cache_clear()


def forms() -> S3UploadForms:
    return S3UploadForms(signing_client(attempts=1), "uploads", max_bytes=1000, content_types=["text/plain"])


@pytest.mark.requirement("processing: an upload form for the wrong region's host")
@pytest.mark.parametrize(
    ("region", "host"),
    [
        # The global host name belongs to us-east-1
        ("us-east-1", "uploads.s3.amazonaws.com"),
        ("eu-central-1", "uploads.s3.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "uploads.s3.us-gov-west-1.amazonaws.com"),
    ],
)
def test_a_form_names_the_host_of_its_region(monkeypatch: pytest.MonkeyPatch, region: str, host: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)

    assert forms().make("uploads/1", "text/plain").url == f"https://{host}/"


def test_own_endpoint_needs_no_host_per_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:4566")

    assert forms().make("uploads/1", "text/plain").url == "https://localhost:4566/uploads"
