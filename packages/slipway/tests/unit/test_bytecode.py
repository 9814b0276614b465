"""Bytecode for Lambda's Python is compiled once per content, and only by an interpreter of the right version."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from slipway.build import LAMBDA_PYTHON, BuildError
from slipway.build.bytecode import HEADER_BYTES, Compiler, bytecode_name
from slipway.project import ROOT

MAGIC_OF_3_14 = (3627).to_bytes(2, "little") + b"\r\n"
"""https://github.com/python/cpython/blob/3.14/Include/internal/pycore_magic_number.h"""
UNCHECKED_HASH = (0b01).to_bytes(4, "little")
"""https://peps.python.org/pep-0552/"""

RUN_THERE = """
import importlib, json, sys
from importlib.machinery import SourceFileLoader
compiled = []
def compile_again(self, data, path, **_):
    compiled.append(path)
    raise ImportError("no bytecode: " + path)
SourceFileLoader.source_to_code = compile_again
sys.path.insert(0, "/mnt/build/code")
import greeting
found = {"version": list(sys.version_info[:2]), "says": greeting.say(), "compiled": compiled,
         "file": greeting.say.__code__.co_filename}
open("/mnt/build/found.json", "w").write(json.dumps(found))
"""

CONNECT = """
import json, js
said = {}
for module in ("net", "tls"):
    try:
        js.process.getBuiltinModule(module).connect(9, "127.0.0.1")
    except Exception as error:
        said[module] = str(error)
open("/mnt/build/said.json", "w").write(json.dumps(said))
"""


def installed(folder: Path, *, version: str = "314.0.7", python: str = "3.14.2") -> Compiler:
    """Write the metadata of an installed compiler."""
    package = folder / "pyodide"
    package.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"version": version}), encoding="utf-8")
    (package / "pyodide-lock.json").write_text(json.dumps({"info": {"python": python}}), encoding="utf-8")
    return Compiler(folder, "3.14")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace pyodide. Return the names of each run."""
    seen: list[list[str]] = []

    def run(_: Compiler, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        seen.append(sorted(sources))
        return {name: b"compiled " + source for name, source in sources.items()}

    monkeypatch.setattr(Compiler, "_run", run)
    return seen


@pytest.fixture
def real(tmp_path: Path) -> Compiler:
    """Return the installed compiler, with an empty cache."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "pyodide").symlink_to(ROOT / "node_modules" / "pyodide")
    return Compiler(modules, LAMBDA_PYTHON)


@pytest.mark.programs
def test_python_3_14_imports_the_bytecode(real: Compiler, tmp_path: Path) -> None:
    source = b"def say():\n    return 'hello'\n"
    compiled = real.compile({"/var/task/greeting.py": source})["/var/task/greeting.py"]
    code = tmp_path / "work" / "code"
    for name, content in (("greeting.py", source), (bytecode_name("greeting.py", "3.14"), compiled)):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_bytes(content)
    script = tmp_path / "script.py"
    script.write_text(RUN_THERE, encoding="utf-8")

    real.run(script, tmp_path / "work")

    assert compiled[:4] == MAGIC_OF_3_14
    assert compiled[4:8] == UNCHECKED_HASH
    found = json.loads((tmp_path / "work" / "found.json").read_text(encoding="utf-8"))
    assert found["version"] == [3, 14]
    assert (found["says"], found["compiled"]) == ("hello", [])


@pytest.mark.programs
def test_code_names_the_file_it_runs_from(real: Compiler) -> None:
    compiled = real.compile({"/var/task/a.py": b"x = 1\n", "/opt/python/b.py": b"x = 1\n"})

    assert all(name.encode() in content[HEADER_BYTES:] for name, content in compiled.items())


@pytest.mark.programs
def test_a_source_that_is_not_python_is_named(real: Compiler) -> None:
    with pytest.raises(BuildError, match=r"^/var/task/broken\.py: .*line 1.*SyntaxError"):
        real.compile({"/var/task/broken.py": b"def broken(:\n", "/var/task/sound.py": b"x = 1\n"})


