"""Checks that need an account's credentials. Anything that cannot be read is reported as not checked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from slipway.accounts.bootstrap.plan import Account, accounts
from slipway.accounts.bootstrap.policies import execution_policies, policies
from slipway.accounts.doctor.builds import check_builds, check_rollbacks
from slipway.accounts.doctor.findings import CheckResult, CheckStatus
from slipway.accounts.doctor.stacks import check_backups, check_stacks
from slipway.assembly.flat import stack_template
from slipway.assembly.reader import is_assembly, read_manifest, read_manifests
from slipway.delivery.names import execution_boundary
from slipway.settings import FunctionSettings, Settings
from slipway.settings.model import CodeConnectionsSource

UNRESERVED = 100
"""Concurrent executions that Lambda keeps unreserved in every account.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

BOOTSTRAP_VERSION = 6
"""The oldest bootstrap version with which modern assets can be published; an assembly may require a newer one."""

_CLIENT = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 2})

QUOTAS: Mapping[str, tuple[str, str, str]] = {
    # What is needed → service, quota code, its name. ListServiceQuotas returns the codes.
    "read": ("dynamodb", "L-34F6A552", "DynamoDB read units of all provisioned tables"),
    "write": ("dynamodb", "L-34F8CCC8", "DynamoDB write units of all provisioned tables"),
    "table-read": ("dynamodb", "L-CF0CBE56", "DynamoDB read units of one table"),
    "table-write": ("dynamodb", "L-AB614373", "DynamoDB write units of one table"),
}


def open_session(profile: str | None = None) -> boto3.Session:
    """Return a session whose clients time out quickly: nobody uses a doctor that takes minutes.

    Args:
        profile: Name of an AWS profile. Default: the usual chain of credentials.

    Raises:
        ProfileNotFound: The profile does not exist.
    """
    core = botocore.session.Session()
    core.set_default_client_config(_CLIENT)
    return boto3.Session(profile_name=profile, botocore_session=core)


def check_accounts(settings: Settings, sessions: Sequence[boto3.Session], assembly: Path) -> Iterator[CheckResult]:
    """Check every configured account for which there are credentials.

    Args:
        settings: All of `config/`.
        sessions: Sessions, one per account; a session without credentials is skipped.
        assembly: The last assembly, which shows what quotas the stacks need; it may be missing.
    """
    known = {account.account: account for account in accounts(settings)}
    present: dict[str, boto3.Session] = {}
    for session in sessions:
        try:
            # A build gets its credentials from an address, which may not answer.
            if session.get_credentials() is None:
                continue
            caller = session.client("sts", region_name=settings.pipeline.region).get_caller_identity()
        except (BotoCoreError, ClientError) as error:
            name = session.profile_name if session.profile_name != "default" else "credentials"
            yield CheckResult(
                "accounts", name, CheckStatus.WRONG, _reason(error), "sign in again, or name another --profile"
            )
            continue
        if caller["Account"] not in known:
            yield CheckResult(
                "accounts",
                caller["Arn"],
                CheckStatus.WRONG,
                f"account {caller['Account']} is not in the configuration",
                "use credentials of a configured account, or add this account to config/*.toml",
            )
            continue
        present[caller["Account"]] = session
        account = known[caller["Account"]]
        yield CheckResult(account.label, "identity", CheckStatus.OK, f"{caller['Arn']}, the configured account")
    for account in known.values():
        found = present.get(account.account)
        if found is None:
            yield CheckResult(
                account.label,
                "everything",
                CheckStatus.UNCHECKED,
                f"no credentials for {account.account}",
                "pass a profile of the account with --profile",
            )
            continue
        yield from check_account(account, settings, found, assembly)


