"""Wrong input is reported in one line, with exit code 2."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import specimen
from slipway import project
from slipway.cli import main


@pytest.fixture(autouse=True)
def _nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("slipway.cli.run.use_project", lambda *_, **__: None)
    monkeypatch.setattr(project, "LOCAL", tmp_path)
    monkeypatch.setattr(project, "ROOT", specimen.PROJECT)
    # The command removes AWS's variables from its process and installs handlers for two signals
    before, handlers = (
        dict(os.environ),
        {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)},
    )
    yield
    os.environ.clear()
    os.environ.update(before)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["up", "--env", "nope"], 2, "unknown environment 'nope'; choose from dev, staging, prod"),
        (["up", "--service", "nope"], 2, "unknown service 'nope' in dev"),
        (["up", "--port", "80"], 2, "--port"),
        (["down", "--env", "nope"], 2, "unknown environment 'nope'"),
        (["logs", "--service", "catalog"], 1, "dev is not up: run `make up ENV=dev`"),
        (["call", "GET", "/catalog", "--service", "nope"], 2, "unknown service 'nope' in dev"),
        (
            ["call", "GET", "/catalog", "--service", "catalog", "--env", "prod"],
            1,
            "prod is not up: run `make up ENV=prod`",
        ),
        (["call", "GET"], 2, "Missing argument"),
        (["detectability", "--env", "nope"], 2, "unknown environment 'nope'; choose from dev, staging, prod"),
        (["detectability", "--service", "nope"], 2, "unknown service 'nope' in dev"),
        (["detectability", "--failure", "sometimes"], 2, "unknown failure 'sometimes'; use a form such as 5%"),
        (["detectability", "--failure", "0%"], 2, "a share must be above 0 and at most 100 %"),
        (["detectability", "--rate", "0"], 2, "--rate"),
        (["detectability", "--docs", "--env", "dev"], 2, "--docs covers the whole configuration"),
        (["fly"], 2, "No such command"),
    ],
)
def test_wrong_input_is_one_line(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.count("\n") == 1
    assert "Traceback" not in output.err


def test_taking_down_a_stopped_environment_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down"]) == 0
    assert capsys.readouterr().out == "dev was not up\n"


def test_the_state_of_each_environment_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    assert capsys.readouterr().out.count("down") == 3
