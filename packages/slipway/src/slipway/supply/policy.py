"""Allowed licences and accepted findings: `policy.toml`, validated."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from slipway.project import ROOT
from slipway.supply.errors import SupplyError
from slipway.waivers import Sentence, Strict, Text, Waiver, WaiverFileError, read_toml

FACTS_FILE = Path(__file__).with_name("licences.toml")
POLICY_FILE = ROOT / "config" / "policy.toml"


class StatedLicence(Strict):
    """The licence of a package with unclear metadata: a fact to check, not a fault to accept."""

    package: Text
    expression: Text
    reason: Sentence
    """Address of the page that documents it."""


class LicenceFacts(Strict):
    """Facts about licences that the packages' metadata leaves unclear."""

    spelled: dict[Text, Text] = Field(default_factory=dict)
    """Words that packages use for a licence → its SPDX identifier."""
    stated: tuple[StatedLicence, ...] = Field(default=(), strict=False)


class Licences(LicenceFacts):
    """Allowed licences, by their SPDX identifiers, and facts that the tool doesn't know."""

    shipped: tuple[Text, ...] = Field(strict=False)
    """Licences allowed for packages that run in the accounts."""
    tools: tuple[Text, ...] = Field(strict=False)
    """Licences also allowed for tools that run here and in the pipeline."""


class AcceptedAdvisory(Waiver):
    """A known vulnerability that is accepted until a date."""

    advisory: Text
    package: Text


class Audit(Strict):
    """Source of advisories, and the accepted ones."""

    osv: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None
    """Address of a service with the API of OSV's `/v1/query`. Default: PyPI itself."""
    npm_registry: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None
    """Registry for npm's audit. Default: the one that npm is configured with."""
    accepted: tuple[AcceptedAdvisory, ...] = Field(default=(), strict=False)


class LeftOut(Waiver):
    """A SAST rule that is switched off, here or under a folder."""

    rule: Annotated[str, StringConstraints(pattern=r"^B\d{3}$")]
    under: str = ""
    """Folder for which it is switched off: its path from the root, or `**/` and its name. Default: all."""


class Sast(Strict):
    """Files that the SAST skips."""

    left_out: tuple[LeftOut, ...] = Field(default=(), strict=False)


class NotSecret(Waiver):
    """A value that looks like a secret but isn't."""

    value: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of it, hexadecimal: `make secrets` prints it."""


class Secrets(Strict):
    """Accepted findings of the scan for secrets."""

    none: tuple[NotSecret, ...] = Field(default=(), strict=False)


class SupplyPolicy(Strict):
    """Content of `policy.toml`."""

    licences: Licences
    audit: Audit = Audit()
    sast: Sast = Sast()
    secrets: Secrets = Secrets()
    acknowledgements: dict[str, object] = Field(default_factory=dict)
    """Owner and expiry of the blocks' acknowledgements; read by `slipway.blocks.acknowledgements`."""


@cache
def known_facts() -> LicenceFacts:
    """Return the tool's own facts about the licences of packages."""
    return read_toml(LicenceFacts, FACTS_FILE.read_text(encoding="utf-8"), FACTS_FILE.name)


def load_policy(path: Path = POLICY_FILE) -> SupplyPolicy:
    """Read the policy.

    Args:
        path: The file. Default: the committed one.

    Raises:
        SupplyError: It is missing, not valid TOML, or does not match the model.
    """
    try:
        return read_toml(SupplyPolicy, path.read_text(encoding="utf-8"), path.name)
    except OSError as error:
        raise SupplyError(f"{path.name} cannot be read ({error.strerror})") from None
    except WaiverFileError as error:
        raise SupplyError(str(error)) from None
