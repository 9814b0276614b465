"""The policy is validated completely, and the committed one has no unused entries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipway.project import ROOT
from slipway.supply.errors import SupplyError
from slipway.supply.policy import POLICY_FILE, known_facts, load_policy

SENTENCE = "long enough to be a sentence"
OWNED = 'owner = "o"\nexpires = 2030-01-01\n'
LICENCES = '[licences]\nshipped = ["MIT"]\ntools = []\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "policy.toml: licences: is required"),
        ("[", "policy.toml is not valid TOML"),
        (f"{LICENCES}[other]\n", "policy.toml: other: is not a known key"),
        (
            f'{LICENCES}[[sast.left_out]]\nrule = "B1"\nreason = "{SENTENCE}"\n{OWNED}',
            "sast.left_out.1.rule",
        ),
        (f'{LICENCES}[[sast.left_out]]\nrule = "B101"\nreason = "safe"\n{OWNED}', "sast.left_out.1.reason"),
        (f'{LICENCES}[[sast.left_out]]\nrule = "B101"\nreason = "{SENTENCE}"\n', "sast.left_out.1.owner: is required"),
        (
            f'{LICENCES}[[audit.accepted]]\nadvisory = "1"\npackage = "a"\nowner = "o"\nreason = "{SENTENCE}"\n',
            "audit.accepted.1.expires: is required",
        ),
        (f'{LICENCES}[audit]\nosv = "ftp://here"\n', "audit.osv"),
        (
            f'{LICENCES}[[secrets.none]]\nvalue = "abc"\nreason = "{SENTENCE}"\n{OWNED}',
            "secrets.none.1.value",
        ),
    ],
)
def test_wrong_input_is_reported_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SupplyError, match=re.escape(message)) as raised:
        load_policy(path)
    assert "\n" not in str(raised.value)


def test_a_missing_policy_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SupplyError, match=r"none\.toml cannot be read \(No such file or directory\)"):
        load_policy(tmp_path / "none.toml")


def test_the_committed_policy_ships_no_copyleft() -> None:
    policy = load_policy(POLICY_FILE)

    assert not [name for name in policy.licences.shipped if name.startswith(("GPL", "AGPL", "LGPL", "MPL", "EPL"))]
    assert not [name for name in policy.licences.tools if name.startswith(("GPL", "AGPL"))]


def test_every_stated_licence_is_of_a_locked_package() -> None:
    locked = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "requirements").glob("*.txt"))

    assert [each.package for each in known_facts().stated if f"\n{each.package}==" not in locked] == []
