"""Bills of materials: valid by CycloneDX's schema, complete, and reproducible for a commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from slipway.gates.outcome import StepState
from slipway.supply import sbom
from slipway.supply.errors import SupplyError
from slipway.supply.repository import ScannedTree
from slipway.supply.shipped import digest
from unit.supply.checkout import MIT, Checkout

pytestmark = pytest.mark.programs


def written(repository: ScannedTree, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((repository.report / name).read_text(encoding="utf-8"))
    return found


@pytest.mark.requirement("gates before any account")
def test_both_bills_are_written_and_valid(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, notices={"left": "** @a/in@2.0 - https://example.com | MIT\n"})
    repository = checkout.write()

    outcome = sbom.check(repository, MIT)

    assert (outcome.state, outcome.scanned) == (StepState.PASSED, ("pkg:pypi/alpha@1.0",))
    # Then the layer's bill has the layer's digest, and its packages with licence and locked digest
    layer = written(repository, sbom.LAYER_FILE)
    (alpha,) = layer["components"]
    assert layer["specVersion"] == "1.6"
    assert layer["metadata"]["component"]["hashes"][0]["content"] == digest(repository.layer)
    assert (alpha["purl"], [one["license"]["id"] for one in alpha["licenses"]]) == ("pkg:pypi/alpha@1.0", ["MIT"])
    assert [one["alg"] for one in alpha["hashes"]] == ["SHA-256"]
    # And the tools' bill lists bundled packages inside their package
    tools = {one["name"]: one for one in written(repository, sbom.TOOLS_FILE)["components"]}
    assert tools.keys() == {"left", "packaging", "pip"}
    assert [one["purl"] for one in tools["left"]["components"]] == ["pkg:npm/%40a/in@2.0"]


def test_the_same_commit_gives_the_same_bytes(tmp_path: Path) -> None:
    environ = {"SOURCE_DATE_EPOCH": "1700000000"}
    bills = []
    for name in ("one", "other"):
        repository = Checkout(tmp_path / name, environ=environ).write()
        sbom.check(repository, MIT)
        bills.append((repository.report / sbom.LAYER_FILE).read_bytes())

    assert bills[0] == bills[1]
    assert b"2023-11-14T22:13:20+00:00" in bills[0]


def test_an_invalid_date_is_wrong_input(tmp_path: Path) -> None:
    repository = Checkout(tmp_path, environ={"SOURCE_DATE_EPOCH": "yesterday"}).write()

    with pytest.raises(SupplyError, match="SOURCE_DATE_EPOCH = 'yesterday'"):
        sbom.check(repository, MIT)


@pytest.mark.parametrize(
    "damage",
    [{"bomFormat": "SPDX"}, {"components": [{"name": "a"}]}, {"serialNumber": "7"}, {"whatever": 1}],
    ids=lambda damage: next(iter(damage)),
)
def test_a_bill_that_violates_the_schema_is_named(tmp_path: Path, damage: Mapping[str, Any]) -> None:
    repository = Checkout(tmp_path).write()
    sbom.check(repository, MIT)
    bill = written(repository, sbom.LAYER_FILE)

    assert sbom.faults(json.dumps(bill)) == []
    assert sbom.faults(json.dumps({**bill, **damage}))


def test_an_invalid_bill_is_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sbom.bill
    monkeypatch.setattr(sbom, "bill", lambda *a, **k: whole(*a, **k).replace('"library"', '"libary"'))

    outcome = sbom.check(Checkout(tmp_path).write(), MIT)

    assert {(one.place, one.rule) for one in outcome.findings} == {
        (sbom.LAYER_FILE, "schema"),
        (sbom.TOOLS_FILE, "schema"),
    }


def test_a_bill_is_read_back_with_bundled_packages(tmp_path: Path) -> None:
    repository = Checkout(tmp_path, notices={"left": "** in@2.0 - https://example.com | MIT\n"}).write()
    sbom.check(repository, MIT)

    purls, digest = sbom.read_back(repository.report / sbom.TOOLS_FILE)

    assert {"pkg:npm/left@1.0.0", "pkg:npm/in@2.0"} <= purls
    assert digest == ""


def test_a_damaged_bill_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "bill.json"
    path.write_text("{", encoding="utf-8")

    with pytest.raises(SupplyError, match=r"bill\.json is missing or damaged: run `make sbom`"):
        sbom.read_back(path)
