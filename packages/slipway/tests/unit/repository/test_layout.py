"""The import arrow of the layout: app → pipeline → stage → stack → service → block → resource.

import-linter checks the contracts between packages (`pyproject.toml`); these tests check the rest.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

import pytest

from slipway.project import ROOT

TOOL = ROOT / "packages" / "slipway" / "src" / "slipway"
RUNTIME = ROOT / "packages" / "slipway-runtime" / "src" / "slipway_runtime"
TOOLS_TESTS = ROOT / "packages" / "slipway" / "tests"
IMPORTED_FROM = (TOOL.parent, RUNTIME.parent, TOOLS_TESTS, ROOT)
"""Folders on the path, innermost first."""

OURS = {"app", "pipeline", "services", "slipway", "slipway_runtime", "stacks", "stages", "tests"}

# Packages in the Lambda runtime and the layer, besides the standard library
IN_LAMBDA = {
    "aws_lambda_powertools",
    "aws_xray_sdk",
    "boto3",
    "botocore",
    "jmespath",
    "pydantic",
    "snapshot_restore_py",
}
IN_LAMBDA |= {"pydantic_core", "typing_extensions", "urllib3"}

RUNTIMES = [RUNTIME, TOOL / "delivery" / "runtime", *sorted(ROOT.glob("services/*/runtime"))]
"""Folders whose code runs in Lambda."""


@lru_cache(maxsize=8)
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def _imports(path: Path, *, at_run_time_only: bool = False) -> tuple[str, ...]:
    """Return the dotted names that a file imports; those under `if TYPE_CHECKING` are not imported when it runs."""
    nodes = [*ast.walk(_tree(path))]
    skipped = {
        id(inner)
        for node in nodes
        if at_run_time_only and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    names: list[str] = []
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ".".join([*_package(path, node.level), *([node.module] if node.module else [])])
            names += [f"{package}.{alias.name}" for alias in node.names]
    return tuple(names)


def _package(path: Path, level: int) -> tuple[str, ...]:
    """Return the parts of the package that the dots of a relative import name; none for an absolute import."""
    if not level:
        return ()
    root = next(root for root in IMPORTED_FROM if path.is_relative_to(root))
    return path.parents[level - 1].relative_to(root).parts


def _top(name: str) -> str:
    return name.partition(".")[0]


def _files(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, folder
    return found


@pytest.mark.parametrize("path", sorted(ROOT.glob("services/*/infrastructure.py")), ids=lambda path: path.parent.name)
def test_infrastructure_imports_the_tool_and_its_service(path: Path) -> None:
    own = f"services.{path.parent.name}."
    for name in _imports(path):
        if _top(name) in OURS:
            assert name.startswith(("slipway.", own)), name
            assert ".runtime." not in name.removeprefix("slipway."), name


@pytest.mark.parametrize("folder", RUNTIMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_import_themselves_and_the_shared_runtime(folder: Path) -> None:
    base = TOOL.parent if folder.is_relative_to(TOOL) else ROOT
    own = "slipway_runtime." if folder == RUNTIME else f"{'.'.join(folder.relative_to(base).parts)}."
    for path in _files(folder):
        for name in _imports(path):
            if _top(name) in OURS:
                assert f"{name}.".startswith((own, "slipway_runtime.")), f"{path}: {name}"


@pytest.mark.parametrize("folder", RUNTIMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_import_what_lambda_has(folder: Path) -> None:
    # Given the layer's packages, the runtime's boto3 and the standard library, without CDK
    allowed = IN_LAMBDA | OURS | set(sys.stdlib_module_names)
    for path in _files(folder):
        for name in _imports(path, at_run_time_only=True):
            assert _top(name) in allowed, f"{path}: {name}"


def test_only_the_app_imports_infrastructure() -> None:
    for part in (ROOT / "pipeline", ROOT / "stages", ROOT / "stacks", TOOL):
        for path in _files(part):
            assert not [name for name in _imports(path) if name.startswith("services.")], path


COMMANDS = {"anywhere.py", "command.py", "given.py", "included.py"}
"""Modules of `nag` that pass it an assembly which the rest of the tool has read."""


def test_nag_does_not_depend_on_the_rest() -> None:
    allowed = {"aws_cdk", "cdk_nag", "constructs", "jinja2", "jsii", "pydantic", "rich"} | set(sys.stdlib_module_names)
    own = tuple(f"slipway.{part}." for part in ("assembly", "kernel", "nag", "process", "waivers"))
    for path in _files(TOOL / "nag"):
        if path.name in COMMANDS:
            continue
        for name in _imports(path):
            assert f"{name}.".startswith(own) or _top(name) in allowed, f"{path}: {name}"


@pytest.mark.parametrize("gate", ["nag", "rules", "review", "supply", "cost", "evidence", "drawing", "gates"])
def test_gates_judge_without_cdk(gate: str) -> None:
    # Given that only registration, acknowledgements and plug-ins may import CDK
    names = ("acknowledge", "included", "packs", "template_checks", "template_engine")
    meets_cdk = {f"nag/{name}.py" for name in names}
    for path in _files(TOOL / gate):
        if any(_top(name) in {"aws_cdk", "cdk_nag", "jsii"} for name in _imports(path)):
            assert path.relative_to(TOOL).as_posix() in meets_cdk, path


def test_no_folder_shadows_a_package() -> None:
    # Given that the root's folders come first on the path
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert not folders & {"constructs", "aws_cdk", "cdk_nag", "jsii", "pydantic", "boto3"}
    assert not folders & set(sys.stdlib_module_names)


def _tests(*, tools: bool = False) -> list[Path]:
    """Return the modules of the tool's tests alone, or of all tests."""
    folders = [TOOLS_TESTS] if tools else [TOOLS_TESTS, *ROOT.glob("tests"), *sorted(ROOT.glob("services/*/tests"))]
    return [path for folder in folders for path in _files(folder)]


