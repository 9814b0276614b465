"""Build what ships, without Docker: a code zip for each service and the layer of dependencies, with their bytecode.

`slipway build` fills `build/assets`; `--check` only reports whether that is needed. A zip is rebuilt when its inputs
have changed, or when its bytes differ from the manifest: a damaged or half-built folder repairs itself.

Zips are stored, not deflated: the output of deflate depends on the installed zlib, and the same commit must give the
same digest on every machine.
"""

from __future__ import annotations

import compileall
import hashlib
import importlib.util
import json
import py_compile
import re
import shutil
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import requires, version
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import ValidationError
from rich.console import Console

import slipway_runtime
from slipway import delivery, process
from slipway.blocks.assets import ASSETS_FOLDER, MANIFEST_FILE, AssetManifest, AssetRecord, file_digest
from slipway.build.bytecode import Compiler, bytecode_name
from slipway.build.errors import BuildError
from slipway.build.reach import Imports, Layer, read_code
from slipway.project import ROOT

DELIVERY = Path(delivery.__file__).parent
"""Package of the pipeline's constructs; its functions are in `runtime/`."""

SOURCES = DELIVERY.parents[1]
"""Folder that the tool is imported from."""

SHARED = Path(slipway_runtime.__file__).parent
"""Package that every function imports."""

BUILDER_VERSION = "2"
"""Increased whenever the same inputs would give different zips."""

LAMBDA_PYTHON = "3.14"
LAMBDA_PLATFORM = "aarch64-manylinux_2_28"
"""Amazon Linux 2023, which `python3.14` runs on, has glibc 2.34; wheels are published for 2.28 at the most."""

# The oldest date that a zip can have, so that zips don't depend on the clock.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644 << 16
_UNIX = 3
_SHIPPED_SUFFIXES = frozenset({".py", ".json"})
# Files that uv adds to the wheels' own, and files that nothing imports. METADATA stays for importlib.metadata, and the
# licences because they must travel with the code.
_DROPPED_NAMES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json", ".lock"})
_DROPPED_FOLDERS = frozenset({"__pycache__", "bin", "sboms", "test", "tests", "wrapt-stubs"})
_DROPPED_SUFFIXES = frozenset({".c", ".pyc", ".pyi"})
_UNREACHABLE = re.compile(r"error sending request|connect|dns error|timed out|proxy|certificate", re.IGNORECASE)

# Folders to which Lambda unpacks a function's code and its layers: tracebacks name files by these paths.
_CODE_PLACE = "/var/task"
_LAYER_PLACE = "/opt"

# Packages in Lambda's own runtime, which it imports from the layer if the layer has them too.
_RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer")

Files = Mapping[str, Path]
"""Name within the zip → the file that it comes from."""


@dataclass(frozen=True)
class Asset:
    """One zip: its inputs, and how its files are collected."""

    name: str
    inputs: str
    collect: Callable[[Path], Files]
    """Takes an empty working folder, and returns the files to zip."""
    place: str | None = None
    """Folder to which Lambda unpacks it; its sources get bytecode for Lambda. None: not deployed to Lambda."""


def assets(root: Path = ROOT) -> list[Asset]:
    """Return every zip of the repository.

    Args:
        root: The repository, with `services/`, `requirements/layer.txt` and `node_modules/`.

    Raises:
        BuildError: The bytecode compiler is missing, or compiles for a Python other than the functions'.
    """
    lock = root / "requirements" / "layer.txt"
    compiler = _compiler(root).identify()
    code = {folder.parent.name: code_files(root, folder) for folder in sorted((root / "services").glob("*/runtime"))}
    # The pipeline's own functions are the tool's.
    code["pipeline"] = code_files(SOURCES, DELIVERY / "runtime")
    imports = _read_code({name: path for files in code.values() for name, path in files.items()})
    return [
        *(_code(name, files, compiler) for name, files in code.items()),
        _layer(lock, imports, compiler),
        _local_layer(lock, imports),
    ]


def _compiler(root: Path) -> Compiler:
    return Compiler(root / "node_modules", LAMBDA_PYTHON)


def build(root: Path = ROOT, folder: Path = ASSETS_FOLDER, *, console: Console | None = None) -> list[str]:
    """Build what is missing, damaged or out of date.

    Args:
        root: The repository.
        folder: Folder for the zips and `manifest.json`.
        console: Where progress is printed. Default: nowhere.

    Returns:
        Names of the assets that were built.

    Raises:
        BuildError: The packages cannot be fetched, or the folder cannot be written.
    """
    console = console or Console(quiet=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder, console):
            return _build(assets(root), folder, _compiler(root), console)
    except OSError as error:
        raise BuildError(f"cannot write {error.filename or folder}: {error.strerror or error}") from error


