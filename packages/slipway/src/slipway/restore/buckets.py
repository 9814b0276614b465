"""Restore a versioned bucket to a point in time, into a new bucket, and compare.

Each object's version at that time is copied, as S3's guide recommends
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/RestoringPreviousVersions.html). This reaches as far back as the
bucket keeps old versions; objects above 5 GB are copied in parts. The alternative, AWS Backup's continuous backup of
S3, costs a second copy of everything (https://docs.aws.amazon.com/aws-backup/latest/devguide/s3-backups.html).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from slipway.restore.comparison import RestoredCopy, compare_contents
from slipway.restore.tables import RestoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHECKED = 100
"""Number of objects whose contents are compared, spread over all objects."""
COPIES = 16
"""Number of objects that are copied concurrently."""
LARGEST_COPY = 5_000_000_000
"""The largest object that one call copies: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html."""
_MAIN_REGION = "us-east-1"


@dataclass(frozen=True)
class ObjectVersion:
    """A version of an object."""

    id: str
    size: int


def check_bucket(client: S3Client, bucket: str) -> None:
    """Check that a bucket keeps versions.

    Raises:
        RestoreError: It doesn't.
    """
    if client.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
        raise RestoreError(f"{bucket} keeps no versions: restore a recovery point of its backup vault")


def restore_bucket(
    client: S3Client, bucket: str, copy: str, to: datetime, *, region: str, say: Callable[[str], None]
) -> RestoredCopy:
    """Copy the objects of a bucket as of a point in time into a new bucket, and compare them with the current ones.

    Args:
        client: S3 in the bucket's account and region.
        bucket: Name of the bucket.
        copy: Name of the new bucket.
        to: The point in time.
        region: Region of both buckets.
        say: Called with each step.

    Raises:
        RestoreError: The copy differs from the original.
        ClientError: S3 refuses.
    """
    began = time.monotonic()
    then, now = versions_at(client, bucket, to), versions_at(client, bucket, None)
    _create(client, bucket, copy, region)
    say(f"{bucket}: {len(then)} objects are copied to {copy}")
    with ThreadPoolExecutor(COPIES) as pool:
        list(pool.map(lambda each: _copy(client, bucket, copy, *each), then.items()))
    restored_at = time.monotonic()
    say(f"{bucket}: sizes of all objects and contents of up to {CHECKED} are compared")
    _check(client, bucket, copy, then)
    return RestoredCopy(
        source=bucket,
        copy=copy,
        present=len(now),
        restored=len(then),
        **compare_contents(
            {key: version.id for key, version in now.items()}, {key: version.id for key, version in then.items()}
        ),
        seconds=(restored_at - began, time.monotonic() - restored_at),
    )


def _copy(client: S3Client, bucket: str, copy: str, key: str, version: ObjectVersion) -> None:
    """Copy a version of an object, in parts if S3 requires it."""
    source: Any = {"Bucket": bucket, "Key": key, "VersionId": version.id}
    if version.size > LARGEST_COPY:
        client.copy(source, copy, key)
    else:
        client.copy_object(CopySource=source, Bucket=copy, Key=key)


def versions_at(client: S3Client, bucket: str, to: datetime | None) -> dict[str, ObjectVersion]:
    """Return key → version of each object that existed at a point in time.

    Args:
        client: S3.
        bucket: Name of the bucket.
        to: The point in time; None is now.
    """
    newest: dict[str, tuple[datetime, ObjectVersion | None]] = {}
    for key, modified, version in _versions(client, bucket):
        # S3 lists an object's versions newest first; of two within a second the first listed is the newer one.
        if (to is None or modified <= to) and (key not in newest or newest[key][0] < modified):
            newest[key] = (modified, version)
    return {key: version for key, (_, version) in newest.items() if version is not None}


def _versions(client: S3Client, bucket: str) -> Iterator[tuple[str, datetime, ObjectVersion | None]]:
    """Yield every version of every object; a delete marker is None.

    S3 lists versions and delete markers separately. If both have the same time, the marker counts, so that nothing is
    restored that may have been deleted.
    """
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for marker in page.get("DeleteMarkers", []):
            yield marker["Key"], marker["LastModified"], None
        for version in page.get("Versions", []):
            yield version["Key"], version["LastModified"], ObjectVersion(version["VersionId"], version["Size"])


def _create(client: S3Client, bucket: str, copy: str, region: str) -> None:
    """Create the new bucket, private, versioned and encrypted like the original."""
    place: Any = {} if region == _MAIN_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    client.create_bucket(Bucket=copy, **place)
    client.put_public_access_block(
        Bucket=copy,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    client.put_bucket_versioning(Bucket=copy, VersioningConfiguration={"Status": "Enabled"})
    encryption = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    client.put_bucket_encryption(Bucket=copy, ServerSideEncryptionConfiguration=encryption)


def _check(client: S3Client, bucket: str, copy: str, then: Mapping[str, ObjectVersion]) -> None:
    """Compare the copies with the originals.

    Raises:
        RestoreError: Something differs.
    """
    copied = {
        each["Key"]: each["Size"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=copy)
        for each in page.get("Contents", [])
    }
    wrong = sorted(
        key for key in copied.keys() | then.keys() if copied.get(key) != getattr(then.get(key), "size", None)
    )
    keys = sorted(then)
    for key in keys[:: max(1, -(-len(keys) // CHECKED))]:
        one = _digest(client, bucket, key, VersionId=then[key].id)
        if one != _digest(client, copy, key):
            wrong.append(key)
    if wrong:
        raise RestoreError(f"{copy} differs from what {bucket} contained: {', '.join(wrong[:10])}")


def _digest(client: S3Client, bucket: str, key: str, **version: str) -> str:
    digest = hashlib.sha256()
    body = client.get_object(Bucket=bucket, Key=key, **version)["Body"]  # type: ignore[arg-type]  # an id of a version
    for chunk in body.iter_chunks(1_048_576):
        digest.update(chunk)
    return digest.hexdigest()
