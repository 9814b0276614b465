"""An in-memory account."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from slipway.emulator.server import EMULATED_SECRET, Credentials
from unit.rehearsal.aws.client import Client, RefusedError
from unit.rehearsal.aws.formation import Formation
from unit.rehearsal.aws.functions import Functions
from unit.rehearsal.aws.identity import NOT_AUTHORIZED, REGION, Iam, Role, Sts, Who
from unit.rehearsal.aws.others import Alarms, Buckets, Builds, Gateway, Keys, Logs, Parameters, Rules, Secrets, Topics

# Operations whose IAM action has another name
_ACTIONS = {"lambda:Invoke": "lambda:InvokeFunction"}
# Operations for which the service itself checks caller and target
_UNCHECKED = frozenset({"sts:AssumeRole"})


@dataclass
class Account:
    """An account that replaces `slipway.emulator.server.Emulator`."""

    account: str
    folder: Path = Path("nowhere")
    region: str = REGION
    plain_port: int = 4567
    pid: int | None = None
    roles: dict[tuple[str, str], Role] = field(default_factory=dict)
    """Roles by account and name, including doubles of callers in other accounts."""
    sessions: dict[str, Who] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Calls in order: the role, or `root`, and the IAM action."""
    recycled: list[str] = field(default_factory=list)
    """Functions whose environments were ended, with the version if given; an empty string for all."""

    def __post_init__(self) -> None:
        self.s3, self.functions, self.formation, self.iam = Buckets(), Functions(), Formation(self), Iam(self)
        self.builds, self.alarms, self.logs, self.topics = Builds(), Alarms(), Logs(), Topics()
        self.parameters, self.secrets, self.rules = Parameters(), Secrets(), Rules()
        self.gateway, self.keys = Gateway(), Keys()
        self.services: dict[str, Any] = {
            "apigateway": self.gateway,
            "apigatewayv2": self.gateway,
            "cloudformation": self.formation,
            "cloudfront": self.gateway,
            "cloudwatch": self.alarms,
            "codebuild": self.builds,
            "cognito-idp": self.gateway,
            "events": self.rules,
            "iam": self.iam,
            "lambda": self.functions,
            "logs": self.logs,
            "s3": self.s3,
            "kms": self.keys,
            "secretsmanager": self.secrets,
            "sns": self.topics,
            "ssm": self.parameters,
            "sts": Sts(self),
        }

    @property
    def root(self) -> Credentials:
        """Return the account's root credentials."""
        return Credentials(self.account, EMULATED_SECRET)

    def role(self, name: str, *may: str, trusts: set[str] | None = None) -> str:
        """Create a role and return its ARN.

        Args:
            name: Name of the role.
            may: Allowed actions, each as `action` or `action resource`.
            trusts: Principals that may assume the role. Default: AWS's services.
        """
        statements = [(action, resource or "*") for action, _, resource in (each.partition(" ") for each in may)]
        self.roles[self.account, name] = Role({"service"} if trusts is None else trusts, statements)
        return f"arn:aws:iam::{self.account}:role/{name}"

    def as_role(self, name: str) -> Credentials:
        """Return a session of a role, regardless of its trust."""
        key = f"ASIA{uuid4().hex[:16].upper()}"
        self.sessions[key] = Who(self.account, name, "test")
        return Credentials(key, "secret", f"token of {key}")

    def recycle(self, function: str = "", version: str = "") -> None:
        """End idle environments."""
        self.recycled.append(f"{function}:{version}" if version else function)

    def in_region(self, region: str) -> Account:
        """Serve another region with the same content."""
        assert region
        return self

    def session(self, credentials: Credentials | None = None) -> Session:
        """Return a session, of the root by default."""
        return Session(self, credentials or self.root)

    def ask(self, service: str, credentials: Credentials, operation: str, name: str, parameters: Any) -> Any:
        """Call one of the account's services."""
        action = f"{service}:{operation}"
        action = _ACTIONS.get(action, action)
        who = self._who(credentials)
        self.asked.append((who.role or "root", action))
        checked = who.role is not None and action not in _UNCHECKED
        if checked and not self.roles[who.account, str(who.role)].allows(action):
            raise RefusedError("AccessDenied", NOT_AUTHORIZED.format(who=who.arn, action=action))
        return getattr(self.services[service], name)(who, **parameters)

    def _who(self, credentials: Credentials) -> Who:
        if (known := self.sessions.get(credentials.access_key_id)) is not None:
            return known
        if re.fullmatch(r"\d{12}", credentials.access_key_id):
            return Who(credentials.access_key_id)
        raise RefusedError("InvalidClientTokenId", "The security token included in the request is invalid.")


class Session:
    """Replaces a boto3 session."""

    def __init__(self, account: Account, credentials: Credentials) -> None:
        self._account, self._credentials = account, credentials

    def client(self, service: str, **_: Any) -> Any:
        """Return a client of a service; its configuration is ignored."""
        return Client(service, partial(self._account.ask, service, self._credentials))
