"""A change runs the tests that it can affect, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import git
from slipway.git import GitError
from slipway.testing.changed import Reads, choose, read_modules

pytestmark = pytest.mark.programs


SRC, TESTS = "packages/tool/src/tool", "packages/tool/tests/unit"

FILES = {
    f"{SRC}/__init__.py": "",
    f"{SRC}/__main__.py": "from tool.commands import COMMANDS\n",
    f"{SRC}/commands.py": 'COMMANDS = ["tool.late:run"]\n',
    f"{SRC}/late.py": "from . import price\n",
    f"{SRC}/price.py": "import json\n",
    f"{SRC}/pages/__init__.py": "",
    f"{SRC}/pages/page.py": "",
    f"{SRC}/pages/page.html": "",
    f"{TESTS}/conftest.py": "",
    f"{TESTS}/test_price.py": "from tool.price import PRICE\n",
    f"{TESTS}/test_late.py": "import tool.__main__\n",
    f"{TESTS}/test_page.py": "from tool.pages import page\n",
    f"{TESTS}/test_reader.py": "CONFIG = ROOT / 'config.toml'\n",
    f"{TESTS}/test_all.py": "FILES = ROOT.glob('*')\n",
    "services/shop/tests/unit/test_shop.py": "from services.shop.api import shop\n",
    "services/shop/api.py": "shop = 1\n",
    "config.toml": "",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / ".gitignore").write_text("build/\n", encoding="utf-8")
    git.output(tmp_path, "init", "--quiet")
    git.output(tmp_path, "add", ".")
    git.output(tmp_path, "commit", "--quiet", "--message", "Begin", variables=git.identity("a", "a@example.com"))
    return tmp_path


def chosen(repository: Path) -> set[str]:
    choice = choose(repository, "HEAD")
    return {path.stem for path in repository.rglob("test_*.py") if choice.includes(path)}


def test_nothing_runs_without_a_change(repository: Path) -> None:
    assert chosen(repository) == set()


@pytest.mark.parametrize(
    ("file", "affected"),
    [
        (f"{SRC}/price.py", {"test_price", "test_late"}),
        (f"{SRC}/late.py", {"test_late"}),
        (f"{SRC}/commands.py", {"test_late"}),
        (f"{SRC}/pages/page.html", {"test_page", "test_reader"}),
        (f"{SRC}/__init__.py", {"test_price", "test_late", "test_page"}),
        (f"{TESTS}/conftest.py", {"test_price", "test_late", "test_page", "test_reader"}),
        (f"{TESTS}/test_page.py", {"test_page"}),
        ("services/shop/api.py", {"test_shop"}),
        ("config.toml", {"test_reader"}),
    ],
)
def test_a_change_runs_what_it_can_affect(repository: Path, file: str, affected: set[str]) -> None:
    with (repository / file).open("a", encoding="utf-8") as changed:
        changed.write("# changed\n")

    # Besides these, only tests that read the whole repository run
    assert chosen(repository) == affected | {"test_all"}


@pytest.mark.parametrize("file", ["pyproject.toml", "requirements/dev.txt", "package-lock.json"])
def test_another_installation_runs_everything(repository: Path, file: str) -> None:
    (repository / file).parent.mkdir(exist_ok=True)
    (repository / file).write_text("new", encoding="utf-8")

    assert chosen(repository) == {path.stem for path in repository.rglob("test_*.py")}


def test_a_deleted_module_runs_tests_that_imported_it(repository: Path) -> None:
    (repository / SRC / "price.py").unlink()

    assert chosen(repository) == {"test_price", "test_late", "test_all"}


def test_a_new_test_runs(repository: Path) -> None:
    (repository / TESTS / "test_new.py").write_text("", encoding="utf-8")

    assert chosen(repository) == {"test_new", "test_all"}


def test_an_invalid_module_runs(repository: Path) -> None:
    (repository / TESTS / "test_page.py").write_text("def broken(:\n", encoding="utf-8")

    assert chosen(repository) == {"test_page", "test_all"}


def test_a_commit_that_does_not_exist_is_an_error(repository: Path) -> None:
    with pytest.raises(GitError):
        choose(repository, "nowhere")


def test_changed_modules_are_read_again(repository: Path) -> None:
    before = read_modules(repository)
    (repository / TESTS / "test_page.py").write_text("import tool.price  # longer\n", encoding="utf-8")

    after = read_modules(repository)

    page = f"{TESTS}/test_page.py"
    assert (before.pop(page).names, after.pop(page).names) == (
        ("tool", "tool.pages", "tool.pages.page"),
        ("tool", "tool.price"),
    )
    assert before == after
    assert read_modules(repository)[f"{TESTS}/test_all.py"].reads is Reads.FOLDERS


def test_a_damaged_cache_is_read_anew(repository: Path) -> None:
    before = read_modules(repository)
    (repository / "build" / "tests" / "imports.json").write_text("{", encoding="utf-8")

    assert read_modules(repository) == before
