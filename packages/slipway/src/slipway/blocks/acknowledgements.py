"""Acknowledgements of the blocks: who signs for them, and until when."""

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
    """The team that has read the blocks' reasons and answers for them in this app."""
    expires: date = RELEASED.replace(year=RELEASED.year + 1)
    """Last day on which they hold; after it the gate fails, so that somebody reads them again. Default: a year after
    the release of the tool, so that an upgrade renews them.
    """


@cache
def signature(file: Path = POLICY_FILE) -> Signature:
    """Return who signs for the blocks in this app.

    Args:
        file: The app's policy. Default: `config/policy.toml`; the defaults hold if it doesn't exist.

    Raises:
        WaiverFileError: The file is not TOML, or its table is not what the model allows.
    """
    if not file.is_file():
        return Signature()
    return read_table(Signature, file.read_text(encoding="utf-8"), TABLE, f"config/{file.name}")


def accept(construct: IConstruct, *rules: str, reason: str, finding: str | Sequence[str] | None = None) -> None:
    """Acknowledge findings of rules until the app's next review of the blocks.

    Args:
        construct: The narrowest construct that covers the resource.
        rules: Ids as the report prints them; several if one reason covers the same check in several packs.
        reason: What makes it safe here.
        finding: The findings meant, for rules that report several.
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
