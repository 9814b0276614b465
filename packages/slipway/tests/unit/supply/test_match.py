"""Exactly what was scanned is shipped: any other zip, package or file is red."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.gates.outcome import Outcome, StepState
from slipway.supply import licences, match, sbom
from slipway.supply.errors import SupplyError
from slipway.supply.match import SHIPPED_FILE
from slipway.supply.repository import ScannedTree
from slipway.supply.shipped import built, digest
from unit.supply.checkout import HANDLER, MIT, Checkout, make_zip, metadata

pytestmark = pytest.mark.programs


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def write(checkout: Checkout, name: str, text: str) -> None:
    checkout.put(name, text)


def scanned(repository: ScannedTree, *, audited: bool = True) -> dict[str, Outcome]:
    """Return the outcomes of the scans: the audit covered the lock's packages, and SAST the file that ships."""
    of_python = ("pkg:pypi/alpha@1.0",)
    return {
        "audit-python": Outcome.of([], "asked", scanned=of_python)
        if audited
        else Outcome.not_done("nobody answers", scanned=of_python),
        "sast": Outcome.of([], "read", scanned=[HANDLER]),
        "licences": licences.check(repository, MIT),
        "sbom": sbom.check(repository, MIT),
    }


def judged(checkout: Checkout, plant: Callable[[Checkout], None] = lambda _: None) -> Outcome:
    """Run the step, with a fault planted after the scans."""
    repository = checkout.write()
    earlier = scanned(repository)
    plant(checkout)
    return match.check(repository, earlier)


def test_scanned_and_shipped_assets_are_green_and_recorded(checkout: Checkout) -> None:
    outcome = judged(checkout)

    assert (outcome.state, outcome.findings) == (StepState.PASSED, ())
    repository = checkout.repository()
    recorded = json.loads((repository.report / SHIPPED_FILE).read_text(encoding="utf-8"))["zips"]
    assert [(one["name"], one["ships"], one["published_by"]) for one in recorded] == [
        ("items.zip", True, ["cdk.out/assembly-dev/Data.assets.json"]),
        ("layer.zip", True, ["cdk.out/assembly-dev/Data.assets.json"]),
        ("layer-local.zip", False, []),
    ]
    # And the digests are those of the assembly's files
    for one in recorded[:2]:
        assert one["sha256"] == digest(repository.assembly / f"asset.{one['name']}")


def tampered(checkout: Checkout) -> None:
    """Add a file to a zip of the assembly."""
    make_zip(checkout.root / "cdk.out" / "asset.items.zip", {HANDLER: checkout.code, "more.py": ""})


def of_this_machine(checkout: Checkout) -> None:
    checkout.publish("layer-local", "layer", "items")


def left_out(checkout: Checkout) -> None:
    checkout.publish("layer")


def changed(checkout: Checkout) -> None:
    checkout.put(HANDLER, "import beta\n")


def built_again(checkout: Checkout) -> None:
    """Rebuild the layer after the scans, with an additional package."""
    checkout.layer["beta"] = metadata("beta", "1.0")
    checkout.zips()


def other_code(checkout: Checkout) -> None:
    """Build code that is not in the repository, and was not scanned."""
    checkout.code = "import gamma\n"
    checkout.zips()


def more_code(checkout: Checkout) -> None:
    """Add an unscanned file that ships with the others."""
    assets = checkout.root / "build" / "assets"
    content = {HANDLER: checkout.code, "services/items/runtime/more.py": ""}
    records = json.loads((assets / "manifest.json").read_text(encoding="utf-8"))
    records["assets"]["items"]["sha256"] = make_zip(assets / "items.zip", content)
    checkout.put("build/assets/manifest.json", json.dumps(records))
    checkout.publish("layer", "items")


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (tampered, "items is not a zip in build/assets, so no scan covered it"),
        (of_this_machine, "layer-local ships layer-local.zip, which is only for this machine"),
        (left_out, "is in no asset manifest"),
        (changed, "differs from the one in items.zip"),
        (built_again, "ships in the layer, but licences did not check it"),
        (built_again, "is the bill of materials of a different layer.zip"),
        (other_code, "differs from the one in items.zip"),
        (more_code, "ships in items.zip, but sast did not check it"),
    ],
)
def test_anything_else_is_red(checkout: Checkout, plant: Callable[[Checkout], None], message: str) -> None:
    outcome = judged(checkout, plant)

    assert outcome.state is StepState.FAILED
    assert any(message in finding.message for finding in outcome.findings), outcome.findings


def test_locked_package_missing_from_the_layer_fails(checkout: Checkout) -> None:
    def without(checkout: Checkout) -> None:
        checkout.layer = {"beta": metadata("beta", "1.0")}
        checkout.zips()

    messages = {f"{one.place}: {one.message}" for one in judged(checkout, without).findings}

    assert "pkg:pypi/alpha@1.0: is in licences, but does not ship in the layer" in messages


def test_an_assembly_of_some_services_may_omit_zips(checkout: Checkout) -> None:
    checkout.environ = {"SLIPWAY_SERVICES": "none"}

    assert judged(checkout, left_out).state is StepState.PASSED


def test_a_missing_audit_is_noted(checkout: Checkout) -> None:
    repository = checkout.write()

    outcome = match.check(repository, scanned(repository, audited=False))

    assert outcome.notes == ("the packages are those of the audit, which was not done",)


def test_image_or_late_file_fails(checkout: Checkout) -> None:
    def published(checkout: Checkout) -> None:
        manifest = {
            "files": {"late": {"source": {"executable": ["sh"]}}},
            "dockerImages": {"image": {"source": {"directory": "."}}},
        }
        checkout.put("cdk.out/More.assets.json", json.dumps(manifest))

    found = [one.message for one in judged(checkout, published).findings]

    assert found == [f"{name} is not a zip in build/assets, so no scan covered it" for name in ("image image", "late")]


def test_a_zip_that_differs_from_the_build_is_refused(checkout: Checkout) -> None:
    repository = checkout.write()
    make_zip(repository.layer, {"python/alpha-1.dist-info/METADATA": metadata("alpha", "2.0")})

    with pytest.raises(SupplyError, match=r"build/assets/layer\.zip differs from the last build: run `make build`"):
        built(repository)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("build/assets/manifest.json", "{", r"build/assets/manifest\.json is damaged: run `make build`"),
        ("cdk.out/assembly-dev/Data.assets.json", "{", r"Data\.assets\.json is damaged: run `make synth`"),
    ],
)
def test_damaged_input_is_reported_in_one_line(checkout: Checkout, name: str, text: str, message: str) -> None:
    with pytest.raises(SupplyError, match=message):
        judged(checkout, lambda it: write(it, name, text))


def test_missing_assembly_is_reported_in_one_line(checkout: Checkout) -> None:
    judged(checkout)
    repository = checkout.repository()
    (repository.assembly / "assembly-dev" / "Data.assets.json").unlink()

    with pytest.raises(SupplyError, match=r"cdk\.out has no asset manifest: run `make synth`"):
        match.check(repository, {})
    assert not (repository.report / SHIPPED_FILE).exists()