def outdated(root: Path = ROOT, folder: Path = ASSETS_FOLDER) -> list[str]:
    """Return the names of the assets that a build would rebuild."""
    known = _read_manifest(folder)
    return [asset.name for asset in assets(root) if _current(asset, folder, known) is None]


def _build(wanted: list[Asset], folder: Path, compiler: Compiler, console: Console) -> list[str]:
    for left in folder.glob(".building-*"):
        shutil.rmtree(left, ignore_errors=True)
    known = _read_manifest(folder)
    records = {asset.name: record for asset in wanted if (record := _current(asset, folder, known)) is not None}
    stale = [asset for asset in wanted if asset.name not in records]
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as work:
        made = _make(stale, Path(work), folder, compiler, console) if stale else {}
    for asset in wanted:
        record = (made | records)[asset.name]
        what = "built" if asset.name in made else "unchanged"
        console.print(f"{asset.name + '.zip':<18}{record.unzipped_bytes / 1e6:>6.1f} MB  {record.sha256[:12]}  {what}")
    manifest = AssetManifest(assets={asset.name: (made | records)[asset.name] for asset in wanted})
    if made or manifest != known:
        _replace(folder / MANIFEST_FILE, f"{manifest.model_dump_json(indent=2)}\n".encode())
    for stray in set(folder.glob("*.zip")) - {folder / f"{name}.zip" for name in manifest.assets}:
        stray.unlink()
    return list(made)


