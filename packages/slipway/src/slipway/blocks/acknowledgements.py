"""Acknowledgements of the blocks, with their owner and expiry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path

from constructs import IConstruct

from slipway.nag.acknowledge import acknowledge
from slipway.project import ROOT
from slipway.release import RELEASED
from slipway.waivers import Strict, Text, read_table

POLICY_FILE = ROOT / "config" / "policy.toml"
TABLE = "acknowledgements"


class Signature(Strict):
    """The table `[acknowledgements]` of `config/policy.toml`: owner and expiry of the blocks' acknowledgements."""

    owner: Text = "platform"
    """The team that has reviewed the blocks' reasons and is responsible for them in this app."""
    expires: date = RELEASED.replace(year=RELEASED.year + 1)
    """Last day on which they are valid. After that the gate fails, so that they are reviewed again. Default: a year
    after the tool's release, so an upgrade renews them.
    """


@cache
def signature(file: Path = POLICY_FILE) -> Signature:
    """Return the owner and expiry of the blocks' acknowledgements in this app.

    Args:
        file: The app's policy. Default: `config/policy.toml`; the defaults hold if it doesn't exist.

    Raises:
        WaiverFileError: The file is not TOML, or its table is invalid.
    """
    if not file.is_file():
        return Signature()
    return read_table(Signature, file.read_text(encoding="utf-8"), TABLE, f"config/{file.name}")


def accept(construct: IConstruct, *rules: str, reason: str, finding: str | Sequence[str] | None = None) -> None:
    """Acknowledge findings of rules until the app's next review of the blocks.

    Args:
        construct: The narrowest construct that covers the resource.
        rules: Ids as the report prints them; several if one reason covers the same check in several packs.
        reason: Why the finding is safe here.
        finding: Selects findings, for rules that report several.
    """
    signed = signature()
    acknowledge(
        construct,
        rule=rules,
        reason=reason,
        finding=finding,
        owner=signed.owner,
        expires=signed.expires,
        stacklevel=2,
    )
