"""Cache synthesis results by their sources, across processes and runs of tests."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

import slipway
import slipway_runtime
from slipway.blocks.assets import MANIFEST_FILE, AssetManifest, AssetRecord, AssetStore, file_digest
from slipway.project import ROOT
from slipway.testing.templates import Template

_READ = ("app.py", "cdk.json", "config", "docs/runbooks", "package.json", "pipeline", "pyproject.toml")
_READ_TOO = ("requirements", "services", "stacks", "stages")
_TOOL = (Path(slipway.__file__).parent, Path(slipway_runtime.__file__).parent)
_KEPT_SECONDS = 7 * 24 * 3600


class Kept:
    """Synthesis results on disk, under a name derived from their sources.

    Results from other sources are deleted if unused for a week.

    Args:
        sources: Files and folders that determine the result, besides the tool, the interpreter and the lock.
    """

    def __init__(self, sources: Iterable[Path]) -> None:
        self._sources = tuple(sources)

    def templates(self, name: str, make: Callable[[], Iterable[Template]]) -> list[Template]:
        """Return templates, synthesised by the first process that needs them.

        Args:
            name: Their name, unique among these sources.
            make: Synthesises them.
        """
        found = self.result(name, lambda _: [asdict(template) for template in make()])
        return [Template(**content) for content in found]

    def result(self, name: str, make: Callable[[Path], Any]) -> Any:
        """Return a JSON-compatible result, created by the first process that needs it.

        Args:
            name: Its name, unique among these sources.
            make: Creates it; receives a folder whose content is stored beside it.
        """
        place = self._folder() / hashlib.sha256(name.encode()).hexdigest()[:16]
        file = place.with_suffix(".json")
        with FileLock(place.with_suffix(".lock")):
            if not file.is_file():
                # Atomically: an interrupted run leaves no partial result.
                written = place.with_suffix(".part")
                written.write_text(json.dumps(make(place)), encoding="utf-8")
                written.replace(file)
            return json.loads(file.read_text(encoding="utf-8"))

    def _folder(self) -> Path:
        folder = ROOT / "build" / "tests" / "synthesised" / self._digest()
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        for other in folder.parent.iterdir():
            if time.time() - other.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(other, ignore_errors=True)
        return folder

    @cache  # noqa: B019 - there are two or three in a process
    def _digest(self) -> str:
        digest = hashlib.sha256(sys.version.encode())
        for file in _files((*self._sources, *_TOOL)):
            digest.update(f"{file}\0{file_digest(file)}\n".encode())
        return digest.hexdigest()[:16]


def app_sources() -> tuple[Path, ...]:
    """Return the sources that determine the app's templates."""
    return tuple(ROOT / name for name in (*_READ, *_READ_TOO))


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        found = [place] if place.is_file() else sorted(place.rglob("*"))
        yield from (file for file in found if file.is_file() and not {"__pycache__", "tests"} & {*file.parts})


@cache
def scratch() -> Path:
    """Return a folder for the assemblies of this process, which is deleted when the process ends."""
    folder = tempfile.mkdtemp(prefix="slipway-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def new_folder() -> Path:
    """Make a folder for an assembly."""
    return Path(tempfile.mkdtemp(prefix="cdk-out-", dir=scratch()))


@cache
def stand_in_assets(services: tuple[str, ...]) -> AssetStore:
    """Return zips in place of the built ones; templates only depend on their digests."""
    folder = Path(tempfile.mkdtemp(prefix="assets-", dir=scratch()))
    write_assets(folder, services)
    return AssetStore(folder)


def write_assets(folder: Path, services: Iterable[str]) -> None:
    """Fill a folder as `slipway build` does, with zips of one file."""
    folder.mkdir(parents=True, exist_ok=True)
    records = {}
    for name in (*sorted(services), "pipeline", "layer", "layer-local"):
        path = folder / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("name.txt"), name)
        digest = file_digest(path)
        assert digest
        records[name] = AssetRecord(sha256=digest, inputs=digest, unzipped_bytes=len(name))
    (folder / MANIFEST_FILE).write_text(AssetManifest(assets=records).model_dump_json(), encoding="utf-8")
