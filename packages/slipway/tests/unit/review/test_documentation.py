"""The action and the hooks that other repositories use, and the page that documents them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from slipway.cli.run import load
from slipway.cli.verbs import VERBS

ROOT = Path(__file__).resolve().parents[5]
PAGE = (ROOT / "docs" / "review.md").read_text(encoding="utf-8")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))


BY_NAME = {verb.name: verb for verb in VERBS}


def _options(verb: str) -> set[str]:
    parameters = load(BY_NAME[verb]).params
    return {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}


def test_the_page_names_existing_options() -> None:
    (table,) = re.findall(r"^\| option \|.*?\n\n", PAGE, flags=re.MULTILINE | re.DOTALL)

    named = set(re.findall(r"--[a-z][a-z-]*", table))
    assert named <= _options("review")
    assert {option for option in _options("review") if option.startswith("--")} - named <= {"--bundling", "--help"}


def test_the_action_uses_existing_options() -> None:
    (review,) = [step["run"] for step in ACTION["runs"]["steps"] if step.get("id") == "review"]

    assert set(re.findall(r"(?<![\w-])--[a-z-]+", review)) <= _options("review")


def test_the_action_expands_no_input_in_a_script() -> None:
    # Expressions are expanded in the script before it runs
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"], step["name"]


def test_every_input_of_the_action_is_used() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")

    assert all(f"inputs.{name}" in text for name in ACTION["inputs"])


def test_the_hooks_run_existing_commands() -> None:
    assert {hook["entry"] for hook in HOOKS} == {"slipway review", "slipway rules"}
    assert {hook["entry"].removeprefix("slipway ") for hook in HOOKS} <= BY_NAME.keys()
