"""`--json FILE` behaves the same for every verb, and `-` keeps standard output free for the JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.cli import output
from slipway.cli.verbs import VERBS
from unit.typed import typed


def test_a_dash_prints_and_nothing_else_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output.write({"größe": [1]}, output.STANDARD_OUTPUT)

    assert json.loads(capsys.readouterr().out) == {"größe": [1]}
    assert not list(tmp_path.iterdir())


def test_the_folder_of_the_file_is_created(tmp_path: Path) -> None:
    file = tmp_path / "new" / "result.json"

    output.write([1, 2], file)

    assert json.loads(file.read_text(encoding="utf-8")) == [1, 2]
    output.forget(file)
    assert not file.exists()


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_explains_itself(verb: str) -> None:
    said = typed(verb, "--help", env={"COLUMNS": "200", "TERM": "dumb"})

    assert said.exit_code == 0, said.output
    assert f"slipway {verb}" in said.stdout
    if "--json" in said.stdout:
        assert "Write the result as JSON; `-` prints it." in said.stdout


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_refuses_an_unknown_option(verb: str) -> None:
    said = typed(verb, "--no-such-option")

    assert said.exit_code == 2, said.output
    assert "no-such-option" in said.stderr
    assert "Traceback" not in said.output


def test_status_prints_json() -> None:
    said = typed("status", "--json", "-")

    assert said.exit_code == 0, said.output
    assert {row["state"] for row in json.loads(said.stdout)} <= {"up", "down", "does not answer"}