def check_account(
    account: Account, settings: Settings, session: boto3.Session, assembly: Path
) -> Iterator[CheckResult]:
    """Yield the results of every check of one account.

    Args:
        account: The account.
        settings: All of `config/`.
        session: Session with its credentials.
        assembly: The last assembly; it may be missing.
    """
    look = _Look(account, settings, session, assembly)
    checks: list[tuple[str, Callable[[], Iterable[CheckResult]]]] = []
    if account.tools:
        checks.append(("connection", look.connection))
        checks.append(("concurrent builds", partial(check_builds, account, settings, session, assembly)))
        checks.append(("rollbacks", partial(check_rollbacks, account, settings, session, assembly)))
    for region in account.regions:
        checks.append((f"bootstrap in {region}", lambda region=region: look.bootstrap(region)))  # type: ignore[misc]
        checks.append((f"roles in {region}", lambda region=region: look.roles(region)))  # type: ignore[misc]
        checks.append((f"stacks in {region}", partial(check_stacks, account, settings, session, region)))
    checks.append(("policies", look.policies))
    for name in account.environments:
        checks.append((f"backups of {name}", partial(check_backups, account, settings, session, name)))
        checks.append((f"concurrency of {name}", lambda name=name: look.concurrency(name)))  # type: ignore[misc]
        checks.append((f"quotas of {name}", lambda name=name: look.quotas(name)))  # type: ignore[misc]
    for check, run in checks:
        try:
            yield from run()
        except (BotoCoreError, ClientError) as error:
            yield CheckResult(account.label, check, CheckStatus.UNCHECKED, _reason(error), "check it in the console")


