"""What runs at a commit and in the build: the lists in `.pre-commit-config.yaml` and `.ci/run` hold what is claimed."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.unit.test_ci import ran

ROOT = Path(__file__).resolve().parents[2]


def _verbs_of_the_makefile() -> dict[str, str]:
    """Verb → its commands."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z]+):.* ## .*\n((?:\t.*\n)*)", makefile, flags=re.MULTILINE))


def test_commits_are_checked_by_the_repositorys_own_tools() -> None:
    # Given the hooks, which `pre-commit install` puts in place
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))

    # Then each is local, so that nothing is fetched, and together they format, lint, type and test
    hooks = [hook for repo in configuration["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in configuration["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    commands = [hook["entry"] for hook in hooks]
    for start in (".venv/bin/ruff format", ".venv/bin/ruff check", ".venv/bin/mypy", "make unit"):
        assert any(command.startswith(start) for command in commands), start


def test_the_build_runs_checks_and_tests(tmp_path: Path) -> None:
    # Given the verbs that the build runs, and their commands
    _, verbs = ran(tmp_path, None)
    commands = _verbs_of_the_makefile()

    assert {"check", "test", "gates"} <= set(verbs)
    for verb in verbs:
        assert verb.partition(" ")[0] in commands, verb
    for tool in ("ruff format --check", "ruff check", "mypy", "gates lint"):
        assert tool in commands["check"], tool
    for tests in ("tests/unit", "tests/properties", "tests/infrastructure", "tests/local"):
        assert f"{tests} " in commands["test"], tests
