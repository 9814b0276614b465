"""S3 buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.removal import removal_policy
from slipway.delivery.names import bucket_name, log_bucket_name
from slipway.settings.model import Place

UPLOADS_GO_AFTER = Duration.days(7)
OLD_VERSIONS_MOVE_AFTER = Duration.days(30)
OLD_VERSIONS_GO_AFTER = Duration.days(90)
LOGS_GO_AFTER = Duration.days(90)

_REPLICATION = (
    "NIST.800.53.R5-S3BucketReplicationEnabled",
    "HIPAA.Security-S3BucketReplicationEnabled",
    "PCI.DSS.321-S3BucketReplicationEnabled",
)


class PrivateBucket(s3.Bucket):
    """A bucket without public access, whose objects are its owner's, reached over TLS only.

    Args:
        scope: The stack.
        construct_id: Id in it.
        properties: The other properties of a bucket.
    """

    def __init__(self, scope: Construct, construct_id: str, **properties: Any) -> None:
        super().__init__(
            scope,
            construct_id,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            **properties,
        )


class LogBucket(PrivateBucket):
    """The service's bucket for access logs. Deleting its stack retains it, because it is rarely empty.

    Uses SSE-S3, unlike every other bucket: AWS delivers S3 server access logs only to such buckets
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html).

    Args:
        scope: The data stack.
        construct_id: Id in it.
        service: The service's name.
        environment: Settings of the environment.
    """

    def __init__(self, scope: Construct, construct_id: str, *, service: str, environment: Place) -> None:
        super().__init__(
            scope,
            construct_id,
            bucket_name=log_bucket_name(environment, service),
            encryption=s3.BucketEncryption.S3_MANAGED,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="logs",
                    expiration=LOGS_GO_AFTER,
                    noncurrent_version_expiration=LOGS_GO_AFTER,
                    abort_incomplete_multipart_upload_after=UPLOADS_GO_AFTER,
                )
            ],
            # AWS may deliver a log before the stack is complete.
            removal_policy=removal_policy(environment, deletable=False),
        )
        accept(
            self,
            "NIST.800.53.R5-S3DefaultEncryptionKMS",
            "HIPAA.Security-S3DefaultEncryptionKMS",
            "PCI.DSS.321-S3DefaultEncryptionKMS",
            reason="AWS delivers S3's access logs only to buckets with SSE-S3; the logs contain callers and paths, but "
            "nothing of what is stored.",
        )
        accept(
            self,
            *_REPLICATION,
            reason="Access logs are read within their 90 days, and nothing is restored from them; API calls on "
            "buckets are available in CloudTrail as well.",
        )


class ServiceBucket(PrivateBucket):
    """An encrypted, versioned, private bucket that logs its accesses.

    Args:
        scope: The data stack.
        construct_id: Id in it.
        service: The service's name.
        environment: Settings; `stateful.removal_policy` applies.
        key: The service's key.
        logs: Bucket for the access logs, under `s3/`.
        versioned: True if old versions are kept. Default: True.
        expire_after: Age at which objects expire. Default: never.
        cors_origins: Origins whose pages may GET, PUT and POST objects. Default: none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        environment: Place,
        key: kms.IKey,
        logs: LogBucket,
        versioned: bool = True,
        expire_after: Duration | None = None,
        cors_origins: Sequence[str] = (),
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            bucket_name=bucket_name(environment, service),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            # One data key for many objects instead of one KMS call per object.
            bucket_key_enabled=True,
            versioned=versioned,
            server_access_logs_bucket=logs,
            server_access_logs_prefix="s3/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="old-versions",
                    noncurrent_version_transitions=[
                        s3.NoncurrentVersionTransition(
                            storage_class=s3.StorageClass.INFREQUENT_ACCESS,
                            transition_after=OLD_VERSIONS_MOVE_AFTER,
                        )
                    ],
                    noncurrent_version_expiration=OLD_VERSIONS_GO_AFTER,
                    abort_incomplete_multipart_upload_after=UPLOADS_GO_AFTER,
                ),
                *([s3.LifecycleRule(id="expiry", expiration=expire_after)] if expire_after else []),
            ],
            cors=[_cors(cors_origins)] if cors_origins else None,
            removal_policy=removal_policy(environment),
        )
        accept(
            self,
            *_REPLICATION,
            reason="A service runs in one region, and its objects would be useless in another without its table and "
            "key; a second region is a decision for the service as a whole.",
        )


def _cors(origins: Sequence[str]) -> s3.CorsRule:
    return s3.CorsRule(
        allowed_methods=[s3.HttpMethods.GET, s3.HttpMethods.PUT, s3.HttpMethods.POST],
        allowed_origins=list(origins),
        allowed_headers=["Content-Type"],
        exposed_headers=["ETag"],
        max_age=600,
    )