def _divided(node: ast.AST) -> list[ast.expr]:
    """Return the parts of a path that is joined with `/`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return [*_divided(node.left), node.right]
    return [node] if isinstance(node, ast.expr) else []


@cache
def _installs_the_specimen(folder: Path) -> bool:
    shared = folder / "conftest.py"
    is_ours = folder.is_relative_to(TOOLS_TESTS) and shared.is_file()
    return is_ours and "specimen.install()" in shared.read_text(encoding="utf-8")


def _meets_the_app(path: Path) -> Iterator[str]:
    """Yield the modules of the app's services that a module imports, and the configuration that it reads."""
    yield from (name for name in _imports(path) if _top(name) in {"app", "services", "tests"})
    loads_the_specimen = any(map(_installs_the_specimen, path.parents))
    for node in ast.walk(_tree(path)):
        match _divided(node):
            case [ast.Name(id="ROOT") | ast.Attribute(attr="ROOT"), ast.Constant(value=str(name)), *_]:
                if name.partition("/")[0] in {"app.py", "config", "services", "tests"}:
                    yield f"ROOT / {name!r}"
            case [ast.Name(id="ROOT") | ast.Attribute(attr="ROOT"), ast.Name(id=name), *_] if name.endswith("_FILE"):
                yield f"ROOT / {name}"
            case [ast.Call(func=ast.Attribute(value=ast.Name(id="config"), attr="load"), args=[])]:
                if not loads_the_specimen:
                    yield "config.load()"


def test_no_test_module_imports_another() -> None:
    # Code that ships may have a name that starts with `test_` too
    tests = {path.stem for path in _tests() if path.stem.startswith("test_") and "runtime" not in path.parts}
    for path in _tests():
        for name in _imports(path):
            assert ".runtime." in name or not tests & set(name.split(".")), f"{path}: {name}"


PLAYS_THE_APP = {
    # Delivers the existing pipeline end to end
    "local/test_rehearsal.py",
    # Measures the existing app
    "bench/growth.py",
    "bench/worst.py",
    # In the copy made by `specimen.checkout`, `services` are the specimen's own
    "specimen/app.py",
}
"""Tests of the tool that use the app around them."""


def test_tools_tests_know_no_service_of_the_app() -> None:
    met = {
        path.relative_to(TOOLS_TESTS).as_posix(): found
        for path in _tests(tools=True)
        if (found := [*_meets_the_app(path)])
    }

    assert {file: found for file, found in met.items() if file not in PLAYS_THE_APP} == {}
    assert set(met) >= PLAYS_THE_APP
