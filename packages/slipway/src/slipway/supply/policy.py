"""What is allowed and what is accepted: `policy.toml`, checked."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from slipway.project import ROOT
from slipway.supply.errors import SupplyError

POLICY_FILE = ROOT / "config" / "policy.toml"

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Reason = Annotated[str, StringConstraints(min_length=20, strip_whitespace=True)]
"""Why it is safe here: a sentence, not a word."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class StatedLicence(_Strict):
    """The licence of a package whose metadata leave it open."""

    package: Text
    expression: Text
    reason: Reason
    """Where it stands."""


class Licences(_Strict):
    """Which licences are allowed, by their SPDX identifiers."""

    shipped: tuple[Text, ...] = Field(strict=False)
    """For what runs in the accounts."""
    tools: tuple[Text, ...] = Field(strict=False)
    """For what runs here and in the pipeline, besides."""
    spelled: dict[Text, Text]
    """Words that packages use for a licence, and its identifier."""
    stated: tuple[StatedLicence, ...] = Field(default=(), strict=False)


class AcceptedAdvisory(_Strict):
    """A known vulnerability that is let go on until a day."""

    advisory: Text
    package: Text
    reason: Reason
    owner: Text
    expires: date


class Audit(_Strict):
    """Who is asked for known vulnerabilities, and which are accepted."""

    osv: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None
    """Address of a service that answers as OSV's `/v1/query` does. Default: PyPI itself."""
    npm_registry: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None
    """Registry that is asked about npm's packages. Default: the one that npm is configured with."""
    accepted: tuple[AcceptedAdvisory, ...] = Field(default=(), strict=False)


class LeftOut(_Strict):
    """A rule of the SAST that says nothing here."""

    rule: Annotated[str, StringConstraints(pattern=r"^B\d{3}$")]
    under: str = ""
    """Folder that it is left out for. Default: everything."""
    reason: Reason


class Sast(_Strict):
    """What the SAST leaves out."""

    left_out: tuple[LeftOut, ...] = Field(default=(), strict=False)


class NotSecret(_Strict):
    """A value that looks like a secret and is none."""

    value: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of it, hexadecimal: `make secrets` prints it."""
    reason: Reason


class Secrets(_Strict):
    """What the scan for secrets may meet."""

    none: tuple[NotSecret, ...] = Field(default=(), strict=False)


class Policy(_Strict):
    """All of it."""

    licences: Licences
    audit: Audit = Audit()
    sast: Sast = Sast()
    secrets: Secrets = Secrets()


def load_policy(path: Path = POLICY_FILE) -> Policy:
    """Read the policy.

    Args:
        path: the file. Default: the committed one.

    Raises:
        SupplyError: it is missing, no TOML, or not what the model allows.
    """
    try:
        return Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SupplyError(f"{path.name} cannot be read ({error.strerror})") from None
    except tomllib.TOMLDecodeError as error:
        raise SupplyError(f"{path.name} is no TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SupplyError(f"{path.name}: {key}: {first['msg']} (found {first['input']!r})") from None
