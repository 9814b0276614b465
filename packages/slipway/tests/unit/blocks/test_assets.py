"""An asset is only used if it is the one that was built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.blocks.assets import MANIFEST_FILE, AssetError, AssetStore, file_digest
from unit.blocks.zips import fill


def test_path_of_a_built_zip_is_returned_with_its_record(tmp_path: Path) -> None:
    fill(tmp_path)
    store = AssetStore(tmp_path)

    assert store.path("items") == tmp_path / "items.zip"
    assert store.record("items").unzipped_bytes == 4


def _gone(folder: Path) -> None:
    (folder / "items.zip").unlink()


def _cut(folder: Path) -> None:
    path = folder / "items.zip"
    path.write_bytes(path.read_bytes()[:-1])


def _no_manifest(folder: Path) -> None:
    (folder / MANIFEST_FILE).unlink()


def _half_manifest(folder: Path) -> None:
    path = folder / MANIFEST_FILE
    path.write_text(path.read_text(encoding="utf-8")[:20], encoding="utf-8")


def _unknown(folder: Path) -> None:
    path = folder / MANIFEST_FILE
    manifest = json.loads(path.read_text(encoding="utf-8"))
    del manifest["assets"]["items"]
    path.write_text(json.dumps(manifest), encoding="utf-8")


def _folder(folder: Path) -> None:
    (folder / "items.zip").unlink()
    (folder / "items.zip").mkdir()


@pytest.mark.parametrize("damage", [_gone, _cut, _no_manifest, _half_manifest, _unknown, _folder])
def test_damaged_folder_says_what_to_do(tmp_path: Path, damage: object) -> None:
    # Given an asset folder whose build did not finish
    fill(tmp_path)
    assert callable(damage)
    damage(tmp_path)

    # When a zip's path is requested
    with pytest.raises(AssetError) as raised:
        AssetStore(tmp_path).path("items")

    # Then the error says to run `make build`, in one line
    assert "make build" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_has_no_digest(tmp_path: Path) -> None:
    assert file_digest(tmp_path / "nothing") is None
