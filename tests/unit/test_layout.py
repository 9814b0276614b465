"""The import arrow of the layout: config → app → pipeline → stage → stack → service → block → resource."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What each part may import of ours, itself apart: all that lies below it on the arrow.
# Of `gates`, those above it import `slipway.nag.acknowledge` alone, and the rehearsal the picture of the pipeline: tests
# below say so.
ARROW: dict[str, set[str]] = {
    "config": set(),
    "assembly": set(),
    "blocks": {"config", "gates"},
    "stacks": {"blocks", "config"},
    "stages": {"stacks", "blocks", "config"},
    "pipeline": {"stages", "stacks", "blocks", "config", "gates", "assembly"},
    "gates": {"config", "assembly"},
    "rehearsal": {"config", "gates", "assembly"},
    "app": {"pipeline", "stages", "stacks", "services", "blocks", "gates", "config"},
}
OURS = {*ARROW, "services", "tests"}

# What the Lambda runtime and the layer hold besides the standard library.
IN_LAMBDA = {"aws_lambda_powertools", "aws_xray_sdk", "boto3", "botocore", "jmespath", "pydantic"}
IN_LAMBDA |= {"pydantic_core", "typing_extensions", "urllib3"}


def _files(folder: str) -> list[Path]:
    if folder == "app":
        return [ROOT / "app.py"]
    return sorted((ROOT / folder).rglob("*.py"))


def _runtimes() -> list[str]:
    """Folders whose code runs in Lambda, beside what they share: those of services, and of the pipeline's steps."""
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("*/**/runtime") if _is_ours(path))


def _is_ours(path: Path) -> bool:
    return path.is_dir() and path.relative_to(ROOT).parts[0] in {"services", "pipeline"}


def _construction(part: str) -> list[Path]:
    """The files of a part that build the app, not those that run in Lambda."""
    return [path for path in _files(part) if "runtime" not in path.relative_to(ROOT).parts]


def _imports(path: Path, *, at_run_time_only: bool = False) -> Iterator[str]:
    """Dotted names that a file imports; those under `if TYPE_CHECKING` are not imported when it runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if at_run_time_only and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides where it leads"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _top(name: str) -> str:
    return name.partition(".")[0]


@pytest.mark.parametrize("part", ARROW)
def test_nothing_imports_against_the_arrow(part: str) -> None:
    files = _construction(part)
    assert files
    for path in files:
        imported = {_top(name) for name in _imports(path)} & OURS
        assert imported <= ARROW[part] | {part}, path.relative_to(ROOT)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "services").glob("*/infrastructure.py")), ids=lambda path: path.parent.name
)
def test_infrastructure_of_a_service_imports_blocks_config_and_its_settings(path: Path) -> None:
    settings = f"services.{path.parent.name}.settings."
    imported = {name for name in _imports(path) if _top(name) in OURS and not name.startswith(settings)}

    assert {_top(name) for name in imported} <= {"blocks", "config"}


@pytest.mark.parametrize("path", sorted((ROOT / "services").glob("*/settings.py")), ids=lambda path: path.parent.name)
def test_settings_of_a_service_import_config_alone(path: Path) -> None:
    assert {_top(name) for name in _imports(path)} & OURS == {"config"}


@pytest.mark.parametrize("runtime", _runtimes())
def test_a_runtime_imports_itself_and_what_runtimes_share_alone(runtime: str) -> None:
    own = runtime.replace("/", ".")
    for path in _files(runtime):
        for name in _imports(path):
            if _top(name) in OURS:
                assert f"{name}.".startswith((f"{own}.", "slipway_runtime.")), path


def test_what_runtimes_share_imports_no_service() -> None:
    for path in _files("packages/slipway-runtime/src/slipway_runtime"):
        for name in _imports(path):
            if _top(name) in OURS:
                assert f"{name}.".startswith("slipway_runtime."), path


@pytest.mark.parametrize("folder", ["packages/slipway-runtime/src/slipway_runtime", *_runtimes()])
def test_a_runtime_imports_what_lambda_and_the_layer_hold(folder: str) -> None:
    # Given the packages of the layer, boto3 of the runtime, and the standard library: no CDK among them
    for path in _files(folder):
        for name in _imports(path, at_run_time_only=True):
            allowed = IN_LAMBDA | set(sys.stdlib_module_names)
            # Which of ours it may import, the test above says.
            assert _top(name) in allowed | OURS, f"{path}: {name}"


def test_infrastructure_is_imported_by_the_app_alone() -> None:
    # Given that blocks, stacks and stages are handed their services
    for part in sorted(ARROW.keys() - {"app"}):
        for path in _construction(part):
            assert not [name for name in _imports(path) if name.endswith(".infrastructure")], path


def test_what_builds_the_app_imports_of_the_gates_how_to_acknowledge_alone() -> None:
    # Given that a reason stands where the finding arises, and who signs it and who reads it are one library
    for part in ("blocks", "stacks", "stages", "pipeline", "services"):
        for path in _construction(part):
            gates = {name for name in _imports(path) if _top(name) == "gates"}
            assert all(name.startswith("slipway.nag.acknowledge.") for name in gates), path.relative_to(ROOT)


def test_the_rehearsal_imports_of_the_gates_the_picture_of_the_pipeline_alone() -> None:
    # Given that both pages show the pipeline, and there is one way to draw it
    for path in _files("rehearsal"):
        gates = {name for name in _imports(path) if _top(name) == "gates"}
        assert all(name.startswith("slipway.drawing.") for name in gates), path.relative_to(ROOT)


def test_the_nag_gate_can_be_lifted_out() -> None:
    # Given that it is a library by itself: it imports nothing of ours, and the standard library, CDK and its formats
    allowed = {"aws_cdk", "cdk_nag", "constructs", "jinja2", "jsii", "pydantic", "rich"} | set(sys.stdlib_module_names)
    for path in _files("packages/slipway/src/slipway/nag"):
        for name in _imports(path):
            assert name.startswith("slipway.nag.") or _top(name) in allowed, f"{path.relative_to(ROOT)}: {name}"


def test_the_gates_judge_a_finished_assembly_without_cdk() -> None:
    # Given that an old assembly can be judged: only the registration and the acknowledgements need CDK
    for path in _files("gates"):
        if any(_top(name) in {"aws_cdk", "cdk_nag", "jsii"} for name in _imports(path)):
            assert path.relative_to(ROOT / "gates").as_posix() in {"nag/packs.py", "nag/acknowledge.py"}


def test_no_folder_of_ours_takes_the_name_of_a_package_that_is_used() -> None:
    # Given that a folder here comes first on the path
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}

    assert not folders & {"constructs", "aws_cdk", "cdk_nag", "jsii", "pydantic", "boto3"}
    assert not folders & set(sys.stdlib_module_names)
