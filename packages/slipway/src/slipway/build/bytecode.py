"""Bytecode for the Python that Lambda runs, compiled on a machine that need not have it.

Lambda cannot write beside a layer, so without bytecode each execution environment compiles every module that it
imports. The compiler is `pyodide` from npm: CPython itself, built for WebAssembly and run by Node. Its bytecode is that
of any CPython of the same minor version, as the magic number in each file's header says.

The files are hash-based and unchecked (https://peps.python.org/pep-0552/): a zip's dates say nothing, and sources are
never edited on Lambda. Equal sources give equal bytes, whatever the order of compilation.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from slipway import process
from slipway.build.errors import BuildError

PACKAGE: Final = "pyodide"

HEADER_BYTES: Final = 16
"""Magic number, flags, and the hash of the source."""

UNCHECKED_HASH: Final = 0b01
"""Flags of a file that is loaded without checking its source (PEP 552)."""

_DRIVER: Final = Path(__file__).with_name("run.mjs")
_SCRIPT: Final = Path(__file__).with_name("compile_inside.py")
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True)
class Compiler:
    """The CPython in `node_modules`, and the files that it has compiled before.

    Args:
        modules: The folder `node_modules`. The cache is in it, because work trees of a repository share that folder.
        python: Version that functions run on, such as `3.14`.
    """

    modules: Path
    python: str

    def identify(self) -> str:
        """Return the compiler's version, such as `pyodide 314.0.7 with Python 3.14.2`.

        Raises:
            BuildError: It is not installed, or compiles for a Python other than the functions'.
        """
        folder = self.modules / PACKAGE
        try:
            package = json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"]
            python = json.loads((folder / "pyodide-lock.json").read_text(encoding="utf-8"))["info"]["python"]
        except (OSError, ValueError, KeyError, TypeError):
            raise BuildError(
                f"cannot compile for Python {self.python}: {PACKAGE} is not in node_modules: run `make install`"
            ) from None
        if ".".join(python.split(".")[:2]) != self.python:
            raise BuildError(
                f"{PACKAGE} {package} compiles for Python {python}, but functions run on {self.python}: "
                f"pin in package.json the {PACKAGE} whose Python is {self.python}, then `make lock` and `make install`"
            )
        return f"{PACKAGE} {package} with Python {python}"

    def compile(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the bytecode of each source; only sources not compiled before take time.

        Args:
            sources: Path of a file on Lambda, as tracebacks show it → its content.

        Raises:
            BuildError: As `identify`, or a source is not valid Python of that version.
        """
        compiler = self.identify()
        keys = {name: _key(compiler, name, source) for name, source in sources.items()}
        compiled = {name: content for name, key in keys.items() if (content := self._cached(key)) is not None}
        missing = {name: source for name, source in sources.items() if name not in compiled}
        if missing:
            for name, content in self._run(missing).items():
                self._cache(keys[name], content)
                compiled[name] = content
        return compiled

    def _run(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        names = sorted(sources)
        with tempfile.TemporaryDirectory(prefix="slipway-compile-") as folder:
            work = Path(folder)
            (work / "sources").mkdir()
            (work / "compiled").mkdir()
            for number, name in enumerate(names):
                (work / "sources" / str(number)).write_bytes(sources[name])
            order = {"names": names, "python": [int(part) for part in self.python.split(".")]}
            (work / "order.json").write_text(json.dumps(order), encoding="utf-8")
            self.run(_SCRIPT, work)
            problems = json.loads((work / "problems.json").read_text(encoding="utf-8"))
            if problems:
                raise BuildError("; ".join(problems))
            return {name: (work / "compiled" / str(number)).read_bytes() for number, name in enumerate(names)}

    def run(self, script: Path, work: Path) -> None:
        """Run a script in the compiler's own interpreter.

        Args:
            script: A Python file.
            work: Folder that the script can read and write as `/mnt/build`.

        Raises:
            BuildError: Node is missing, or the script failed.
        """
        command = [_node(), str(_DRIVER), str(self.modules / PACKAGE), str(script), str(work)]
        done = process.run(command)
        if done.returncode != 0:
            raise BuildError(f"{PACKAGE} failed: {done.last_error}; `slipway doctor` checks Node and the packages")

    @property
    def _folder(self) -> Path:
        return self.modules / ".cache" / "slipway-bytecode"

    def _cached(self, key: str) -> bytes | None:
        try:
            kept = (self._folder / key[:2] / key).read_bytes()
        except OSError:
            return None
        digest, content = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
        # A half-written file is compiled again.
        return content if hashlib.sha256(content).digest() == digest else None

    def _cache(self, key: str, content: bytes) -> None:
        place = self._folder / key[:2] / key
        place.parent.mkdir(parents=True, exist_ok=True)
        # Builds of several work trees may write the same file at once.
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
            file.write(hashlib.sha256(content).digest() + content)
        Path(file.name).replace(place)


def bytecode_name(source: str, python: str) -> str:
    """Return the path at which a Python's importer looks for the bytecode of a source.

    Args:
        source: Name of the source within a zip, with slashes.
        python: Version, such as `3.14`.
    """
    path = PurePosixPath(source)
    return str(path.parent / "__pycache__" / f"{path.stem}.cpython-{python.replace('.', '')}.pyc")


def _key(compiler: str, name: str, source: bytes) -> str:
    return hashlib.sha256(b"\0".join((compiler.encode(), name.encode(), source))).hexdigest()


def _node() -> str:
    """Return this environment's Node, or the machine's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    found = shutil.which("node", path=path)
    if found is None:
        raise BuildError(f"{PACKAGE} needs Node, which is not installed: run `make install`")
    return found
