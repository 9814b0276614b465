"""Sessions in an environment's account, for the steps that work there."""

from __future__ import annotations

import boto3

from slipway.settings import Environment


def assumed(environment: Environment, role: str, *, session_name: str) -> boto3.Session:
    """Return a session of a role in an environment.

    Args:
        environment: Settings of the environment.
        role: Name of the role in its account.
        session_name: Name in CloudTrail; at most 64 characters count.

    Raises:
        ClientError: The role does not exist, or does not trust the caller.
    """
    session = boto3.Session(region_name=environment.region)
    partition = session.get_partition_for_region(environment.region)
    credentials = session.client("sts").assume_role(
        RoleArn=f"arn:{partition}:iam::{environment.account}:role/{role}", RoleSessionName=session_name[:64]
    )["Credentials"]
    return boto3.Session(
        region_name=environment.region,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
