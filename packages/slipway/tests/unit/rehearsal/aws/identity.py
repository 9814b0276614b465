"""Callers, roles and permissions, with in-memory IAM and STS."""

# ruff: noqa: N803

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from specimen import SETTINGS
from unit.rehearsal.aws.client import RefusedError

if TYPE_CHECKING:
    from unit.rehearsal.aws.account import Account

TOOLS = SETTINGS.pipeline.account
DEV, STAGING, PROD = (environment.account for environment in SETTINGS.environments)
REGION = "us-east-1"
NOT_AUTHORIZED = "User: {who} is not authorized to perform: {action}"


@dataclass
class Role:
    """A role: who may assume it, and what it may do."""

    trusts: set[str] = field(default_factory=set)
    """Services, ARNs of roles, or `arn:…:root` for anyone in an account who is allowed to."""
    may: list[tuple[str, str]] = field(default_factory=list)
    """Patterns of allowed actions and resources."""

    def allows(self, action: str, resource: str = "*") -> bool:
        """Return True if an action is allowed on a resource; without a resource, on any."""
        return any(
            fnmatchcase(action.lower(), mine.lower()) and (resource == "*" or fnmatchcase(resource, theirs))
            for mine, theirs in self.may
        )


@dataclass(frozen=True)
class Who:
    """The caller whose credentials a request carries."""

    account: str
    role: str | None = None
    session: str = ""

    @property
    def arn(self) -> str:
        """The caller's ARN."""
        if self.role is None:
            return f"arn:aws:iam::{self.account}:root"
        return f"arn:aws:sts::{self.account}:assumed-role/{self.role}/{self.session}"


class Sts:
    """Issues sessions to callers that a role trusts and whose own policies allow it."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def assume_role(self, who: Who, *, RoleArn: str, RoleSessionName: str) -> dict[str, Any]:
        account, name = RoleArn.split(":")[4], RoleArn.rpartition("/")[2]
        role = self._account.roles.get((account, name))
        refused = RefusedError("AccessDenied", NOT_AUTHORIZED.format(who=who.arn, action="sts:AssumeRole"))
        if role is None:
            raise refused
        mine = f"arn:aws:iam::{who.account}:role/{who.role}" if who.role else ""
        trusted = bool({f"arn:aws:iam::{who.account}:root", mine} & role.trusts)
        if who.role is None:
            # The account's root represents AWS's services there
            trusted = trusted or (who.account == account and "service" in role.trusts)
        elif not self._account.roles[who.account, who.role].allows("sts:AssumeRole", RoleArn):
            raise refused
        if not trusted:
            raise refused
        key = f"ASIA{uuid4().hex[:16].upper()}"
        self._account.sessions[key] = Who(account, name, RoleSessionName)
        return {
            "Credentials": {
                "AccessKeyId": key,
                "SecretAccessKey": "secret",
                "SessionToken": f"token of {key}",
                "Expiration": 0,
            }
        }


class Iam:
    """Roles and their permissions."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.keys: dict[str, list[str]] = {}
        """Access keys by user."""

    def create_role(self, who: Who, *, RoleName: str, AssumeRolePolicyDocument: str) -> dict[str, Any]:
        if (who.account, RoleName) in self._account.roles:
            raise RefusedError("EntityAlreadyExists", f"Role with name {RoleName} already exists.")
        trusts = set()
        for statement in json.loads(AssumeRolePolicyDocument)["Statement"]:
            principal = statement["Principal"]
            trusts.add("service" if "Service" in principal else principal["AWS"])
        self._account.roles[who.account, RoleName] = Role(trusts)
        arn = f"arn:aws:iam::{who.account}:role/{RoleName}"
        return {"Role": {"Path": "/", "RoleName": RoleName, "RoleId": "A" * 21, "Arn": arn, "CreateDate": 0}}

    def get_role(self, who: Who, *, RoleName: str) -> dict[str, Any]:
        arn = f"arn:aws:iam::{who.account}:role/{RoleName}"
        return {"Role": {"Path": "/", "RoleName": RoleName, "RoleId": "A" * 21, "Arn": arn, "CreateDate": 0}}

    def list_role_policies(self, who: Who, *, RoleName: str) -> dict[str, Any]:
        return {"PolicyNames": ["own"]}

    def get_role_policy(self, who: Who, *, RoleName: str, PolicyName: str) -> dict[str, Any]:
        may = self._account.roles[who.account, RoleName].may
        statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in may]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        return {"RoleName": RoleName, "PolicyName": PolicyName, "PolicyDocument": document}

    def list_attached_role_policies(self, who: Who, *, RoleName: str) -> dict[str, Any]:
        return {"AttachedPolicies": []}

    def put_role_policy(self, who: Who, *, RoleName: str, PolicyName: str, PolicyDocument: str) -> None:
        role = self._account.roles[who.account, RoleName]
        for statement in json.loads(PolicyDocument)["Statement"]:
            role.may.append((statement["Action"], statement["Resource"]))

    def simulate_principal_policy(
        self,
        who: Who,
        *,
        PolicySourceArn: str,
        ActionNames: list[str],
        ResourceArns: list[str],
        ContextEntries: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        account, name = PolicySourceArn.split(":")[4], PolicySourceArn.rpartition("/")[2]
        role = self._account.roles.get((account, name))
        if role is None:
            raise RefusedError("NoSuchEntity", f"The role with name {name} cannot be found.")
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": "allowed" if role.allows(action, resource) else "implicitDeny",
                }
                for action in ActionNames
                for resource in ResourceArns
            ]
        }

    def list_users(self, who: Who) -> dict[str, Any]:
        return {
            "Users": [
                {
                    "Path": "/",
                    "UserName": name,
                    "UserId": "A" * 21,
                    "Arn": f"arn:aws:iam::1:user/{name}",
                    "CreateDate": 0,
                }
                for name in self.keys
            ]
        }

    def list_access_keys(self, who: Who, *, UserName: str) -> dict[str, Any]:
        return {"AccessKeyMetadata": [{"AccessKeyId": key} for key in self.keys[UserName]]}
