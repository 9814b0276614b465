"""The layer as it ships: the same bytes wherever it is built, for Lambda's platform, small enough to start fast."""

from __future__ import annotations

import io
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from slipway.blocks.assets import AssetStore
from slipway.build import build
from slipway.project import ROOT

UNZIPPED_LIMIT = 15_000_000
"""Goal for the layer; Lambda's own limit is 250 MB for function and layers together."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> AssetStore:
    """A build of the repository as it is, into a new folder; the wheels come from uv's cache."""
    folder = tmp_path_factory.mktemp("assets")
    build(ROOT, folder)
    return AssetStore(folder)


def test_a_build_in_another_folder_gives_the_layer_and_code_that_were_built_before(
    built: AssetStore, tmp_path: Path
) -> None:
    build(ROOT, tmp_path / "other")
    other = AssetStore(tmp_path / "other")

    for name in ("items", "layer", "layer-local"):
        assert built.path(name).read_bytes() == other.path(name).read_bytes()


def test_every_binary_in_the_layer_is_for_python_3_14_on_arm64(built: AssetStore) -> None:
    binaries = [name for name in zipfile.ZipFile(built.path("layer")).namelist() if name.endswith(".so")]

    assert binaries
    assert not [name for name in binaries if not name.endswith(".cpython-314-aarch64-linux-gnu.so")]


def test_the_layer_stays_small_and_leaves_boto3_to_the_runtime(built: AssetStore) -> None:
    packages = {name.split("/")[1] for name in zipfile.ZipFile(built.path("layer")).namelist()}

    assert built.record("layer").unzipped_bytes <= UNZIPPED_LIMIT
    assert not packages & {"boto3", "botocore", "s3transfer", "bin"}


def test_the_layer_holds_the_versions_of_the_lock(built: AssetStore) -> None:
    archive = zipfile.ZipFile(built.path("layer"))
    metadata = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    headers = [HeaderParser().parse(io.TextIOWrapper(archive.open(name), encoding="utf-8")) for name in metadata]
    lock = (ROOT / "requirements" / "layer.txt").read_text(encoding="utf-8").splitlines()
    locked = {line.split()[0] for line in lock if "==" in line and not line.startswith((" ", "#"))}

    assert {f"{header['Name'].lower().replace('_', '-')}=={header['Version']}" for header in headers} == {
        name.replace("_", "-") for name in locked
    }


@pytest.mark.parametrize("name", ["items", "layer"])
def test_nothing_that_ships_carries_a_cache(built: AssetStore, name: str) -> None:
    entries = zipfile.ZipFile(built.path(name)).infolist()

    assert not [entry.filename for entry in entries if "__pycache__" in entry.filename]


@pytest.mark.parametrize("name", ["items", "layer", "layer-local"])
def test_no_zip_carries_a_time_or_a_mode(built: AssetStore, name: str) -> None:
    entries = zipfile.ZipFile(built.path(name)).infolist()

    assert {(entry.date_time, entry.external_attr >> 16, entry.compress_type) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, zipfile.ZIP_STORED)
    }
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
