"""Assets are reproducible: the same bytes for the same inputs, regardless of folder, time and earlier runs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from slipway.blocks.assets import AssetError, AssetStore
from slipway.build import BuildError, build, builder, outdated
from slipway.build.bytecode import Compiler
from slipway.cli import main

WHEEL_FILES = {
    "powertools/__init__.py": "x = 1",
    "powertools/__pycache__/a.pyc": "",
    "powertools/tests/test_a.py": "",
    "powertools/stubs.pyi": "",
    "powertools/data.so": "elf",
    "powertools-1.0.dist-info/METADATA": "Name: powertools",
    "powertools-1.0.dist-info/RECORD": "",
    "powertools-1.0.dist-info/INSTALLER": "uv",
    "powertools-1.0.dist-info/licenses/LICENSE": "MIT",
    "bin/tool": "#!/home/somebody/.venv/bin/python",
    ".lock": "",
}


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def repository(folder: Path) -> Path:
    fill(
        folder,
        {
            "requirements/layer.txt": "powertools==1.0 --hash=sha256:00",
            "services/__init__.py": "",
            "services/items/__init__.py": "",
            "services/items/infrastructure.py": "import aws_cdk",
            "services/items/openapi.json": "{}",
            "services/items/runtime/__init__.py": "",
            "services/items/runtime/api.py": "import powertools",
            "services/items/runtime/schema.json": "{}",
            "services/items/runtime/notes.md": "notes",
            "services/items/runtime/.hidden.py": "",
            "services/items/runtime/__pycache__/api.py": "",
            "node_modules/pyodide/package.json": json.dumps({"version": "314.0.7"}),
            "node_modules/pyodide/pyodide-lock.json": json.dumps({"info": {"python": "3.14.2"}}),
        },
    )
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository(tmp_path / "repository")


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "build" / "assets"


@pytest.fixture(autouse=True)
def installs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace uv: create wheels and the files that uv leaves with them. Return the arguments of each call."""
    calls: list[list[str]] = []

    def install(lock: Path, target: Path, arguments: list[str]) -> None:
        calls.append(arguments)
        fill(target, WHEEL_FILES)

    monkeypatch.setattr(builder, "_install", install)
    return calls


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Replace pyodide. Return the names of each run."""
    runs: list[set[str]] = []

    def run(_: Compiler, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        runs.append(set(sources))
        return {name: b"compiled " + name.encode() + b" " + source for name, source in sources.items()}

    monkeypatch.setattr(Compiler, "_run", run)
    return runs


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_code_zip_contains_runtime_under_import_names(root: Path, folder: Path) -> None:
    build(root, folder)

    held = names(folder / "items.zip")
    assert [name for name in held if name.startswith("services/")] == [
        "services/__init__.py",
        "services/__pycache__/__init__.cpython-314.pyc",
        "services/items/__init__.py",
        "services/items/__pycache__/__init__.cpython-314.pyc",
        "services/items/runtime/__init__.py",
        "services/items/runtime/__pycache__/__init__.cpython-314.pyc",
        "services/items/runtime/__pycache__/api.cpython-314.pyc",
        "services/items/runtime/api.py",
        "services/items/runtime/schema.json",
    ]
    assert {"slipway_runtime/__init__.py", "slipway_runtime/problems.py"} <= set(held)


def test_the_layer_contains_imported_modules_and_licences(root: Path, folder: Path) -> None:
    build(root, folder)

    assert names(folder / "layer.zip") == [
        "python/powertools-1.0.dist-info/METADATA",
        "python/powertools-1.0.dist-info/licenses/LICENSE",
        "python/powertools/__init__.py",
        "python/powertools/__pycache__/__init__.cpython-314.pyc",
        "python/powertools/data.so",
    ]


def test_layers_are_for_lambda_and_this_interpreter(root: Path, folder: Path, installs: list[list[str]]) -> None:
    build(root, folder)

    assert installs == [
        ["--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.14"],
        ["--python", sys.executable],
    ]


def test_folder_and_time_do_not_change_the_bytes(root: Path, folder: Path, tmp_path: Path) -> None:
    other = repository(tmp_path / "elsewhere" / "clone")
    for path in other.rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))

    build(root, folder)
    build(other, other / "out")

    for name in ("items.zip", "layer.zip", "layer-local.zip", "manifest.json"):
        assert (folder / name).read_bytes() == (other / "out" / name).read_bytes()


def test_a_second_build_builds_nothing(root: Path, folder: Path, installs: list[list[str]]) -> None:
    assert build(root, folder) == ["items", "pipeline", "layer", "layer-local"]

    assert build(root, folder) == []
    assert outdated(root, folder) == []
    assert len(installs) == 2


def test_bytecode_names_files_by_their_place_in_lambda(root: Path, folder: Path) -> None:
    build(root, folder)

    with zipfile.ZipFile(folder / "items.zip") as code, zipfile.ZipFile(folder / "layer.zip") as layer:
        api = code.read("services/items/runtime/__pycache__/api.cpython-314.pyc")
        package = layer.read("python/powertools/__pycache__/__init__.cpython-314.pyc")
    assert api == b"compiled /var/task/services/items/runtime/api.py import powertools"
    assert package == b"compiled /opt/python/powertools/__init__.py x = 1"


def test_all_stale_assets_are_compiled_in_one_run(root: Path, folder: Path, compiled: list[set[str]]) -> None:
    build(root, folder)
    fill(
        root,
        {"services/items/runtime/api.py": "import powertools; b = 3", "services/items/runtime/__init__.py": "a = 2"},
    )
    build(root, folder)

    names = ("api.py", "__init__.py")
    assert compiled[1:] == [{f"/var/task/services/items/runtime/{name}" for name in names}]


def test_another_compiler_rebuilds_assets_with_bytecode(root: Path, folder: Path) -> None:
    build(root, folder)
    fill(root, {"node_modules/pyodide/package.json": json.dumps({"version": "314.0.8"})})

    assert build(root, folder) == ["items", "pipeline", "layer"]


def test_a_new_import_rebuilds_the_layers(root: Path, folder: Path) -> None:
    build(root, folder)
    fill(root, {"services/items/runtime/api.py": "import powertools.extra"})

    assert outdated(root, folder) == ["items", "layer", "layer-local"]


def test_an_invalid_service_is_reported_in_one_line(root: Path, folder: Path) -> None:
    fill(root, {"services/items/runtime/api.py": "def broken(:"})

    with pytest.raises(BuildError, match=r"^services/items/runtime/api\.py, line 1: invalid syntax$"):
        build(root, folder)


def test_an_edit_rebuilds_only_its_asset(root: Path, folder: Path) -> None:
    build(root, folder)
    fill(
        root,
        {
            "services/items/runtime/api.py": "import powertools; b = 3",
            "services/items/infrastructure.py": "import aws_cdk as cdk",
        },
    )

    assert outdated(root, folder) == ["items"]
    assert build(root, folder) == ["items"]


def test_a_new_lock_rebuilds_the_layers(root: Path, folder: Path) -> None:
    build(root, folder)
    fill(root, {"requirements/layer.txt": "powertools==1.1 --hash=sha256:11"})

    assert build(root, folder) == ["layer", "layer-local"]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


DAMAGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "zip truncated": (lambda folder: _truncate(folder / "layer.zip"), ["layer"]),
    "zip gone": (lambda folder: (folder / "items.zip").unlink(), ["items"]),
    "manifest truncated": (
        lambda folder: _truncate(folder / "manifest.json"),
        ["items", "pipeline", "layer", "layer-local"],
    ),
    "manifest gone": (
        lambda folder: (folder / "manifest.json").unlink(),
        ["items", "pipeline", "layer", "layer-local"],
    ),
    "manifest of another shape": (
        lambda folder: (folder / "manifest.json").write_text(json.dumps({"assets": {"items": 1}})),
        ["items", "pipeline", "layer", "layer-local"],
    ),
    "folder gone": (shutil.rmtree, ["items", "pipeline", "layer", "layer-local"]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_repaired(root: Path, folder: Path, damage: str) -> None:
    build(root, folder)
    before = {path.name: path.read_bytes() for path in folder.glob("*.zip")}
    spoil, expected = DAMAGES[damage]
    spoil(folder)

    assert build(root, folder) == expected
    assert {path.name: path.read_bytes() for path in folder.glob("*.zip")} == before


def test_leftovers_of_a_killed_build_are_deleted(root: Path, folder: Path) -> None:
    fill(folder, {".building-x/files/a.py": "", "gone-service.zip": ""})

    build(root, folder)

    assert sorted(path.name for path in folder.iterdir() if path.name != ".lock") == [
        "items.zip",
        "layer-local.zip",
        "layer.zip",
        "manifest.json",
        "pipeline.zip",
    ]


def test_an_interrupted_build_leaves_nothing_incomplete(
    root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(builder, "_install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(root, folder)

    assert not list(folder.glob(".building-*"))
    with pytest.raises(AssetError, match="run `make build`"):
        AssetStore(folder).path("items")
    assert "items" in build(root, folder)
    assert AssetStore(folder).path("items").is_file()


def test_two_concurrent_builds_build_once(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(lock: Path, target: Path, arguments: list[str]) -> None:
        time.sleep(0.2)
        fill(target, WHEEL_FILES)

    monkeypatch.setattr(builder, "_install", slow)
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(build(root, folder))) for _ in range(2)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == [[], ["items", "pipeline", "layer", "layer-local"]]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "error: Failed to fetch: `https://127.0.0.1:9/simple/pydantic/`\n  Caused by: error sending request",
            "cannot fetch the packages of requirements/layer.txt: check network and proxy, then `make build` again",
        ),
        (
            "  \u00d7 Failed to download `wrapt==2.5.2`\n  ╰─▶ Hash mismatch for `wrapt==2.5.2`",
            "cannot build the layer: Failed to download `wrapt==2.5.2`: Hash mismatch for `wrapt==2.5.2`",
        ),
        ("", "cannot build the layer: uv gave no reason"),
    ],
)
def test_errors_of_uv_become_one_line(said: str, shown: str) -> None:
    assert builder._condensed(said) == shown


def test_a_missing_lock_is_reported_in_one_line(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (root / "requirements" / "layer.txt").unlink()

    with pytest.raises(BuildError, match=r"^layer\.txt is missing: run `make lock`$"):
        build(root, folder)


def test_a_file_instead_of_a_folder_is_reported(root: Path, folder: Path) -> None:
    fill(root, {"build/assets": "a file"})

    with pytest.raises(BuildError, match="cannot write"):
        build(root, folder)


def test_check_builds_nothing_and_sets_the_exit_code(
    root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(builder, "ROOT", root)
    monkeypatch.setattr(builder, "ASSETS_FOLDER", folder)

    assert main(["build", "--check"]) == 1
    assert capsys.readouterr().err == "out of date: items, pipeline, layer, layer-local: run `make build`\n"
    assert not folder.exists()
    assert main(["build"]) == 0
    assert main(["build", "--check"]) == 0


@pytest.mark.parametrize("damage", ["zip truncated", "zip gone", "manifest truncated", "manifest gone", "folder gone"])
def test_stack_never_gets_a_missing_or_damaged_zip(root: Path, folder: Path, damage: str) -> None:
    build(root, folder)
    DAMAGES[damage][0](folder)
    name = "layer" if damage == "zip truncated" else "items"

    with pytest.raises(AssetError) as error:
        AssetStore(folder).path(name)

    file = "manifest.json" if "manifest" in damage or "folder" in damage else f"{name}.zip"
    assert str(error.value) == f"build/assets/{file} is missing or damaged: run `make build`"


def test_a_stack_gets_the_path_of_a_valid_zip(root: Path, folder: Path) -> None:
    build(root, folder)
    store = AssetStore(folder)

    assert store.path("items") == folder / "items.zip"
    assert store.record("items").unzipped_bytes == sum(
        entry.file_size for entry in zipfile.ZipFile(folder / "items.zip").infolist()
    )
