"""What the blocks excuse, in whose name, and until when."""

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
    """The table `[acknowledgements]` of `config/policy.toml`: who answers for what the blocks excuse, until when."""

    owner: Text = "platform"
    """The team that read the blocks' reasons and answers for them here."""
    expires: date = RELEASED.replace(year=RELEASED.year + 1)
    """The last day on which they hold; the gate is red after it, so that somebody reads them again. Default: a year
    after the release of the tool, so that an upgrade renews them."""


@cache
def signature(file: Path = POLICY_FILE) -> Signature:
    """Return who signs for the blocks in this app.

    Args:
        file: the app's policy. Default: `config/policy.toml`; the defaults hold if it doesn't exist.

    Raises:
        WaiverFileError: the file is not TOML, or its table is not what the model allows.
    """
    if not file.is_file():
        return Signature()
    return read_table(Signature, file.read_text(encoding="utf-8"), TABLE, f"config/{file.name}")


def accept(construct: IConstruct, *rules: str, reason: str, finding: str | Sequence[str] | None = None) -> None:
    """Acknowledge findings of rules until the app's review of the blocks.

    Args:
        construct: the narrowest construct that covers the resource.
        rules: ids as the report prints them; several where one reason answers the same check of several packs.
        reason: what makes it safe here.
        finding: for rules that report findings, those meant.
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
