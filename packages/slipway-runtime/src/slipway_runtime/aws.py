"""The only module that creates AWS clients.

It creates botocore's clients, which are what boto3 returns as well: importing boto3 would take as long as importing
all routes of a service.
"""

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

from botocore.config import Config
from botocore.credentials import ContainerProvider, RefreshableCredentials
from botocore.loaders import Loader
from botocore.session import Session, get_session

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_codepipeline import CodePipelineClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

# The functions time out at 30 s and API Gateway answers after 29 s at the latest. The worst call takes
# 3 attempts of 1 s + 3 s and two pauses of at most 4 s together: 16 s.
_ATTEMPTS = 3
_CONNECT_SECONDS = 1.0
_READ_SECONDS = 3.0


@overload
def client(service: Literal["apigateway"], *, attempts: int = ..., read_seconds: float = ...) -> "APIGatewayClient": ...
@overload
def client(service: Literal["appconfigdata"], *, attempts: int = ..., read_seconds: float = ...) -> Any: ...
@overload
def client(service: Literal["codedeploy"], *, attempts: int = ..., read_seconds: float = ...) -> "CodeDeployClient": ...
@overload
def client(
    service: Literal["codepipeline"], *, attempts: int = ..., read_seconds: float = ...
) -> "CodePipelineClient": ...
@overload
def client(
    service: Literal["cognito-idp"], *, attempts: int = ..., read_seconds: float = ...
) -> "CognitoIdentityProviderClient": ...
@overload
def client(service: Literal["dynamodb"], *, attempts: int = ..., read_seconds: float = ...) -> "DynamoDBClient": ...
@overload
def client(service: Literal["lambda"], *, attempts: int = ..., read_seconds: float = ...) -> "LambdaClient": ...
@overload
def client(
    service: Literal["s3"],
    *,
    attempts: int = ...,
    read_seconds: float = ...,
    signature_version: str | None = ...,
    addressing_style: Literal["virtual"] | None = ...,
) -> "S3Client": ...
@overload
def client(
    service: Literal["secretsmanager"], *, attempts: int = ..., read_seconds: float = ...
) -> "SecretsManagerClient": ...
@overload
def client(service: Literal["sns"], *, attempts: int = ..., read_seconds: float = ...) -> "SNSClient": ...
@overload
def client(service: Literal["sqs"], *, attempts: int = ..., read_seconds: float = ...) -> "SQSClient": ...
def client(
    service: Any,
    *,
    attempts: int = _ATTEMPTS,
    read_seconds: float = _READ_SECONDS,
    signature_version: str | None = None,
    addressing_style: Literal["virtual"] | None = None,
) -> Any:
    """Return a client with adaptive, bounded retries and time-outs well below the function's own.

    The same arguments return the same client: connections outlive an invocation.

    Args:
        service: AWS's name of the service.
        attempts: Total number of attempts. Default: 3.
        read_seconds: Time-out of an answer, seconds. Default: 3.
        signature_version: How requests are signed, such as `s3v4`. Default: botocore's choice. For a presigned request
            to S3 in us-east-1 that is version 2, which a bucket encrypted with a KMS key refuses.
        addressing_style: With `virtual`, presigned URLs of S3 use the bucket's regional host. Botocore's default is the
            global host, which redirects for hours after a bucket was created
            (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingBucket.html#virtual-host-style).
    """
    return _client(service, attempts, read_seconds, signature_version, addressing_style)


def client_in(region: str, service: str) -> Any:
    """Return a client for a region other than the function's own, for work that no caller waits for.

    Args:
        region: The region.
        service: AWS's name of the service.
    """
    return _session().create_client(service, region_name=region, config=Config(retries={"mode": "standard"}))


@cache
def _client(
    service: Any,
    attempts: int,
    read_seconds: float,
    signature_version: str | None,
    addressing_style: Literal["virtual"] | None,
) -> Any:
    return _session().create_client(
        service,
        config=Config(
            retries={"mode": "adaptive", "total_max_attempts": attempts},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=read_seconds,
            tcp_keepalive=True,
            signature_version=signature_version,
            s3={"addressing_style": addressing_style} if addressing_style and not _has_own_endpoint() else None,
        ),
    )


class _Loader(Loader):
    """Reads the service folders from a fixed list.

    botocore otherwise reads the folder of each of its four hundred services, twice, before it reads the requested one:
    a third of the time that a first client takes.
    """

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Return the services that may have data of a type; only reading shows which do."""
        return [name for path in self.search_paths if os.path.isdir(path) for name in os.listdir(path)]  # noqa: PTH112, PTH208


@cache
def _session() -> Session:
    session = get_session()
    session.register_component("data_loader", _Loader())
    return session


def forget_credentials() -> None:
    """Clear the temporary credentials that clients hold: the next call fetches new ones, over a new connection."""
    if not _session.cache_info().currsize:
        return
    # botocore has no public method for this.
    found = _session().get_credentials()
    if isinstance(found, RefreshableCredentials):
        credentials: Any = found
        # Long past, so that the client refreshes before it signs.
        credentials._expiry_time = datetime.fromtimestamp(0, UTC)
        credentials._frozen_credentials = None
        credentials._access_key = credentials._secret_key = credentials._token = None
    for provider in _session().get_component("credential_provider").providers:
        if isinstance(provider, ContainerProvider):
            fetching: Any = provider
            fetching._fetcher._session.close()


def _has_own_endpoint() -> bool:
    """Return True if the environment names an endpoint other than AWS's, which may not have a host name per bucket."""
    return "AWS_ENDPOINT_URL" in os.environ
