"""Sandboxes: personal environments with the settings of a development environment.

A process that has `SLIPWAY_SANDBOX` in its environment sees the sandbox as the only environment of the configuration,
so the app synthesises it as it synthesises any other. `slipway sandbox` sets the variables.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.errors import SlipwayError
from slipway.settings.model import Environment, EnvironmentKind, PipelineSettings, Settings

NAME = "SLIPWAY_SANDBOX"
OF = "SLIPWAY_SANDBOX_OF"
EXPIRES = "SLIPWAY_SANDBOX_EXPIRES"
ACCOUNT = "SLIPWAY_SANDBOX_ACCOUNT"
"""Variables of a process that sees a sandbox: its name, its development environment, and optionally its expiry and a
different account."""

_IS_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}(?<!-)")


class SandboxError(SlipwayError):
    """A sandbox is not possible. The message says why."""

    exit_code = 2


@dataclass(frozen=True)
class WantedSandbox:
    """A sandbox.

    Attributes:
        name: Name of the sandbox.
        of: Name of the environment with its settings.
        expires: Time of its deletion, such as `2026-12-03T18:00:00Z`. Default: never.
        account: Its account. Default: that of the environment.
    """

    name: str
    of: str
    expires: str | None = None
    account: str | None = None

    @property
    def environment(self) -> str:
        """Name of its environment: the development environment's name, then its own, as the bootstrap requires."""
        return f"{self.of}-{self.name}"

    @property
    def variables(self) -> Mapping[str, str]:
        """Environment variables for a process that must see it."""
        given = {NAME: self.name, OF: self.of, EXPIRES: self.expires, ACCOUNT: self.account}
        return {key: value for key, value in given.items() if value}


def selected(variables: Mapping[str, str] = os.environ) -> WantedSandbox | None:
    """Return the sandbox that this process sees; None if it sees the plain configuration.

    Args:
        variables: Environment variables of the process.
    """
    name = variables.get(NAME)
    if not name:
        return None
    return WantedSandbox(name, variables.get(OF, ""), variables.get(EXPIRES), variables.get(ACCOUNT))


def own_account(name: str) -> str:
    """Return the account of a sandbox on this machine.

    Args:
        name: Of the sandbox.

    Returns:
        Twelve digits, the same for the same name.
    """
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")
    return f"9{number % 10**11:011d}"


def derive(settings: Settings, wanted: WantedSandbox) -> Settings:
    """Return the configuration with the sandbox as its only environment.

    It differs from its development environment: it has its own name; everything in it is deleted with it; nobody is
    notified, and nothing is backed up; a new version takes all traffic at once; no service has its own domain.
    Resources that an account has only once belong to the development environment, unless the sandbox has its own
    account.

    Args:
        settings: The configuration.
        wanted: The sandbox.

    Raises:
        SandboxError: The name is invalid, or the environment doesn't exist or isn't a development environment.
    """
    if not _IS_NAME.fullmatch(wanted.name):
        raise SandboxError(
            f"{wanted.name!r} is not a valid name of a sandbox: use up to 20 lower-case letters, digits and dashes, "
            "beginning with a letter"
        )
    known = {environment.name: environment for environment in settings.environments}
    base = known.get(wanted.of)
    if base is None:
        raise SandboxError(f"unknown environment {wanted.of!r}; choose from {', '.join(known)}")
    if base.kind is not EnvironmentKind.DEVELOPMENT:
        raise SandboxError(f"{base.name} is of kind {base.kind.value}: a sandbox requires a development environment")
    if wanted.environment in known:
        raise SandboxError(f"{wanted.environment} is an environment of the pipeline; give the sandbox another name")
    environment = type(base).model_validate(_changed(base, wanted))
    return Settings(pipeline=_pipeline(settings.pipeline, environment), environments=(environment,))


def _changed(base: Environment, wanted: WantedSandbox) -> dict[str, Any]:
    raw = base.model_dump(mode="json", exclude_none=True)
    for key in ("backup", "drift"):
        raw.pop(key, None)
    for service in raw["services"].values():
        service.pop("custom_domain", None)
    raw["name"] = wanted.environment
    raw["account"] = wanted.account or base.account
    raw["leads"] = wanted.account is not None and wanted.account != base.account
    raw["alarms"]["emails"] = []
    raw["deployment"] = {"strategy": "AllAtOnce", "on_failure": base.deployment.on_failure.value}
    raw["stateful"] = {
        "removal_policy": "destroy",
        "deletion_protection": False,
        "termination_protection": False,
        "disposable": True,
        "key_deletion_window_days": 7,
    }
    raw["sandbox"] = {"of": base.name, **({"expires": wanted.expires} if wanted.expires else {})}
    return raw


def _pipeline(pipeline: PipelineSettings, environment: Environment) -> PipelineSettings:
    return pipeline.model_copy(update={"environments": (environment.name,), "side_by_side": (), "approval_before": ()})
