"""Upload forms as the function makes them on AWS: where they send an object."""

import os
from collections.abc import Iterator

import pytest

from services.processing.runtime.api import wiring
from slipway_runtime import aws


@pytest.fixture
def _clients_of_their_own() -> Iterator[None]:
    aws._client.cache_clear()
    yield
    aws._client.cache_clear()


@pytest.mark.requirement("processing: an upload form for the wrong region's host")
@pytest.mark.usefixtures("_clients_of_their_own")
@pytest.mark.parametrize(
    ("region", "host"),
    [
        # The global host is that of us-east-1 itself.
        ("us-east-1", "uploads.s3.amazonaws.com"),
        ("eu-central-1", "uploads.s3.eu-central-1.amazonaws.com"),
        ("us-gov-west-1", "uploads.s3.us-gov-west-1.amazonaws.com"),
    ],
)
def test_a_form_names_the_host_of_its_region(monkeypatch: pytest.MonkeyPatch, region: str, host: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    uploads = wiring({**os.environ, "BUCKET_NAME": "uploads"}).processing._uploads

    form = uploads.make("uploads/1", "text/plain")

    assert form.url == f"https://{host}/"


@pytest.mark.usefixtures("_clients_of_their_own")
def test_own_endpoint_needs_no_host_per_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:4566")
    uploads = wiring({**os.environ, "BUCKET_NAME": "uploads"}).processing._uploads

    assert uploads.make("uploads/1", "text/plain").url == "https://localhost:4566/uploads"
