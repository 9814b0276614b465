"""Uploads: a form that lets its holder put one object of limited size and known type into the bucket."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from slipway_runtime import aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Long enough to send 10 MB from a phone, and short enough in case a form leaks.
FORM_SECONDS: Final = 600


def signing_client(*, attempts: int) -> "S3Client":
    """Return a client of S3 for forms: it signs with version 4, and names the host of the bucket's own region.

    Args:
        attempts: Total number of attempts of a call.
    """
    return aws.client("s3", attempts=attempts, signature_version="s3v4", addressing_style="virtual")


class UploadForm(NamedTuple):
    """A presigned POST."""

    key: str
    url: str
    fields: dict[str, str]


class UploadForms(Protocol):
    """Interface for creating forms."""

    max_bytes: int
    content_types: Sequence[str]

    def make(self, key: str, content_type: str) -> UploadForm:
        """Create a form for an object of that name and media type."""
        ...


class S3UploadForms:
    """Forms that S3 checks: exactly this key and media type, one byte at least and `max_bytes` at most.

    Args:
        client: Result of `signing_client`: a bucket encrypted with a KMS key accepts only signatures of version 4.
        bucket_name: Bucket of the objects; its default encryption applies.
        max_bytes: Size of the largest object.
        content_types: The media types that may be uploaded.
    """

    def __init__(self, client: "S3Client", bucket_name: str, *, max_bytes: int, content_types: Sequence[str]) -> None:
        self._client = client
        self._bucket = bucket_name
        self.max_bytes = max_bytes
        self.content_types: Sequence[str] = tuple(content_types)

    def make(self, key: str, content_type: str) -> UploadForm:
        """Create a form; signing it makes no call."""
        form = self._client.generate_presigned_post(
            self._bucket,
            key,
            Fields={"Content-Type": content_type},
            Conditions=[{"Content-Type": content_type}, ["content-length-range", 1, self.max_bytes]],
            ExpiresIn=FORM_SECONDS,
        )
        return UploadForm(key, form["url"], form["fields"])
