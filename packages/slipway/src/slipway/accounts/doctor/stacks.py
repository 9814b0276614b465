"""Check for stuck stacks, taken bucket names, and services that AWS Backup skips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from slipway.accounts.bootstrap.plan import Account
from slipway.accounts.doctor.findings import CheckResult, CheckStatus
from slipway.delivery.names import DATA, bucket_name, log_bucket_name, pipeline_stacks, policies_stack, service_stack
from slipway.settings import Environment, Settings

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

BOOTSTRAP_STACK = "CDKToolkit"

_RUNBOOK = "docs/runbooks/first-deployment.md"
_DELETE = f"aws cloudformation delete-stack --stack-name {{name}} --region {{region}}; then {_RUNBOOK}"
_CONTINUE = "aws cloudformation continue-update-rollback --stack-name {name} --region {region}"

BROKEN: Mapping[str, tuple[str, str]] = {
    "ROLLBACK_COMPLETE": ("its first deployment failed; it accepts no change set", _DELETE),
    "ROLLBACK_FAILED": ("its first deployment failed, and so did the deletion of its resources", _DELETE),
    "CREATE_FAILED": ("its first deployment failed and was not rolled back", _DELETE),
    "DELETE_FAILED": ("its deletion failed", _DELETE),
    "UPDATE_ROLLBACK_FAILED": ("an update failed, and so did its rollback; it accepts no change set", _CONTINUE),
    "UPDATE_FAILED": ("an update failed and was not rolled back", "roll it back: " + _CONTINUE),
    "IMPORT_ROLLBACK_FAILED": ("an import failed, and so did its rollback", _CONTINUE),
}
"""State of a stack → what it means, and the way out
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html)."""

BACKED_UP = ("DynamoDB", "S3")
"""Names of the resource types that a service backs up, in AWS Backup's regional settings."""


def check_stacks(account: Account, settings: Settings, session: boto3.Session, region: str) -> Iterator[CheckResult]:
    """Report stuck stacks of a region, and existing buckets that block new stacks.

    Args:
        account: The account.
        settings: All of `config/`.
        session: Session with its credentials.
        region: The region to check.
    """
    client = session.client("cloudformation", region_name=region)
    stacks: list[StackTypeDef] = [
        stack for page in client.get_paginator("describe_stacks").paginate() for stack in page["Stacks"]
    ]
    stuck = [stack for stack in stacks if stack["StackStatus"] in BROKEN]
    for stack in stuck:
        name, status = stack["StackName"], stack["StackStatus"]
        meaning, way_out = BROKEN[status]
        yield CheckResult(
            account.label,
            name,
            CheckStatus.WRONG if _is_ours(name, account, settings) else CheckStatus.WARNING,
            f"is {status}: {meaning}",
            way_out.format(name=name, region=region),
        )
    if not stuck:
        yield CheckResult(account.label, f"stacks in {region}", CheckStatus.OK, f"{len(stacks)}, none of them stuck")
    standing = {stack["StackName"] for stack in stacks} - {stack["StackName"] for stack in stuck}
    for name in account.environments:
        environment = settings.environment(name)
        if environment.region == region:
            yield from _check_buckets(account, environment, session, standing)


def _is_ours(name: str, account: Account, settings: Settings) -> bool:
    return name.startswith(
        (
            *(f"{environment}-" for environment in account.environments),
            *pipeline_stacks(settings.pipeline.app),
            policies_stack(settings.pipeline.app),
            BOOTSTRAP_STACK,
        )
    )


def _check_buckets(
    account: Account, environment: Environment, session: boto3.Session, standing: set[str]
) -> Iterator[CheckResult]:
    """Report bucket names of data stacks that are still to be created, if they are already taken."""
    client = session.client("s3", region_name=environment.region)
    for service in sorted(environment.services.names):
        stack = service_stack(environment.name, service, DATA)
        if stack in standing:
            continue
        for bucket in (bucket_name(environment, service), log_bucket_name(environment, service)):
            try:
                client.head_bucket(Bucket=bucket)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "404":
                    continue
                found = f"the name is taken by another account ({code}): {stack} cannot be created"
                fix = f"set a different name_salt in config/{environment.name}.toml"
            else:
                found = f"exists already, but {stack} does not: the stack cannot create it"
                fix = f"empty and delete it, or import it: {_RUNBOOK}"
            yield CheckResult(account.label, f"bucket {bucket}", CheckStatus.WRONG, found, fix)


def check_backups(account: Account, settings: Settings, session: boto3.Session, name: str) -> Iterator[CheckResult]:
    """Report whether AWS Backup may back up what an environment's configuration requires.

    A service that the region's settings exclude is skipped without a failed job
    (https://docs.aws.amazon.com/aws-backup/latest/devguide/service-opt-in.html).

    Args:
        account: The account.
        settings: All of `config/`.
        session: Session with its credentials.
        name: The environment.
    """
    environment = settings.environment(name)
    if environment.backup is None:
        return
    client = session.client("backup", region_name=environment.region)
    opted: Mapping[str, bool] = client.describe_region_settings()["ResourceTypeOptInPreference"]
    missing = [kind for kind in BACKED_UP if not opted.get(kind, False)]
    check = f"backups of {name}"
    if missing:
        on = ",".join(f"{kind}=true" for kind in missing)
        yield CheckResult(
            account.label,
            check,
            CheckStatus.WRONG,
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not opted in for {environment.region}: "
            "AWS Backup skips them",
            f"aws backup update-region-settings --resource-type-opt-in-preference {on} --region {environment.region}",
        )
    else:
        yield CheckResult(account.label, check, CheckStatus.OK, f"{' and '.join(BACKED_UP)} are opted in")
