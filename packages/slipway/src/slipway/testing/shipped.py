"""A folder like a function's file system: the code zip, the layer, and the runtime's boto3."""

from __future__ import annotations

import compileall
import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import distribution
from io import StringIO
from pathlib import Path

from slipway import process
from slipway.blocks.assets import AssetStore
from slipway.project import ROOT

# What Lambda's Python runtime has in /var/runtime beside boto3.
_RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")

# X-Ray's default rule samples one request in twenty; a request that isn't sampled is measured.
_LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    "AWS_REGION": "us-east-1",
    "LAMBDA_TASK_ROOT": "/var/task",
    "_X_AMZN_TRACE_ID": "Root=1-5e6722a7-cc56e3b9a1f24b7db7ae02d4;Parent=53995c3f42cd8ad8;Sampled=0",
}

KEEP_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Variable of a run that may leave bytecode for the next one. Default: none, since it would speed up a measurement."""

_NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class LambdaFolder:
    """Import path of a function, in Lambda's order: its code, the layer, the runtime."""

    code: Path
    layer: Path
    runtime: Path
    shared: Path | None = None
    """Location of the package that all functions import. Default: within the code, as shipped."""

    def run(self, script: str, *arguments: str, variables: Mapping[str, str], more: tuple[Path, ...] = ()) -> str:
        """Run a script in a fresh interpreter that sees only these folders, and return what it wrote to stderr.

        Args:
            script: The source.
            arguments: `sys.argv` from 1 on.
            variables: The function's environment variables.
            more: Folders at the end of the search path.

        Raises:
            RuntimeError: The script failed.
        """
        shared = [] if self.shared is None else [self.shared]
        path = os.pathsep.join(map(str, (self.code, *shared, self.layer, self.runtime, *more)))
        # -S excludes the virtual environment's packages, -P the working directory; the function's log is discarded.
        done = process.run(
            [sys.executable, "-S", "-P", "-c", script, *arguments],
            environment={"PYTHONPATH": path, **_NO_BYTECODE, **_LAMBDA, **variables},
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stderr


def unpack(folder: Path, store: AssetStore, *, service: str, compiled: bool) -> LambdaFolder:
    """Unpack a service for this machine's interpreter.

    Args:
        folder: An empty folder.
        store: The built assets.
        service: Name of the service.
        compiled: True to add bytecode to code and layer. boto3 always has it, as on Lambda.
    """
    found = LambdaFolder(folder / "code", folder / "layer" / "python", folder / "runtime")
    zipfile.ZipFile(store.path(service)).extractall(folder / "code")
    zipfile.ZipFile(store.path("layer-local")).extractall(folder / "layer")
    for package in _RUNTIME_PACKAGES:
        _copy(package, found.runtime)
    if not compiled:
        # Lambda's layer has none for this interpreter: its bytecode is for Lambda's.
        for cache in found.layer.rglob("__pycache__"):
            shutil.rmtree(cache)
    with redirect_stdout(StringIO()):
        for part in (found.code, found.layer, found.runtime) if compiled else (found.runtime,):
            compileall.compile_dir(part, quiet=2, workers=0)
    return found


def unpack_beside(folder: Path, store: AssetStore, *, service: str, libraries: Path) -> LambdaFolder:
    """Unpack a service beside libraries that others use too: for tests of what starts, not of how fast.

    Args:
        folder: An empty folder.
        store: The built assets.
        service: Name of the service.
        libraries: Folder that `unpack_libraries` filled.
    """
    zipfile.ZipFile(store.path(service)).extractall(folder)
    return LambdaFolder(folder, libraries / "layer" / "python", libraries / "runtime")


def unpack_libraries(folder: Path, store: AssetStore) -> Path:
    """Unpack the layer into an empty folder, link the runtime's packages as they are installed, and return it."""
    zipfile.ZipFile(store.path("layer-local")).extractall(folder / "layer")
    runtime = folder / "runtime"
    runtime.mkdir()
    for package in _RUNTIME_PACKAGES:
        installed = distribution(package)
        for name in {file.parts[0] for file in installed.files or ()} - {"..", "/", "__pycache__"}:
            (runtime / name).symlink_to(str(installed.locate_file(name)))
    return folder


def _copy(package: str, target: Path) -> None:
    installed = distribution(package)
    for file in installed.files or ():
        source = Path(str(installed.locate_file(file)))
        if file.parts[0] not in {"..", "/"} and source.suffix != ".pyc" and source.is_file():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / file)


REPOSITORY = ROOT
"""Folder from which `tests` is imported: the fakes of the unit tests."""
