"""Write bills of materials in CycloneDX JSON: one of the layer that ships, one of the tools.

Two builds of a commit write identical bytes: the time is the commit's, and the serial number is derived from the
content.
"""

from __future__ import annotations

import importlib.metadata
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component as BomComponent
from cyclonedx.model.component import ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slipway.gates.outcome import Finding, Outcome
from slipway.supply.components import Component
from slipway.supply.errors import SupplyError
from slipway.supply.licences import UNKNOWN, Licensed, Reader
from slipway.supply.policy import Licences
from slipway.supply.repository import ScannedTree
from slipway.supply.shipped import digest

LAYER_FILE = "sbom-layer.cdx.json"
TOOLS_FILE = "sbom-tools.cdx.json"

LOCKED = "slipway:locked"
"""Property of a component: a digest that its lock file allows, one per published file."""

# The earliest date that zips can contain too: without a commit, no clock is read.
_NO_TIME = datetime(1980, 1, 1, tzinfo=UTC)
_NAMESPACE = uuid.UUID("8f0d3f2c-6a0a-5e7e-9d0c-5b1c0e6f7a11")
_ALGORITHMS = {"sha1": HashAlgorithm.SHA_1, "sha256": HashAlgorithm.SHA_256, "sha512": HashAlgorithm.SHA_512}


def check(repository: ScannedTree, licences: Licences) -> Outcome:
    """Write both bills to `build/report`, after validating each against CycloneDX's schema.

    Args:
        repository: Installed and built.
        licences: The policy's licences.

    Raises:
        SupplyError: A lock file cannot be used, or the layer is not built.
    """
    reader = Reader(repository, licences)
    shipped, tools = reader.shipped(), reader.tools()
    texts = {
        LAYER_FILE: bill("slipway-layer", shipped, when=repository.changed(), sha256=digest(repository.layer)),
        TOOLS_FILE: bill("slipway-tools", tools, when=repository.changed()),
    }
    findings = [
        Finding(name, "schema", f"is not valid by CycloneDX's schema: {fault}")
        for name, text in texts.items()
        for fault in faults(text)
    ]
    repository.report.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (repository.report / name).write_text(text, encoding="utf-8")
    return Outcome.of(
        findings,
        f"CycloneDX 1.6: {len(shipped)} components in {LAYER_FILE}, {len(tools)} in {TOOLS_FILE}",
        scanned=[one.component.purl for one in shipped],
    )


def bill(name: str, licensed: Iterable[Licensed], *, when: datetime | None, sha256: str = "") -> str:
    """Return a bill of materials.

    Args:
        name: Name of the product that the components make up.
        licensed: The components, each with its licence.
        when: Its time. None: the start of 1980.
        sha256: Digest of the product, if it is a file.
    """
    known = sorted(licensed)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else []
    root = BomComponent(type=ComponentType.APPLICATION, name=name, bom_ref=name, hashes=hashes)
    parts = {one.component: _part(one) for one in known}
    standing = {component.purl: part for component, part in parts.items() if not component.bundled_in}
    for component, part in parts.items():
        if component.bundled_in:
            standing[component.bundled_in].components.add(part)
    content = Bom(
        # A different time or number would change the bytes for the same content.
        serial_number=uuid.UUID(int=0),
        metadata=BomMetaData(timestamp=when or _NO_TIME, component=root, tools=ToolRepository(components=[_writer()])),
        components=[part for component, part in parts.items() if not component.bundled_in],
    )
    content.register_dependency(root, [part for component, part in parts.items() if component.direct])
    for part, needs in _edges(parts, standing).items():
        content.register_dependency(part, needs)
    first = JsonV1Dot6(content).output_as_string(indent=2)
    content.serial_number = uuid.uuid5(_NAMESPACE, first)
    return JsonV1Dot6(content).output_as_string(indent=2) + "\n"


def _writer() -> BomComponent:
    # The library's own description contains addresses, and validating one costs its schema a third of a second.
    name = "cyclonedx-python-lib"
    return BomComponent(type=ComponentType.LIBRARY, name=name, version=importlib.metadata.version(name))


def _edges(
    parts: Mapping[Component, BomComponent], standing: Mapping[str, BomComponent]
) -> dict[BomComponent, list[BomComponent]]:
    """Return the dependencies of each component, from the reverse dependencies."""
    needs: defaultdict[BomComponent, list[BomComponent]] = defaultdict(list)
    for component, part in parts.items():
        for purl in component.needed_by:
            if purl in standing:
                needs[standing[purl]].append(part)
    return needs


def _part(one: Licensed) -> BomComponent:
    component = one.component
    factory = LicenseFactory()
    purl = PackageURL.from_string(component.purl)
    hashes = [_hash(text) for text in component.hashes]
    return BomComponent(
        type=ComponentType.LIBRARY,
        group=purl.namespace,
        name=purl.name,
        version=component.version,
        purl=purl,
        bom_ref=BomRef(f"{component.purl}#{component.bundled_in}" if component.bundled_in else component.purl),
        licenses=[] if one.expression == UNKNOWN else [factory.make_from_string(one.expression)],
        # If it has several published files, none of their digests is the component's.
        hashes=hashes if len(hashes) == 1 else [],
        properties=[Property(name=LOCKED, value=text) for text in component.hashes if len(hashes) > 1],
    )


def _hash(text: str) -> HashType:
    algorithm, _, content = text.partition(":")
    return HashType(alg=_ALGORITHMS[algorithm], content=content)


def faults(text: str) -> list[str]:
    """Return the violations of CycloneDX's schema, read strictly, one line each."""
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text, all_errors=True)
    return [_line(fault.data) for fault in found or ()]


def _line(fault: Any) -> str:
    place = "/".join(str(part) for part in fault.absolute_path)
    return f"{place or 'the bill'}: {fault.message.splitlines()[0][:160]}"


# The parts of a bill that are read back.
class _Digest(BaseModel):
    model_config = ConfigDict(frozen=True)

    alg: str
    content: str


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True)

    purl: str = ""
    hashes: tuple[_Digest, ...] = ()
    components: tuple[_Entry, ...] = ()


class _Metadata(BaseModel):
    model_config = ConfigDict(frozen=True)

    component: _Entry


class _Bill(BaseModel):
    model_config = ConfigDict(frozen=True)

    metadata: _Metadata
    components: tuple[_Entry, ...] = Field(default=())


def read_back(path: Path) -> tuple[frozenset[str], str]:
    """Return the contents of a written bill.

    Args:
        path: The file.

    Returns:
        The package URLs of all its components, and the SHA-256 of the product; empty if it has none.

    Raises:
        SupplyError: It cannot be read.
    """
    try:
        found = _Bill.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise SupplyError(f"{path.name} is missing or damaged: run `make sbom`") from None
    digests = [one.content for one in found.metadata.component.hashes if one.alg == "SHA-256"]
    return frozenset(_purls(found.components)), next(iter(digests), "")


def _purls(entries: Iterable[_Entry]) -> Iterator[str]:
    for entry in entries:
        yield entry.purl
        yield from _purls(entry.components)
