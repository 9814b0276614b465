"""Licences: those that the policy does not allow are red, and so are unclear ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from license_expression import get_spdx_licensing  # type: ignore[import-untyped]

from slipway.gates.outcome import Outcome, StepState
from slipway.supply import licences
from slipway.supply.errors import SupplyError
from slipway.supply.policy import LicenceFacts, Licences, known_facts
from unit.supply.checkout import MIT, Checkout, metadata, stated

pytestmark = pytest.mark.programs


MIT_CLASSIFIER = "Classifier: License :: OSI Approved :: MIT License"
GPL_CLASSIFIER = "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)"
ODD = ("MIT, GPL", "MIT / GPL", "MIT; see LICENSE", "MIT & ISC", "© 2020 somebody", "MIT AND", "(MIT", "a:b", "?")


def judged(checkout: Checkout, policy: Licences = MIT) -> Outcome:
    return licences.check(checkout.write(), policy)


def layer(*more: str) -> dict[str, str]:
    return {"alpha": metadata("alpha", "1.0", *more)}


def messages(outcome: Outcome) -> list[str]:
    return [f"{one.place}: {one.message}" for one in outcome.findings]


@pytest.mark.requirement("gates before any account")
def test_forbidden_licence_fails_and_its_fix_passes(tmp_path: Path) -> None:
    red = judged(Checkout(tmp_path / "red", layer=layer("License-Expression: GPL-3.0-only")))
    green = judged(Checkout(tmp_path / "green", layer=layer("License-Expression: MIT")))

    assert messages(red) == ["pkg:pypi/alpha@1.0: GPL-3.0-only is not allowed in what ships (License-Expression)"]
    assert (green.state, green.findings) == (StepState.PASSED, ())


def test_a_licence_for_tools_only_may_not_ship(tmp_path: Path) -> None:
    tool = judged(Checkout(tmp_path / "tool", npm={"left": ("1.0.0", "MPL-2.0")}))
    ships = judged(Checkout(tmp_path / "ships", layer=layer("License-Expression: MPL-2.0")))

    assert tool.state is StepState.PASSED
    assert messages(ships) == ["pkg:pypi/alpha@1.0: MPL-2.0 is not allowed in what ships (License-Expression)"]


@pytest.mark.parametrize(
    ("npm", "notices"),
    [
        ({"left": ("1.0.0", "GPL-2.0-only")}, {}),
        ({"left": ("1.0.0", "MIT")}, {"left": "** in@2.0 - x | GPL-2.0-only\n"}),
    ],
    ids=["a package of npm", "bundled into one"],
)
def test_a_forbidden_licence_among_the_tools_is_red(
    tmp_path: Path, npm: dict[str, tuple[str, str]], notices: dict[str, str]
) -> None:
    (message,) = messages(judged(Checkout(tmp_path, npm=npm, notices=notices)))

    assert "GPL-2.0-only is not allowed in the tools" in message


def test_unreadable_bundled_licences_are_red(tmp_path: Path) -> None:
    with pytest.raises(SupplyError, match="its bundled packages are unknown"):
        judged(Checkout(tmp_path, notices={"left": "** something else | MIT\n"}))


@pytest.mark.parametrize(
    ("more", "expression"),
    [
        (["License-Expression: MIT", "License: GPL-3.0-only"], "MIT"),
        (["License: MIT License"], "MIT"),
        (["License: mit"], "MIT"),
        (["Classifier: License :: OSI Approved :: MIT License"], "MIT"),
        (["License: Copyright by somebody", "Classifier: License :: OSI Approved :: MIT License"], "MIT"),
        (["License: BSD"], "unknown"),
        ([], "unknown"),
        (["License: MIT", MIT_CLASSIFIER, "Classifier: License :: OSI Approved"], "MIT"),
        (["License: BSD-3-Clause", "Classifier: License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
        # A classifier missing in the list counts: with MIT it may be a choice, or only a part
        ([MIT_CLASSIFIER, GPL_CLASSIFIER], "unknown"),
        ([MIT_CLASSIFIER, "Classifier: License :: Other/Proprietary License"], "unknown"),
        (["License: MIT", GPL_CLASSIFIER], "unknown"),
        (["License: MIT OR GPL-2.0-only", MIT_CLASSIFIER], "MIT OR GPL-2.0-only"),
        (["License: MIT AND ISC", MIT_CLASSIFIER, "Classifier: License :: DFSG approved"], "MIT AND ISC"),
        ([GPL_CLASSIFIER], "unknown"),
        # Expressions that SPDX's grammar cannot split
        *((["License: " + line], "unknown") for line in ODD),
        (["License: MIT, GPL-2.0-only", MIT_CLASSIFIER], "unknown"),
        (["License: © 2020, somebody & others; all rights reserved", MIT_CLASSIFIER], "MIT"),
    ],
)
def test_the_clearest_licence_metadata_is_used(tmp_path: Path, more: list[str], expression: str) -> None:
    repository = Checkout(tmp_path, layer=layer(*more)).write()

    (found,) = licences.Reader(repository, MIT).shipped()

    assert found.expression == expression


@pytest.mark.parametrize(
    ("expression", "is_allowed"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("unknown", False),
    ],
)
def test_or_needs_one_allowed_licence_and_and_needs_all(expression: str, is_allowed: bool) -> None:
    assert licences.allowed(expression, ["MIT", "Apache-2.0"]) is is_allowed


def test_unclear_licence_fails_until_policy_states_it(tmp_path: Path) -> None:
    silent = Checkout(tmp_path, layer=layer("License: BSD"))

    assert "unknown is not allowed" in messages(judged(silent))[0]
    outcome = judged(silent, MIT.model_copy(update={"stated": (stated("Alpha", "MIT"),)}))
    assert outcome.state is StepState.PASSED
    assert [one.reason for one in outcome.accepted] == ["the text of it stands in its LICENSE"]


def test_what_the_tool_knows_are_licences() -> None:
    known = [*known_facts().spelled.values(), *(each.expression for each in known_facts().stated)]

    assert not [each for each in known if get_spdx_licensing().validate(each).errors]


def test_a_licence_that_the_tool_knows_needs_no_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = Checkout(tmp_path, layer=layer("License: BSD"))
    monkeypatch.setattr(licences, "known_facts", lambda: LicenceFacts(stated=(stated("Alpha", "MIT"),)))

    assert judged(silent).state is StepState.PASSED


def test_an_unneeded_statement_is_red(tmp_path: Path) -> None:
    outcome = judged(Checkout(tmp_path), MIT.model_copy(update={"stated": (stated("alpha", "MIT"),)}))

    assert [(one.place, one.rule) for one in outcome.findings] == [("policy.toml", "stale")]


def test_a_layer_of_another_version_than_the_lock_is_red(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.write()
    checkout.layer = {"alpha": metadata("alpha", "0.9", "License-Expression: MIT")}
    checkout.zips()

    outcome = licences.check(checkout.repository(), MIT)

    assert "locked, but installed is 0.9" in messages(outcome)[0]


def test_the_list_of_licences_is_written(tmp_path: Path) -> None:
    judged(Checkout(tmp_path))

    written = json.loads((tmp_path / "build" / "report" / "licences.json").read_text(encoding="utf-8"))

    assert written["layer"] == [{"package": "pkg:pypi/alpha@1.0", "licence": "MIT", "said by": "License-Expression"}]
    assert {one["package"].partition("@")[0] for one in written["tools"]} == {
        "pkg:npm/left",
        "pkg:pypi/packaging",
        "pkg:pypi/pip",
    }


def test_a_policy_that_names_no_licence_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(SupplyError, match="'Mitt' is not a licence; use SPDX identifiers"):
        judged(Checkout(tmp_path), MIT.model_copy(update={"shipped": ("Mitt",)}))
