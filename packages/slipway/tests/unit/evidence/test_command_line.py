"""`slipway evidence`: the exit code matches the state, and errors take one line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway import settings as config
from slipway.evidence import command
from slipway.nag.names import everywhere
from slipway.settings import ConfigurationError, Problem
from unit.evidence.repository import Repository
from unit.gates.assembly import DATA, PACKS
from unit.typed import Said, typed

pytestmark = pytest.mark.programs


Run = Callable[..., Said]


@pytest.fixture
def run(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command on the repository."""
    monkeypatch.setattr(command, "ROOT", repository.root)
    monkeypatch.setattr(command, "FOLDER", repository.checklists)
    monkeypatch.setattr(command, "QUESTIONS", repository.questions)
    monkeypatch.setattr(command, "packs_of", lambda _: everywhere(PACKS))

    def run(*words: str) -> Said:
        paths = [str(repository.root / "cdk.out"), "--report", str(repository.report)]
        return typed("evidence", *paths, *words)

    return run


def lines(result: Said) -> list[str]:
    return result.output.strip().splitlines()


def test_green_exits_with_0_and_prints_the_page(repository: Repository, run: Run) -> None:
    result = run()

    assert result.exit_code == 0, result.output
    assert lines(result)[-2:] == [
        "evidence green: all 7 parts are present and green",
        f"page: {repository.report / 'index.html'}",
    ]
    assert (repository.report / "index.html").is_file()


def test_red_exits_with_1_and_says_why(repository: Repository, run: Run) -> None:
    repository.assembly.violate("AwsSolutions-S1", f"{DATA}/Bucket")
    repository.assemble()

    result = run()

    assert result.exit_code == 1
    assert "  unacknowledged findings: 1" in lines(result)
    assert lines(result)[-2] == "evidence RED: Nag gate red"


def test_incomplete_exits_with_1_unless_it_is_allowed(repository: Repository, run: Run) -> None:
    (repository.report / "review.json").unlink()

    assert run().exit_code == 1
    assert run("--allow-incomplete").exit_code == 0


def test_red_is_never_allowed(repository: Repository, run: Run) -> None:
    repository.write("build/report/review.json", "{")

    assert run("--allow-incomplete").exit_code == 1


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("docs/requirements.toml", "nothing", "requirements.toml cannot be read"),
        ("checklists/serverless-lens.toml", "title = ", "serverless-lens.toml is not valid TOML"),
        (
            "blocks/key.py",
            "def (:",
            "blocks/key.py is not valid Python",
        ),
    ],
)
def test_wrong_input_exits_with_2_and_deletes_old_page(
    repository: Repository, run: Run, path: str, text: str, said: str
) -> None:
    # Given the page of an earlier run
    assert run().exit_code == 0
    repository.write(path, text)

    result = run()

    assert result.exit_code == 2
    (line,) = lines(result)
    assert said in line
    assert not (repository.report / "index.html").exists()


def test_a_wrong_configuration_exits_with_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise ConfigurationError([Problem("prod.toml", "account", "'1'", "is not 12 digits")])

    monkeypatch.setattr(config, "load", load)

    result = run()

    assert result.exit_code == 2
    assert "prod.toml" in result.output


def test_a_page_that_cannot_be_written_fails_in_one_line(repository: Repository, run: Run) -> None:
    (repository.root / "taken").write_text("a file", encoding="utf-8")

    result = run("--html", str(repository.root / "taken" / "index.html"))

    assert result.exit_code == 1
    (line,) = lines(result)
    assert "taken" in line
