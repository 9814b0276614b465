"""Check that the scanned files are those that ship: the assembly's zips against the other steps' inputs."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from slipway.gates.outcome import Finding, Outcome, StepState
from slipway.narrowing import narrowed_to
from slipway.supply.errors import SupplyError
from slipway.supply.repository import ScannedTree
from slipway.supply.sbom import LAYER_FILE, read_back
from slipway.supply.shipped import PublishedFile, Zip, built, deployed, layer_components

SHIPPED_FILE = "shipped.json"

_LAYER = "layer"
_RULE = "shipped"


def check(repository: ScannedTree, earlier: Mapping[str, Outcome]) -> Outcome:
    """Compare the published assets with the built ones, and those with the scanned files.

    The built assets, with their digests and publishers, are written to `shipped.json`.

    Args:
        repository: Synthesised.
        earlier: Results of `audit-python`, `sast`, `licences` and `sbom`.

    Raises:
        SupplyError: Something is not built, not synthesised, or damaged.
    """
    (repository.report / SHIPPED_FILE).unlink(missing_ok=True)
    zips = {one.sha256: one for one in built(repository)}
    published = deployed(repository)
    findings = [*_assets(repository, published, zips)]
    layers = {one.path for one in published if one.path and _name(one, zips) == _LAYER}
    held = {one.purl for path in layers for one in layer_components(path)}
    findings += _packages(repository, held, earlier)
    for one in published:
        name = _name(one, zips)
        if one.path and name and name != _LAYER:
            findings += _code(repository, name, one.path, frozenset(earlier["sast"].scanned))
    _write(repository.report / SHIPPED_FILE, zips, published)
    count = len({one.sha256 for one in published})
    notes = []
    if earlier["audit-python"].state is StepState.NOT_DONE:
        notes.append("the packages are those of the audit, which was not done")
    return Outcome.of(
        findings, f"{count} zips of the assembly, {len(held)} packages in the layer", notes=notes, scanned=held
    )


def _name(published: PublishedFile, zips: Mapping[str, Zip]) -> str:
    known = zips.get(published.sha256)
    return known.name if known else ""


def _assets(repository: ScannedTree, published: Iterable[PublishedFile], zips: Mapping[str, Zip]) -> Iterator[Finding]:
    """Yield assets that the assembly publishes but nobody built here, and built ones that it doesn't publish."""
    seen = set()
    for one in published:
        known = zips.get(one.sha256)
        if known is None:
            yield Finding(one.manifest, _RULE, f"{one.name} is not a zip in build/assets, so no scan covered it")
        elif not known.ships:
            yield Finding(one.manifest, _RULE, f"{one.name} ships {known.name}.zip, which is only for this machine")
        else:
            seen.add(known.name)
    # An assembly without some services ships not every zip.
    if not narrowed_to(repository.environ):
        for made in zips.values():
            if made.ships and made.name not in seen:
                place = f"build/assets/{made.name}.zip"
                yield Finding(place, _RULE, "is in no asset manifest, so a different zip ships: run `make synth`")


def _packages(repository: ScannedTree, held: set[str], earlier: Mapping[str, Outcome]) -> Iterator[Finding]:
    """Yield differences between the layer's packages, by their metadata, and each list made from the lock file."""
    if not held:
        yield Finding("cdk.out", _RULE, "does not ship a layer built here")
    listed, sha256 = read_back(repository.report / LAYER_FILE)
    lists: dict[str, frozenset[str]] = {
        LAYER_FILE: listed,
        "licences": frozenset(earlier["licences"].scanned),
        "audit-python": frozenset(earlier["audit-python"].scanned),
    }
    for name, purls in lists.items():
        for purl in sorted(held - purls):
            yield Finding(purl, _RULE, f"ships in the layer, but {name} did not check it")
    for name in (LAYER_FILE, "licences"):
        for purl in sorted(lists[name] - held):
            yield Finding(purl, _RULE, f"is in {name}, but does not ship in the layer")
    layer = hashlib.sha256(repository.layer.read_bytes()).hexdigest()
    if sha256 != layer:
        yield Finding(LAYER_FILE, _RULE, "is the bill of materials of a different layer.zip")


def _code(repository: ScannedTree, name: str, path: Path, scanned: frozenset[str]) -> Iterator[Finding]:
    """Yield Python files of a zip that the SAST did not read."""
    try:
        with zipfile.ZipFile(path) as archive:
            contents = {entry: archive.read(entry) for entry in archive.namelist() if entry.endswith(".py")}
    except (OSError, zipfile.BadZipFile):
        raise SupplyError(f"{repository.relative(path)} is damaged: run `make synth`") from None
    for entry, content in contents.items():
        source = next((path for path in _sources(entry) if path in scanned), None)
        if source is None:
            yield Finding(entry, _RULE, f"ships in {name}.zip, but sast did not check it")
        elif (repository.root / source).read_bytes() != content:
            yield Finding(source, _RULE, f"differs from the one in {name}.zip; run `make synth`")


def _sources(entry: str) -> Iterator[str]:
    """Yield the files that an entry of a zip may come from: those imported under its name."""
    yield from (f"{folder}{entry}" for folder in ("", "packages/slipway-runtime/src/", "packages/slipway/src/"))


def _write(path: Path, zips: Mapping[str, Zip], published: Iterable[PublishedFile]) -> None:
    by: dict[str, list[str]] = {}
    for one in published:
        by.setdefault(one.sha256, []).append(one.manifest)
    content = [
        {
            "name": f"{one.name}.zip",
            "sha256": one.sha256,
            "bytes": one.bytes,
            "ships": one.ships,
            "published_by": sorted(by.get(one.sha256, ())),
        }
        for one in sorted(zips.values())
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"zips": content}, indent=2) + "\n", encoding="utf-8")