@pytest.mark.programs
def test_the_interpreter_refuses_another_version(real: Compiler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Compiler, "identify", lambda _: "another")

    with pytest.raises(BuildError, match=r"^the compiler is Python 3\.14\.\d+, but functions run on 3\.15$"):
        Compiler(real.modules, "3.15").compile({"/var/task/a.py": b"x = 1\n"})


@pytest.mark.programs
def test_a_script_that_fails_says_why(real: Compiler, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("raise ValueError('odd')", encoding="utf-8")

    with pytest.raises(BuildError, match=r"^pyodide failed: ValueError: odd; "):
        real.run(script, tmp_path)


@pytest.mark.programs
def test_the_compiler_reaches_no_network(real: Compiler, tmp_path: Path) -> None:
    # Given a script that connects to an address where nobody listens, with and without TLS
    script = tmp_path / "script.py"
    script.write_text(CONNECT, encoding="utf-8")

    # When the compiler runs it
    real.run(script, tmp_path)

    # Then the compiler itself blocks the connections
    said = json.loads((tmp_path / "said.json").read_text(encoding="utf-8"))
    assert said == dict.fromkeys(("net", "tls"), "Error: the compiler must not reach the network")


def test_compiled_content_is_not_compiled_again(tmp_path: Path, runs: list[list[str]]) -> None:
    compiler = installed(tmp_path)
    first = compiler.compile({"/a.py": b"a", "/b.py": b"b"})

    assert compiler.compile({"/a.py": b"a", "/b.py": b"b", "/c.py": b"c"}) == {**first, "/c.py": b"compiled c"}
    assert runs == [["/a.py", "/b.py"], ["/c.py"]]


@pytest.mark.parametrize("other", [{"/a.py": b"changed"}, {"/moved/a.py": b"a"}])
def test_another_content_or_place_is_compiled(tmp_path: Path, runs: list[list[str]], other: dict[str, bytes]) -> None:
    compiler = installed(tmp_path)
    compiler.compile({"/a.py": b"a"})
    compiler.compile(other)

    assert runs[1:] == [list(other)]


def test_another_compiler_compiles_again(tmp_path: Path, runs: list[list[str]]) -> None:
    installed(tmp_path).compile({"/a.py": b"a"})
    package = tmp_path / "pyodide" / "package.json"
    package.write_text(json.dumps({"version": "314.0.8"}), encoding="utf-8")
    Compiler(tmp_path, "3.14").compile({"/a.py": b"a"})

    assert runs == [["/a.py"], ["/a.py"]]


def test_a_damaged_cache_is_repaired(tmp_path: Path, runs: list[list[str]]) -> None:
    compiler = installed(tmp_path)
    compiler.compile({"/a.py": b"a"})
    (kept,) = (path for path in (tmp_path / ".cache").rglob("*") if path.is_file())
    kept.write_bytes(kept.read_bytes()[:-1])

    assert compiler.compile({"/a.py": b"a"}) == {"/a.py": b"compiled a"}
    assert len(runs) == 2


def test_a_compiler_for_another_python_is_refused(tmp_path: Path) -> None:
    compiler = installed(tmp_path, version="315.0.1", python="3.15.0")

    with pytest.raises(
        BuildError, match=r"^pyodide 315\.0\.1 compiles for Python 3\.15\.0, but functions run on 3\.14"
    ):
        compiler.compile({})


@pytest.mark.parametrize("damage", ["", "{}", '{"info": 1}'])
def test_a_missing_compiler_is_reported_in_one_line(tmp_path: Path, damage: str) -> None:
    compiler = installed(tmp_path)
    (tmp_path / "pyodide" / "pyodide-lock.json").write_text(damage, encoding="utf-8")

    with pytest.raises(BuildError, match=r"pyodide is not in node_modules: run `make install`$"):
        compiler.identify()


def test_bytecode_is_stored_where_the_importer_looks() -> None:
    tag = f"{sys.version_info.major}.{sys.version_info.minor}"

    assert bytecode_name("a/b.py", "3.14") == "a/__pycache__/b.cpython-314.pyc"
    assert bytecode_name("b.py", tag) == f"__pycache__/b.{sys.implementation.cache_tag}.pyc"
