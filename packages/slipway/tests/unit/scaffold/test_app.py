"""A new app has its own name, accounts and services, and contains the tool."""

from __future__ import annotations

import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import specimen
from slipway.project import ROOT
from slipway.scaffold import app
from unit.typed import typed

PARTS = {"app.py": specimen.PROJECT, "config": specimen.PROJECT, "services": specimen.PROJECT, "cdk.json": ROOT}


@pytest.fixture(autouse=True)
def _template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the specimen as the template, as `make wheels` does with the example, and start in an empty folder."""
    template = tmp_path / "app.zip"
    with zipfile.ZipFile(template, "w") as archive:
        for part, root in PARTS.items():
            path = root / part
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file() and "__pycache__" not in file.parts:
                    archive.write(file, file.relative_to(root).as_posix())
    monkeypatch.setattr(app, "TEMPLATE", template)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")


def _toml(file: str) -> dict[str, Any]:
    return tomllib.loads(Path(file).read_text(encoding="utf-8"))


@pytest.mark.programs
def test_app_has_its_own_name_accounts_and_services() -> None:
    # Given the specimen's services, of which one is kept
    kept, *others = sorted(specimen.MODELS)
    environment = specimen.DEV.name

    done = typed("init", "shop", "--service", kept, "--account", f"{environment}=310987654321")

    assert done.exit_code == 0, done.stderr
    assert _toml("shop/config/pipeline.toml")["name"] == "shop"
    assert _toml(f"shop/config/{environment}.toml")["account"] == "310987654321"
    assert [path.parent.name for path in Path("shop/services").glob("*/infrastructure.py")] == [kept]
    for other in others:
        assert f"services.{other}" not in Path("shop/app.py").read_text(encoding="utf-8")


@pytest.mark.programs
def test_app_contains_the_tool_and_is_committed() -> None:
    assert typed("init", "shop").exit_code == 0
    for package, place in app.TOOL.items():
        assert (Path("shop") / place / package / "py.typed").is_file()
    words = ["git", "-C", "shop", "status", "--porcelain"]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Shop"], "'Shop' must be 3 to 20 lower-case letters"),
        (["shop", "--service", "bakery"], "--service bakery: unknown service; choose from"),
        (["shop", "--account", "moon=310987654321"], "--account moon: unknown environment; choose from tools"),
        (["shop", "--account", "tools=31"], "an account id must have twelve digits"),
        (["shop", "--account", "tools"], "must be ENV=ID"),
    ],
)
def test_wrong_input_creates_no_files(words: list[str], said: str) -> None:
    done = typed("init", *words)
    assert said in done.stderr
    assert (done.exit_code, list(Path().iterdir())) == (2, [])


def test_folders_with_something_in_them_are_left_alone() -> None:
    Path("shop").mkdir()
    Path("shop/note").touch()
    assert "shop is not empty" in typed("init", "shop").stderr
    assert [path.name for path in Path("shop").iterdir()] == ["note"]


def test_a_checkout_without_a_wheel_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "TEMPLATE", Path("missing.zip"))
    assert "make wheels" in typed("init", "shop").stderr