@dataclass(frozen=True)
class _Look:
    account: Account
    settings: Settings
    session: boto3.Session
    assembly: Path

    def connection(self) -> Iterator[CheckResult]:
        source = self.settings.pipeline.source
        if not isinstance(source, CodeConnectionsSource):
            return
        region = source.connection_arn.split(":")[3]
        client = self.session.client("codeconnections", region_name=region)
        try:
            status = client.get_connection(ConnectionArn=source.connection_arn)["Connection"]["ConnectionStatus"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            yield self._finding(
                "connection",
                CheckStatus.WRONG,
                "no resource has that ARN",
                "create the connection, and put its ARN into config/pipeline.toml",
            )
            return
        if status == "AVAILABLE":
            yield self._finding("connection", CheckStatus.OK, "available")
        else:
            yield self._finding(
                "connection",
                CheckStatus.WRONG,
                f"is {status}",
                "finish it in the console: Developer Tools, Connections, Update pending connection",
            )

    def bootstrap(self, region: str) -> Iterator[CheckResult]:
        name = f"/cdk-bootstrap/{self.settings.pipeline.qualifier}/version"
        client = self.session.client("ssm", region_name=region)
        try:
            found = int(client.get_parameter(Name=name)["Parameter"]["Value"])
        except client.exceptions.ParameterNotFound:
            yield self._finding(
                f"bootstrap in {region}", CheckStatus.WRONG, "not bootstrapped", "run the commands of make bootstrap"
            )
            return
        wanted = _wanted_version(self.assembly)
        if found >= wanted:
            yield self._finding(f"bootstrap in {region}", CheckStatus.OK, f"version {found}, at least {wanted}")
        else:
            yield self._finding(
                f"bootstrap in {region}",
                CheckStatus.WRONG,
                f"version {found}, wanted {wanted}",
                "run cdk bootstrap again: make bootstrap prints it",
            )

    def roles(self, region: str) -> Iterator[CheckResult]:
        qualifier, number = self.settings.pipeline.qualifier, self.account.account
        iam = self.session.client("iam", region_name=region)
        for kind in ("deploy-role", "file-publishing-role"):
            check = f"trust of {kind} in {region}"
            if self.account.account == self.settings.pipeline.account:
                continue
            role = self._role(iam, f"cdk-{qualifier}-{kind}-{number}-{region}")
            if role is None:
                yield self._finding(
                    check, CheckStatus.WRONG, "the role does not exist", "run the commands of make bootstrap"
                )
            elif _trusts(role["AssumeRolePolicyDocument"], self.settings.pipeline.account):
                yield self._finding(check, CheckStatus.OK, f"trusts {self.settings.pipeline.account}")
            else:
                yield self._finding(
                    check,
                    CheckStatus.WRONG,
                    f"does not trust the tools account {self.settings.pipeline.account}",
                    "run cdk bootstrap with --trust: make bootstrap prints it",
                )
        yield from self._execution_role(iam, region, f"cdk-{qualifier}-cfn-exec-role-{number}-{region}")

    def _execution_role(self, iam: Any, region: str, name: str) -> Iterator[CheckResult]:
        check = f"execution role in {region}"
        role = self._role(iam, name)
        if role is None:
            yield self._finding(
                check, CheckStatus.WRONG, "the role does not exist", "run the commands of make bootstrap"
            )
            return
        attached = {
            policy["PolicyName"] for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        }
        wanted = {policy.name for policy in execution_policies(self.account, self.settings)}
        if "AdministratorAccess" in attached:
            yield self._finding(
                check,
                CheckStatus.WARNING,
                "has AdministratorAccess",
                "run the commands of make bootstrap, which name narrower policies",
            )
        elif missing := sorted(wanted - attached):
            yield self._finding(
                check, CheckStatus.WRONG, f"lacks {', '.join(missing)}", "run the commands of make bootstrap"
            )
        elif more := sorted(attached - wanted):
            yield self._finding(
                check,
                CheckStatus.WARNING,
                f"also has {', '.join(more)}",
                "detach the policies that the bootstrap does not name",
            )
        else:
            yield self._finding(check, CheckStatus.OK, f"has the {len(wanted)} execution policies and no other")
        boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
        if not boundary.endswith(f"/{execution_boundary(self.settings.pipeline.app)}"):
            yield self._finding(
                f"boundary of the {check}",
                CheckStatus.WARNING,
                boundary or "none",
                "run cdk bootstrap with --custom-permissions-boundary: make bootstrap prints it",
            )

    def policies(self) -> Iterator[CheckResult]:
        """Check that the policies in the account match this checkout."""
        iam = self.session.client("iam", region_name=self.account.regions[0])
        missing, stale = [], []
        for policy in policies(self.account, self.settings):
            arn = self.account.policy_arn(policy.name)
            try:
                default = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            except iam.exceptions.NoSuchEntityException:
                missing.append(policy.name)
                continue
            there = iam.get_policy_version(PolicyArn=arn, VersionId=default)["PolicyVersion"]["Document"]
            if there != policy.document:
                stale.append(policy.name)
        if missing:
            yield self._finding(
                "policies", CheckStatus.WRONG, f"missing: {', '.join(missing)}", "run the commands of make bootstrap"
            )
        if stale:
            yield self._finding(
                "policies",
                CheckStatus.WARNING,
                f"differ from this checkout's: {', '.join(stale)}",
                "run the `aws cloudformation deploy` that make bootstrap prints",
            )
        if not missing and not stale:
            yield self._finding("policies", CheckStatus.OK, "those of this checkout")

    def concurrency(self, name: str) -> Iterator[CheckResult]:
        environment = self.settings.environment(name)
        limit = self.session.client("lambda", region_name=environment.region).get_account_settings()
        total = limit["AccountLimit"]["ConcurrentExecutions"]
        reserved = sum(_reservations(environment.services))
        check = f"concurrency of {name}"
        if not reserved:
            yield self._finding(check, CheckStatus.OK, f"{total} in all, nothing reserved")
        elif total - reserved >= UNRESERVED:
            yield self._finding(check, CheckStatus.OK, f"{total} in all, {reserved} reserved, {total - reserved} left")
        else:
            yield self._finding(
                check,
                CheckStatus.WRONG,
                f"{total} in all, {reserved} wanted: Lambda keeps {UNRESERVED} unreserved",
                f"request {reserved + UNRESERVED} (Service Quotas, L-B99A9384), or leave reserved_concurrency out of "
                f"config/{name}.toml",
            )

    def quotas(self, name: str) -> Iterator[CheckResult]:
        environment = self.settings.environment(name)
        needs = _capacity(self.assembly, name)
        if needs is None:
            yield self._finding(
                f"quotas of {name}",
                CheckStatus.UNCHECKED,
                f"{self.assembly.name} has no stage of this account",
                "make synth",
            )
            return
        client = self.session.client("service-quotas", region_name=environment.region)
        for need, amount in needs.items():
            if not amount:
                continue
            service, code, title = QUOTAS[need]
            value = client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]
            if value >= amount:
                yield self._finding(title, CheckStatus.OK, f"{value:,.0f}, {name} scales to {amount:,}")
            else:
                yield self._finding(
                    title,
                    CheckStatus.WRONG,
                    f"{value:,.0f}, and {name} scales to {amount:,}",
                    f"request more (Service Quotas, {code}), or lower capacity.maximum in config/{name}.toml",
                )

    def _role(self, iam: Any, name: str) -> dict[str, Any] | None:
        try:
            role: dict[str, Any] = iam.get_role(RoleName=name)["Role"]
        except iam.exceptions.NoSuchEntityException:
            return None
        return role

    def _finding(self, check: str, status: CheckStatus, found: str, fix: str = "") -> CheckResult:
        return CheckResult(self.account.label, check, status, found, fix)


