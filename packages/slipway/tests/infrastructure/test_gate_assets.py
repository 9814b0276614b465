"""The specimen's assets: reproducible, built for Lambda's platform, and small enough to start quickly."""

from __future__ import annotations

import _imp
import io
import json
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from slipway.blocks.assets import AssetStore
from slipway.build import LAMBDA_PYTHON, build
from slipway.build.bytecode import HEADER_BYTES, Compiler, bytecode_name
from slipway.project import ROOT

MAGIC_OF_3_14 = (3627).to_bytes(2, "little") + b"\r\n"
"""https://github.com/python/cpython/blob/3.14/Include/internal/pycore_magic_number.h"""
UNCHECKED_HASH = (0b01).to_bytes(4, "little")
"""https://peps.python.org/pep-0552/"""

UNZIPPED_LIMIT = 15_000_000
"""Goal for the layer; Lambda's own limit is 250 MB for function and layers together."""

IMPORTED_THERE = (
    "annotated_types",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "jmespath",
    "services.catalog.runtime.answers",
    "slipway_runtime.exact_json",
    "typing_extensions",
    "typing_inspection.introspection",
)
"""Modules that need neither boto3 nor native code, and therefore run in any CPython."""


def test_build_in_another_folder_is_reproducible(built: AssetStore, checkout: Path, tmp_path: Path) -> None:
    # Given a second build of the same sources
    build(checkout, tmp_path / "other")
    other = AssetStore(tmp_path / "other")

    for name in ("catalog", "layer", "layer-local"):
        assert built.path(name).read_bytes() == other.path(name).read_bytes()


def test_every_binary_in_the_layer_matches_lambda(built: AssetStore) -> None:
    binaries = [name for name in zipfile.ZipFile(built.path("layer")).namelist() if name.endswith(".so")]

    assert binaries
    assert not [name for name in binaries if not name.endswith(".cpython-314-aarch64-linux-gnu.so")]


def test_the_layer_stays_small_and_leaves_boto3_to_the_runtime(built: AssetStore) -> None:
    packages = {name.split("/")[1] for name in zipfile.ZipFile(built.path("layer")).namelist()}

    assert built.record("layer").unzipped_bytes <= UNZIPPED_LIMIT
    assert not packages & {"boto3", "botocore", "s3transfer", "bin"}


def test_the_layer_contains_the_locked_versions(built: AssetStore) -> None:
    archive = zipfile.ZipFile(built.path("layer"))
    metadata = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    headers = [HeaderParser().parse(io.TextIOWrapper(archive.open(name), encoding="utf-8")) for name in metadata]
    lock = (ROOT / "requirements" / "layer.txt").read_text(encoding="utf-8").splitlines()
    locked = {line.split()[0] for line in lock if "==" in line and not line.startswith((" ", "#"))}

    assert {f"{header['Name'].lower().replace('_', '-')}=={header['Version']}" for header in headers} == {
        name.replace("_", "-") for name in locked
    }


@pytest.mark.parametrize("name", ["catalog", "intake", "studio", "sweep", "pipeline", "layer"])
def test_every_source_that_ships_has_bytecode_for_lambda(built: AssetStore, name: str) -> None:
    archive = zipfile.ZipFile(built.path(name))
    names = set(archive.namelist())
    sources = {name for name in names if name.endswith(".py")}
    expected = {bytecode_name(source, LAMBDA_PYTHON): source for source in sources}

    assert {name for name in names if name.endswith(".pyc")} == expected.keys()
    headers = {file: archive.read(file)[:HEADER_BYTES] for file in expected}
    assert {(header[:4], header[4:8]) for header in headers.values()} == {(MAGIC_OF_3_14, UNCHECKED_HASH)}
    for file, source in expected.items():
        # The hash is keyed with the magic number; `importlib.util.source_hash` uses that of the running interpreter
        key = int.from_bytes(MAGIC_OF_3_14, "little")
        assert headers[file][8:] == _imp.source_hash(key, archive.read(source)), source


def test_python_3_14_loads_all_bytecode_and_imports_from_it(built: AssetStore, tmp_path: Path) -> None:
    for name, folder in (("catalog", "task"), ("intake", "task"), ("studio", "task"), ("layer", "opt")):
        zipfile.ZipFile(built.path(name)).extractall(tmp_path / folder)
    (tmp_path / "imports.json").write_text(json.dumps(IMPORTED_THERE), encoding="utf-8")

    Compiler(ROOT / "node_modules", LAMBDA_PYTHON).run(Path(__file__).with_name("import_inside.py"), tmp_path)

    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["version"].startswith("3.14.")
    assert found["loaded"] == len(list(tmp_path.rglob("*.py"))) > 0
    assert found["misnamed"] == []
    assert found["compiled"] == []
    assert set(IMPORTED_THERE) <= set(found["from_bytecode"])


@pytest.mark.parametrize("name", ["catalog", "layer", "layer-local"])
def test_zips_have_fixed_times_and_modes(built: AssetStore, name: str) -> None:
    entries = zipfile.ZipFile(built.path(name)).infolist()

    assert {(entry.date_time, entry.external_attr >> 16, entry.compress_type) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, zipfile.ZIP_STORED)
    }
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
