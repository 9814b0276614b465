"""Objects in a bucket."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def read_object(client: "S3Client", bucket: str, key: str) -> bytes | None:
    """Return an object's content; None if it does not exist.

    S3 reports a missing object as missing only to callers who may list the bucket, and AccessDenied to others
    (docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html). So the function has to be allowed to list it: a
    missing permission causes AccessDenied as well, and must not count as a lost object.

    Raises:
        ClientError: S3 refused for another reason.
    """
    try:
        return client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise
