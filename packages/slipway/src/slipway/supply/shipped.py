"""Read the shipped files from the zips themselves, to compare them with the scanned ones."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from slipway.assembly.reader import TEMPLATE_SUFFIX, AssemblyError, assets_files, read_assets
from slipway.supply.components import Component, PackageKind
from slipway.supply.errors import SupplyError
from slipway.supply.repository import ScannedTree

LOCAL = frozenset({"layer-local"})
"""Zips that are only for this machine."""

_METADATA = re.compile(r"^python/[^/]+\.dist-info/METADATA$")


@dataclass(frozen=True, order=True)
class Zip:
    """A zip of `build/assets`."""

    name: str
    sha256: str
    bytes: int
    ships: bool
    """True if it is for the accounts, not only for this machine."""


# The parts of the manifests of `make build` and CDK (cloud-assembly-schema 55) that are read. Other keys are ignored.
class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)

    sha256: str


class _Built(_Read):
    assets: dict[str, _Record]


class _Source(_Read):
    path: str | None = None
    packaging: str = "file"
    executable: list[str] | None = None


class _File(_Read):
    source: _Source
    display_name: str = ""


@dataclass(frozen=True, order=True)
class PublishedFile:
    """A file that an asset manifest publishes, templates apart."""

    manifest: str
    name: str
    path: Path | None
    """Its path. None: a command creates it at the deployment."""
    sha256: str
    """SHA-256 of its bytes; empty if the file does not exist."""


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        SupplyError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise SupplyError(f"{path.name} is missing: run `make build`") from None


def built(repository: ScannedTree) -> tuple[Zip, ...]:
    """Return the zips that `make build` wrote.

    Raises:
        SupplyError: No zips exist, or one differs from the manifest.
    """
    manifest = repository.assets / "manifest.json"
    try:
        records = _Built.model_validate_json(manifest.read_bytes()).assets
    except OSError:
        raise SupplyError(f"{repository.relative(manifest)} is missing: run `make build`") from None
    except ValidationError:
        raise SupplyError(f"{repository.relative(manifest)} is damaged: run `make build`") from None
    found = []
    for name, record in sorted(records.items()):
        path = repository.assets / f"{name}.zip"
        sha256 = digest(path)
        if sha256 != record.sha256:
            raise SupplyError(f"{repository.relative(path)} differs from the last build: run `make build`")
        found.append(Zip(name=name, sha256=sha256, bytes=path.stat().st_size, ships=name not in LOCAL))
    return tuple(found)


def layer_metadata(path: Path) -> Mapping[str, Message]:
    """Return the metadata of every package in a layer, by normalised name.

    Raises:
        SupplyError: The zip cannot be read, or contains no package.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            texts = [archive.read(name).decode() for name in archive.namelist() if _METADATA.match(name)]
    except (OSError, zipfile.BadZipFile):
        raise SupplyError(f"{path.name} is missing or damaged: run `make build`") from None
    if not texts:
        raise SupplyError(f"{path.name} contains no package: run `make build`")
    parsed = [HeaderParser().parsestr(text) for text in texts]
    return {canonicalize_name(one["Name"]): one for one in parsed}


def layer_components(path: Path) -> tuple[Component, ...]:
    """Return the packages in a layer.

    Raises:
        SupplyError: As for `layer_metadata`.
    """
    return tuple(
        sorted(
            Component(kind=PackageKind.PYTHON, name=name, version=metadata["Version"])
            for name, metadata in layer_metadata(path).items()
        )
    )


def deployed(repository: ScannedTree) -> tuple[PublishedFile, ...]:
    """Yield everything that the asset manifests publish, except templates.

    Raises:
        SupplyError: There is no assembly, or a manifest is damaged.
    """
    manifests = assets_files(repository.assembly)
    if not manifests:
        raise SupplyError(f"{repository.relative(repository.assembly)} has no asset manifest: run `make synth`")
    return tuple(sorted({one for path in manifests for one in _published(repository, path)}, key=str))


def _published(repository: ScannedTree, manifest: Path) -> Iterator[PublishedFile]:
    shown = repository.relative(manifest)
    try:
        listed = read_assets(manifest)
        files = {key: _File.model_validate(entry) for key, entry in listed.files.items()}
    except (AssemblyError, ValidationError):
        raise SupplyError(f"{shown} is damaged: run `make synth`") from None
    for name in listed.images:
        yield PublishedFile(shown, f"image {name}", None, "")
    for key, file in files.items():
        name = file.display_name or key
        if file.source.path is None:
            yield PublishedFile(shown, name, None, "")
            continue
        path = (manifest.parent / file.source.path).resolve()
        if not path.name.endswith(TEMPLATE_SUFFIX):
            yield PublishedFile(shown, name, path, digest(path) if path.is_file() else "")
