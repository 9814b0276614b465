"""This machine's layer is unpacked once for all accounts."""

from __future__ import annotations

import site
import sys
import zipfile
from pathlib import Path

import pytest

from slipway.emulator.layers import pointer


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """Write a layer with one package."""
    file = tmp_path / "layer-local.zip"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("python/package_of_the_layer.py", "HERE = True")
    return file


def _unpacked(zipped: Path, folder: Path) -> Path:
    """Unpack the layer as the emulator does, into a folder of site packages."""
    with zipfile.ZipFile(zipped) as packed:
        packed.extractall(folder)
    (found,) = folder.glob("python/lib/python*/site-packages")
    return found


def test_packages_of_the_layer_come_first(layer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    # When an execution environment loads the layer
    site.addsitedir(str(_unpacked(pointer(layer, tmp_path / "layers"), tmp_path / "environment")))
    # Then its packages precede all others on the path, even this machine's own
    assert (Path(sys.path[0]) / "package_of_the_layer.py").is_file()
    assert Path(sys.path[0]).is_relative_to(tmp_path / "layers")


def test_it_is_unpacked_once_and_reproducible(layer: Path, tmp_path: Path) -> None:
    first = pointer(layer, tmp_path / "layers")
    content = first.read_bytes()
    (unpacked,) = (each for each in (tmp_path / "layers").iterdir() if each.is_dir())
    (unpacked / "python" / "mark").touch()
    first.unlink()
    second = pointer(layer, tmp_path / "layers")
    assert second == first
    assert second.read_bytes() == content
    assert (unpacked / "python" / "mark").exists()


def test_another_layer_has_its_own_folder(layer: Path, tmp_path: Path) -> None:
    first = pointer(layer, tmp_path / "layers").read_bytes()
    with zipfile.ZipFile(layer, "a") as packed:
        packed.writestr("python/another.py", "")
    assert pointer(layer, tmp_path / "layers").read_bytes() != first


def test_a_failed_unpacking_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "layer-local.zip").write_bytes(b"half a layer")
    with pytest.raises(zipfile.BadZipFile):
        pointer(tmp_path / "layer-local.zip", tmp_path / "layers")
    assert not list((tmp_path / "layers").iterdir())
