"""Adding or removing a service only changes its folder, its line in `app.py` and its tables."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from slipway.scaffold.mentions import mentions
from slipway.scaffold.plan import ScaffoldError, add, apply, remove, services
from slipway.scaffold.shapes import Shape

APP = '''"""The app."""

from services.alpha.infrastructure import Alpha
from services.zeta.infrastructure import Zeta

SERVICES: tuple[type[Service], ...] = (Zeta, Alpha)
'''

TABLES = """# What stays.
kind = "{kind}"

[services.alpha]

[services.alpha.worker]
memory_mb = 128

# Of zeta.
[services.zeta]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "config" / "pipeline.toml").write_text('environments = ["one", "two"]\n')
    for name, kind in (("one", "development"), ("two", "production")):
        (tmp_path / "config" / f"{name}.toml").write_text(TABLES.format(kind=kind))
    for name in ("alpha", "zeta"):
        (tmp_path / "services" / name / "runtime").mkdir(parents=True)
        (tmp_path / "services" / name / "infrastructure.py").touch()
    return tmp_path


def _contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("shape", Shape)
def test_a_new_service_is_named_in_app_and_tables_alone(project: Path, shape: Shape) -> None:
    before = _contents(project)

    apply(project, add(project, "orders", shape))

    after = _contents(project)
    changed = {file for file in after if after[file] != before.get(file)}
    assert {file for file in changed if not file.startswith("services/orders/")} == {
        "app.py",
        "config/one.toml",
        "config/two.toml",
    }
    assert "SERVICES: tuple[type[Service], ...] = (Zeta, Alpha, Orders)" in after["app.py"]
    assert services(project) == ["alpha", "orders", "zeta"]


@pytest.mark.parametrize("shape", Shape)
def test_written_files_are_valid_python_and_toml(project: Path, shape: Shape) -> None:
    for file, text in add(project, "orders", shape).written.items():
        if file.endswith(".py"):
            ast.parse(text, file)
        elif file.endswith(".toml"):
            table = tomllib.loads(text)["services"]["orders"]
            assert table[shape.function]["memory_mb"] >= 128


def test_removing_a_new_service_leaves_nothing_behind(project: Path) -> None:
    before = _contents(project)

    apply(project, add(project, "orders", Shape.QUEUE))
    apply(project, remove(project, "orders"))

    assert _contents(project) == before
    assert not (project / "services" / "orders").exists()


def test_removing_a_service_keeps_the_tables_of_others(project: Path) -> None:
    plan = remove(project, "alpha")

    assert plan.deleted == ("services/alpha",)
    assert tomllib.loads(plan.written["config/one.toml"])["services"] == {"zeta": {}}
    for comment in ("# What stays.", "# Of zeta."):
        assert comment in plan.written["config/one.toml"]
    assert "= (Zeta,)" in plan.written["app.py"]
    assert "alpha" not in plan.written["app.py"].lower()


@pytest.mark.parametrize("name", ["Orders", "a", "my-orders", "1st", "class", "names", "foundation", "alpha", "x" * 21])
def test_a_name_that_cannot_be_used_is_refused(project: Path, name: str) -> None:
    with pytest.raises(ScaffoldError, match=repr(name) if name != "alpha" else "already exists"):
        add(project, name, Shape.QUEUE)


def test_an_unknown_service_is_not_removed(project: Path) -> None:
    with pytest.raises(ScaffoldError, match="choose from alpha, zeta"):
        remove(project, "orders")


def test_the_last_service_is_not_removed(project: Path) -> None:
    apply(project, remove(project, "alpha"))

    with pytest.raises(ScaffoldError, match="only service"):
        remove(project, "zeta")


def test_an_app_of_another_form_is_not_changed(project: Path) -> None:
    (project / "app.py").write_text("build(everything())\n")

    with pytest.raises(ScaffoldError, match="manually"):
        add(project, "orders", Shape.QUEUE)


def test_a_new_service_joins_the_last_wave(project: Path) -> None:
    pipeline = project / "config" / "pipeline.toml"
    before = (
        pipeline.read_text()
        + '# In two waves.\nwaves = [\n    ["alpha"],\n    ["zeta"],  # last\n]\n\n[approval]\nhours = 1\n'
    )
    pipeline.write_text(before)

    apply(project, add(project, "orders", Shape.QUEUE))
    assert tomllib.loads(pipeline.read_text()) == tomllib.loads(before) | {"waves": [["alpha"], ["zeta", "orders"]]}
    assert "# In two waves." in pipeline.read_text()

    apply(project, remove(project, "alpha"))
    assert tomllib.loads(pipeline.read_text())["waves"] == [["zeta", "orders"]]


def test_remaining_mention_of_service_is_reported_with_line(project: Path) -> None:
    (project / "page.md").write_text("one\n[alpha](services/alpha/README.md)\nservices/alphabet\n")

    derived = project / "docs" / "reference" / "settings.md"
    derived.parent.mkdir(parents=True)
    derived.write_text("`[services.alpha]`\n")

    assert mentions(project, "alpha", ["page.md", "missing.md", "docs/reference/settings.md"]) == ["page.md:2"]
