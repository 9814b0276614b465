"""Read and verify the built assets: no stack ships a zip that the manifest doesn't list."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.errors import SlipwayError
from slipway.project import ROOT

ASSETS_FOLDER = ROOT / "build" / "assets"
"""Folder into which `make build` writes the zips and their manifest."""

MANIFEST_FILE = "manifest.json"


class AssetError(SlipwayError):
    """An unusable asset; the message is one line that says what to do."""

    exit_code = 2


class AssetRecord(BaseModel):
    """One zip as it was built."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    sha256: str
    """Digest of the zip's bytes, hexadecimal."""
    inputs: str
    """Digest of all inputs of the zip, hexadecimal: equal inputs need no new build."""
    unzipped_bytes: int
    """Sum of the files' sizes, which Lambda limits to 250 MB with all layers."""


class AssetManifest(BaseModel):
    """Contents of `manifest.json`: every zip in the folder by its name without the extension."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    assets: dict[str, AssetRecord]


class AssetStore:
    """The folder that `make build` fills.

    Args:
        folder: Folder of the zips and `manifest.json`. Default: `build/assets` of this repository.
    """

    def __init__(self, folder: Path = ASSETS_FOLDER) -> None:
        self._folder = folder
        self._verified: dict[str, Path] = {}
        self._manifest: AssetManifest | None = None

    def path(self, name: str) -> Path:
        """Return the path of a zip after checking its digest against the manifest.

        Args:
            name: `items` for a service's code, `layer` or `layer-local` for the dependencies.

        Raises:
            AssetError: The zip is missing, damaged, or not in the manifest.
        """
        if name not in self._verified:
            self._verified[name] = self._verify(name)
        return self._verified[name]

    def record(self, name: str) -> AssetRecord:
        """Return the manifest's record of a zip.

        Raises:
            AssetError: As for `path`.
        """
        self.path(name)
        return self._read_manifest().assets[name]

    def _verify(self, name: str) -> Path:
        path = self._folder / f"{name}.zip"
        known = self._read_manifest().assets.get(name)
        if known is None or file_digest(path) != known.sha256:
            raise self._unusable(path)
        return path

    def _read_manifest(self) -> AssetManifest:
        if self._manifest is None:
            path = self._folder / MANIFEST_FILE
            try:
                self._manifest = AssetManifest.model_validate_json(path.read_bytes())
            except (OSError, ValidationError) as error:
                raise self._unusable(path) from error
        return self._manifest

    @staticmethod
    def _unusable(path: Path) -> AssetError:
        shown = Path(*path.parts[-3:])
        return AssetError(f"{shown} is missing or damaged: run `make build`")


def file_digest(path: Path) -> str | None:
    """Return a file's SHA-256, hexadecimal; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
