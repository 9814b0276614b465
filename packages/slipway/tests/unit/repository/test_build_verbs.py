"""The commands in `.pre-commit-config.yaml` and `.ci/run` include the checks that the documentation claims."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from slipway import project
from unit.repository.ci import ran

ROOT = project.ROOT

ASKS = r"cdk synth|\(SLIPWAY\) gates$"


def _verbs_of_the_makefile() -> dict[str, str]:
    """Return the commands by verb."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z-]+):.* ## .*\n((?:\t.*\n)*)", makefile, flags=re.MULTILINE))


def test_commits_are_checked_by_the_repositorys_own_tools() -> None:
    # Given the hooks that `pre-commit install` sets up
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))

    # Then each is local, so that nothing is downloaded, and together they format, lint, type-check and test
    hooks = [hook for repo in configuration["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in configuration["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks} == {"system"}
    commands = [hook["entry"] for hook in hooks]
    for start in (".venv/bin/ruff format", ".venv/bin/ruff check", ".venv/bin/mypy", "make unit"):
        assert any(command.startswith(start) for command in commands), start


@pytest.mark.programs
def test_the_build_runs_checks_and_tests(tmp_path: Path) -> None:
    # Given the verbs that the build runs, and their commands
    _, verbs = ran(tmp_path, None)
    commands = _verbs_of_the_makefile()

    assert {"check", "test", "gates"} <= set(verbs)
    for verb in verbs:
        assert verb.partition(" ")[0] in commands, verb
    for tool in ("ruff format --check", "ruff check", "mypy", "lint-imports", "$(SLIPWAY) lint"):
        assert tool in commands["check"], tool
    for tests in ("$(UNIT)", "$(TEMPLATES)", "$(CONTRACT)", "$(LOCAL)", "$(REHEARSAL)"):
        assert f"{tests} " in commands["test"], tests


@pytest.mark.programs
def test_example_of_help_hands_over_its_json() -> None:
    # Given the example of a call in `make help`
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (example,) = re.findall(r"^call: .*?: (make call .*)$", makefile, flags=re.MULTILINE)
    _, *words = shlex.split(example)

    # When make prints its command without running it
    shown = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    command = next(line for line in shown.splitlines() if " -m slipway call " in line)
    assert json.loads(shlex.split(command)[-1]) == {"name": "kettle"}


def test_synthesis_finds_no_credentials() -> None:
    # Given the verbs that run the CDK CLI, which calls STS with any credentials that it finds
    commands = _verbs_of_the_makefile()

    asking = [line for command in commands.values() for line in command.splitlines() if re.search(ASKS, line)]
    assert asking
    assert [line for line in asking if "$(NOBODY)" not in line] == []
