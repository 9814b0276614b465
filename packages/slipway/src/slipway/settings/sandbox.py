"""Sandboxes: a personal environment, with the settings of a development environment and another name.

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
"""Variables of a process that sees a sandbox: its name, the environment that it is of, and if they are set, when it
expires and another account than that environment's."""

_IS_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}(?<!-)")


class SandboxError(SlipwayError):
    """A sandbox can't be had; the message says why."""

    exit_code = 2


@dataclass(frozen=True)
class WantedSandbox:
    """A sandbox.

    Attributes:
        name: What the developer or the branch calls it.
        of: Name of the environment whose settings it has.
        expires: When it is deleted, such as `2026-12-03T18:00:00Z`. Default: not by itself.
        account: Where it is, if not in that environment's account. Default: there.
    """

    name: str
    of: str
    expires: str | None = None
    account: str | None = None

    @property
    def environment(self) -> str:
        """Name of its environment. It begins with the other one's, as the bootstrap policies ask of names there."""
        return f"{self.of}-{self.name}"

    @property
    def variables(self) -> Mapping[str, str]:
        """What a process has in its environment that is to see it."""
        given = {NAME: self.name, OF: self.of, EXPIRES: self.expires, ACCOUNT: self.account}
        return {key: value for key, value in given.items() if value}


def selected(variables: Mapping[str, str] = os.environ) -> WantedSandbox | None:
    """Return the sandbox that this process is to see; None if it is to see the configuration as it is.

    Args:
        variables: Of the process.
    """
    name = variables.get(NAME)
    if not name:
        return None
    return WantedSandbox(name, variables.get(OF, ""), variables.get(EXPIRES), variables.get(ACCOUNT))


def own_account(name: str) -> str:
    """Return the account of a sandbox on this machine, where it has an emulator of its own.

    Args:
        name: Of the sandbox.

    Returns:
        Twelve digits, the same for the same name.
    """
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")
    return f"9{number % 10**11:011d}"


def derive(settings: Settings, wanted: WantedSandbox) -> Settings:
    """Return the configuration with the sandbox for its only environment.

    What differs from the environment it is of: its name; everything in it is deleted with it; nobody is notified, and
    nothing is backed up; a new version takes all traffic at once; no service has a domain of its own. What an account
    has once is left to that environment, unless the sandbox has an account of its own.

    Args:
        settings: The configuration.
        wanted: The sandbox.

    Raises:
        SandboxError: The name is not one, or the environment doesn't exist or isn't a development environment.
    """
    if not _IS_NAME.fullmatch(wanted.name):
        raise SandboxError(
            f"{wanted.name!r} is no name of a sandbox: use up to 20 lower-case letters, digits and dashes, "
            "beginning with a letter"
        )
    known = {environment.name: environment for environment in settings.environments}
    base = known.get(wanted.of)
    if base is None:
        raise SandboxError(f"there is no environment {wanted.of!r}; it is one of {', '.join(known)}")
    if base.kind is not EnvironmentKind.DEVELOPMENT:
        raise SandboxError(
            f"{base.name} is of kind {base.kind.value}: a sandbox is made of a development environment alone"
        )
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
