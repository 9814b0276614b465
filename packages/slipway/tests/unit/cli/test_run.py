"""The command line loads every verb, uses the given project, and reports errors in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.cli.run import explain, load
from slipway.cli.verbs import VERBS, Verb, commands_of, service_verbs
from slipway.errors import SlipwayError
from unit.typed import typed

PRINTS = '''"""Say where one is.

More of it.
"""
import typer

from slipway.project import ROOT

app = typer.Typer()


@app.command()
def where(loud: bool = False) -> None:
    print(ROOT, loud)


@app.command()
def fail() -> None:
    raise typer.Exit(3)
'''


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Create an app with one service that has its own commands."""
    folder = tmp_path / "app"
    service = folder / "services" / "parcels"
    service.mkdir(parents=True)
    (folder / "cdk.json").write_text("{}", encoding="utf-8")
    (service / "commands.py").write_text(PRINTS, encoding="utf-8")
    return folder


def slipway(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a subprocess, from a folder."""
    command = [sys.executable, "-m", "slipway", *words]
    environ = {**os.environ, **variables}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_can_be_loaded(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given verbs whose loading would clear AWS's environment variables, with that turned off
    monkeypatch.setattr("slipway.cli.run._isolate", lambda: None)
    command = load(verb)
    # Then each has a `--project` option and a one-line summary
    assert "--project" in [name for option in command.params for name in option.opts]
    assert verb.summary.endswith(".")
    assert "\n" not in verb.summary


def test_verb_names_are_unique() -> None:
    names = [verb.name for verb in VERBS]
    assert len(names) == len(set(names))


@pytest.mark.programs
def test_help_imports_no_verb() -> None:
    code = "import sys; from slipway.cli import main; main(['--help']); sys.exit(sum(n in sys.modules for n in HEAVY))"
    heavy = ["aws_cdk", "boto3", "pydantic", "httpx", "slipway.settings"]
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {heavy}; {code}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert all(f" {verb.name} " in done.stdout for verb in VERBS if not verb.hidden)


@pytest.mark.programs
@pytest.mark.parametrize("words", [["--project", "app", "parcels", "where"], ["parcels", "where", "--project=app"]])
def test_project_may_come_before_or_after_the_verb(app: Path, words: list[str]) -> None:
    assert slipway(app.parent, *words).stdout == f"{app} False\n"


@pytest.mark.programs
def test_project_is_found_from_below(app: Path) -> None:
    assert slipway(app / "services", "parcels", "where").stdout == f"{app} False\n"


@pytest.mark.programs
def test_option_overrides_the_environment_variable(app: Path, tmp_path: Path) -> None:
    done = slipway(tmp_path, "--project", "app", "parcels", "where", SLIPWAY_PROJECT=str(tmp_path))
    assert done.stdout == f"{app} False\n"


@pytest.mark.programs
def test_exit_code_of_a_command_is_returned(app: Path) -> None:
    assert slipway(app, "parcels", "fail").returncode == 3


def test_services_are_listed(app: Path) -> None:
    assert [(verb.name, verb.summary) for verb in service_verbs(app)] == [("parcels", "Say where one is.")]


def test_commands_of_a_service_are_found(app: Path) -> None:
    assert commands_of(app, "parcels") == {"where", "fail"}
    assert not commands_of(app, "letters")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fly"], "No such command 'fly'."),
        (["revieew"], "No such command 'revieew'. Did you mean 'review'"),
        (["--project", "nowhere", "status"], "nowhere is not a folder"),
        (["lint", "--project", "nowhere"], "nowhere is not a folder"),
        (["lint", "--project"], "--project"),
        (["lint", "--wings"], "--wings"),
    ],
)
def test_usage_errors_print_one_line_and_exit_with_2(words: list[str], said: str) -> None:
    done = typed(*words)
    assert said in done.stderr
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


def test_missing_packages_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a verb that imports a package that is not installed
    (tmp_path / "flies.py").write_text("import feathers\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SlipwayError, match=r"fly: feathers is not installed; install slipway\[wings\]"):
        load(Verb("fly", "Look", "Fly.", "flies", "fly", "wings"))


def test_unexpected_errors_keep_their_traceback() -> None:
    assert explain(ValueError("a fault")) is None
    assert explain(KeyboardInterrupt()) == ("interrupted", 130)


@pytest.mark.programs
def test_completion_offers_verbs_and_options() -> None:
    variables = {"_SLIPWAY_COMPLETE": "complete_bash", "COMP_CWORD": "1", "COMP_WORDS": "slipway revi"}
    assert slipway(Path.cwd(), **variables).stdout.split() == ["review"]