def _reservations(model: BaseModel) -> Iterator[int]:
    """Yield the reserved concurrency of every function in a part of the configuration."""
    for _, value in model:
        if isinstance(value, FunctionSettings):
            yield value.reserved_concurrency or 0
        elif isinstance(value, BaseModel):
            yield from _reservations(value)


def _wanted_version(assembly: Path) -> int:
    """Return the newest bootstrap version that a stack or an asset of an assembly requires."""
    wanted = [BOOTSTRAP_VERSION]
    for _, manifest in read_manifests(assembly) if is_assembly(assembly) else ():
        properties = (artifact.get("properties", {}) for artifact in manifest.artifacts.values())
        wanted += [int(each.get("requiresBootstrapStackVersion") or 0) for each in properties]
    return max(wanted)


def _capacity(assembly: Path, environment: str) -> dict[str, int] | None:
    """Return the maximum capacity of an environment's tables: units in total and of the largest table."""
    folders = sorted(assembly.glob(f"assembly-*-{environment}-*"))
    if not folders:
        return None
    found = {"read": 0, "write": 0, "table-read": 0, "table-write": 0}
    for folder in folders:
        for stack in read_manifest(folder).stacks():
            for resource in stack_template(stack)["Resources"].values():
                if resource["Type"] != "AWS::ApplicationAutoScaling::ScalableTarget":
                    continue
                match = re.fullmatch(
                    r"dynamodb:(table|index):(Read|Write)CapacityUnits", resource["Properties"]["ScalableDimension"]
                )
                if match is None:
                    continue
                direction, maximum = match[2].lower(), int(resource["Properties"]["MaxCapacity"])
                found[direction] += maximum
                found[f"table-{direction}"] = max(found[f"table-{direction}"], maximum)
    return found


def _trusts(policy: Mapping[str, Any] | str, account: str) -> bool:
    document = json.loads(policy) if isinstance(policy, str) else policy
    statements = document["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        principals = statement.get("Principal", {})
        names = principals.get("AWS", []) if isinstance(principals, dict) else principals
        listed = [names] if isinstance(names, str) else names
        if statement["Effect"] == "Allow" and any(account == name or f":{account}:root" in name for name in listed):
            return True
    return False


def _reason(error: Exception) -> str:
    """Return an AWS error in one line."""
    if isinstance(error, ClientError):
        said = error.response["Error"]
        return f"{said.get('Code', 'error')}: {said.get('Message', '')}".split("\n", maxsplit=1)[0][:200]
    return str(error).split("\n", maxsplit=1)[0][:200]