def _locked(folder: Path, console: Console) -> AbstractContextManager[object]:
    """Lock the folder for one build at a time; a second one waits, and then finds nothing to do."""
    lock = FileLock(folder / ".lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        console.print("waiting for another build to finish")
        return lock.acquire()


def _current(asset: Asset, folder: Path, known: AssetManifest) -> AssetRecord | None:
    """Return the record of an asset that needs no new build."""
    record = known.assets.get(asset.name)
    if record is None or record.inputs != asset.inputs or file_digest(folder / f"{asset.name}.zip") != record.sha256:
        return None
    return record


def _read_manifest(folder: Path) -> AssetManifest:
    try:
        return AssetManifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    except (OSError, ValidationError):
        return AssetManifest(assets={})


def _make(
    stale: Sequence[Asset], work: Path, folder: Path, compiler: Compiler, console: Console
) -> dict[str, AssetRecord]:
    """Build assets, compiling all of their sources in a single run: the compiler takes seconds to start."""
    collected: dict[str, Files] = {}
    for asset in stale:
        with console.status(f"collecting {asset.name}.zip"):
            (work / asset.name).mkdir()
            collected[asset.name] = asset.collect(work / asset.name)
    with console.status("compiling"):
        compiled = compiler.compile(
            {
                f"{asset.place}/{name}": path.read_bytes()
                for asset in stale
                if asset.place is not None
                for name, path in collected[asset.name].items()
                if name.endswith(".py")
            }
        )
    records = {}
    for asset in stale:
        files: dict[str, Path | bytes] = dict(collected[asset.name])
        if asset.place is not None:
            files |= {
                bytecode_name(name, compiler.python): compiled[f"{asset.place}/{name}"]
                for name in collected[asset.name]
                if name.endswith(".py")
            }
        made = work / f"{asset.name}.zip"
        size = _write_zip(made, files)
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        made.replace(folder / made.name)
        records[asset.name] = AssetRecord(sha256=digest, inputs=asset.inputs, unzipped_bytes=size)
    return records


def _write_zip(path: Path, files: Mapping[str, Path | bytes]) -> int:
    """Write files in the order of their names, each with the same date and mode; returns the sum of their sizes."""
    size = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, source in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _FILE_MODE
            content = source if isinstance(source, bytes) else source.read_bytes()
            archive.writestr(entry, content)
            size += len(content)
    return size


def _replace(path: Path, content: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix=".building-", dir=path.parent) as work:
        made = Path(work) / path.name
        made.write_bytes(content)
        made.replace(path)


def code_files(root: Path, runtime: Path) -> dict[str, Path]:
    """Return a folder's handlers and the shared runtime, by the names within the zip that they are imported by.

    Args:
        root: The folder that the handlers are imported from.
        runtime: The folder of the handlers.
    """
    packages = [root / parent for parent in runtime.relative_to(root).parents if parent != Path()]
    sources = [*(package / "__init__.py" for package in packages), *_shipped(runtime)]
    files = {path.relative_to(root).as_posix(): path for path in sources if path.is_file()}
    return files | {path.relative_to(SHARED.parent).as_posix(): path for path in _shipped(SHARED)}


def _code(name: str, files: Mapping[str, Path], compiler: str) -> Asset:
    digests = {name: file_digest(path) for name, path in files.items()}
    return Asset(name=name, inputs=_digest("code", digests, compiler), collect=lambda _: files, place=_CODE_PLACE)


def _read_code(files: Mapping[str, Path]) -> Imports:
    try:
        return read_code({name: path.read_bytes() for name, path in files.items() if path.suffix == ".py"})
    except SyntaxError as error:
        raise BuildError(f"{error.filename}, line {error.lineno}: {error.msg}") from None


def _shared_with_runtime() -> frozenset[str]:
    """Return the names of the layer's packages that Lambda's own boto3 imports, such as `jmespath`."""
    needs = [Requirement(text).name for package in _RUNTIME_PACKAGES for text in requires(package) or []]
    return frozenset(canonicalize_name(name).replace("-", "_") for name in needs)


def _shipped(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts)
        if path.suffix in _SHIPPED_SUFFIXES and not hidden:
            yield path


def _layer(lock: Path, code: Imports, compiler: str) -> Asset:
    """Return the importable modules of the locked wheels, under `python/`, which is on Lambda's path.

    Args:
        lock: The locked packages.
        code: Imports of the functions.
        compiler: The bytecode compiler.
    """
    arguments = ["--python-platform", LAMBDA_PLATFORM, "--python-version", LAMBDA_PYTHON]

    def collect(work: Path) -> Files:
        return {f"python/{path.as_posix()}": work / path for path in _unpack(lock, work, arguments, code)}

    inputs = _layer_inputs(lock, " ".join(arguments), code, compiler)
    return Asset(name="layer", inputs=inputs, collect=collect, place=_LAYER_PLACE)


def _local_layer(lock: Path, code: Imports) -> Asset:
    """Return the same layer for the interpreter that runs this, with its own bytecode.

    Otherwise the emulator would compile the layer for each worker, which takes a second.
    """

    def collect(work: Path) -> Files:
        kept = _unpack(lock, work, ["--python", sys.executable], code)
        kept += _compile(work, [path for path in kept if path.suffix == ".py"])
        return {f"python/{path.as_posix()}": work / path for path in kept}

    here = f"{sys.implementation.cache_tag} {sysconfig.get_platform()}"
    return Asset(name="layer-local", inputs=_layer_inputs(lock, here, code, "own"), collect=collect)


def _layer_inputs(lock: Path, interpreter: str, code: Imports, compiler: str) -> str:
    imported = [sorted(code.modules), sorted(code.strings), code.dynamic, sorted(one.files for one in code.asks_for)]
    return _digest("layer", file_digest(lock), interpreter, version("uv"), compiler, imported)


def _unpack(lock: Path, work: Path, arguments: list[str], code: Imports) -> list[Path]:
    """Install the locked wheels, and return the files that are needed, relative to the folder."""
    _install(lock, work, arguments)
    paths = [path.relative_to(work) for path in work.rglob("*") if path.is_file()]
    return Layer(work, tuple(filter(_needed, paths)), _shared_with_runtime()).needed(code)


def _needed(path: Path) -> bool:
    return not (
        path.name in _DROPPED_NAMES or path.suffix in _DROPPED_SUFFIXES or set(path.parts[:-1]) & _DROPPED_FOLDERS
    )


def _compile(folder: Path, sources: list[Path]) -> list[Path]:
    # Unchecked, because a zip's dates say nothing; stripped, so that no folder's name gets into the zip.
    compileall.compile_dir(
        folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, stripdir=str(folder)
    )
    compiled = (Path(importlib.util.cache_from_source(str(source))) for source in sources)
    return [path for path in compiled if (folder / path).is_file()]


def _install(lock: Path, target: Path, arguments: list[str]) -> None:
    if not lock.is_file():
        raise BuildError(f"{lock.name} is missing: run `make lock`")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-progress", "--target", str(target)]
    command += ["--only-binary", ":all:", "--no-deps", "--require-hashes", "--link-mode", "copy", *arguments]
    done = process.run([*command, "-r", lock])
    if done.returncode != 0:
        raise BuildError(_condensed(done.stderr))


def _condensed(error: str) -> str:
    """Return uv's error in one line."""
    if _UNREACHABLE.search(error):
        return "cannot fetch the packages of requirements/layer.txt: check network and proxy, then `make build` again"
    reason = ": ".join(re.findall(r"[\w`'\"<].*", error)[:2]) or "uv gave no reason"
    return f"cannot build the layer: {reason}"


def _digest(*parts: object) -> str:
    text = json.dumps([BUILDER_VERSION, *parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def build_assets(
    *, check: Annotated[bool, typer.Option("--check", help="Build nothing; fail if something would be built.")] = False
) -> None:
    """Build the assets into build/assets: a code zip for each service, and the dependency layer."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not check:
        build(ROOT, ASSETS_FOLDER, console=console)
    elif names := outdated(ROOT, ASSETS_FOLDER):
        raise BuildError(f"out of date: {', '.join(names)}: run `make build`")
