"""All gates in one run: one red step makes it red, steps wait for their dependencies, old results are removed."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from slipway import project
from slipway.gates import command as entry
from slipway.gates import report
from slipway.gates.exports import as_json, as_junit
from slipway.gates.outcome import Finding, Outcome, StepState
from slipway.gates.run import run_all
from slipway.gates.steps import STEPS, Step, StepContext, chosen, command
from slipway.supply.errors import SupplyError
from slipway.supply.policy import load_policy
from slipway.supply.repository import ScannedTree
from slipway.supply.shipped import Zip
from unit.gates.outcomes import ACCEPTED, GREEN, OPEN, RED, ended, step
from unit.typed import typed


def ran(tmp_path: Path, *steps: Step) -> dict[str, Outcome]:
    ended = run_all(steps, ScannedTree(root=tmp_path), load_policy(), today=date(2026, 11, 1))
    return {one.step.name: one.outcome for one in ended}


def test_step_follows_its_dependencies_and_gets_their_results(tmp_path: Path) -> None:
    seen: dict[str, Outcome] = {}

    def last(context: StepContext) -> Outcome:
        seen.update(context.earlier)
        return GREEN

    found = ran(tmp_path, step("last", last, after=("red",)), step("red", lambda _: RED))

    assert seen == {"red": RED}
    assert list(found) == ["last", "red"]


def test_independent_steps_run_in_parallel(tmp_path: Path) -> None:
    # Given two steps that each wait for the other to start
    both = threading.Barrier(2, timeout=30)

    def meets(_: StepContext) -> Outcome:
        both.wait()
        return GREEN

    assert set(ran(tmp_path, step("one", meets), step("other", meets)).values()) == {GREEN}


def test_a_step_that_raises_an_error_is_red(tmp_path: Path) -> None:
    def broken(_: StepContext) -> Outcome:
        raise SupplyError("bandit did not finish (out of memory)")

    assert ran(tmp_path, step("sast", broken))["sast"].findings == (
        Finding("sast", "broken", "bandit did not finish (out of memory)"),
    )


@pytest.mark.programs
@pytest.mark.parametrize(("code", "state"), [(0, StepState.PASSED), (1, StepState.FAILED), (2, StepState.FAILED)])
def test_program_is_judged_by_exit_code_and_last_line(tmp_path: Path, code: int, state: StepState) -> None:
    words = (sys.executable, "-c", f"print('first'); print('nag gate says'); raise SystemExit({code})")

    outcome = ran(tmp_path, step("nag", command("nag", *words)))["nag"]

    assert (outcome.state, outcome.summary) == (state, "nag gate says")
    assert (tmp_path / "build" / "report" / "nag.log").read_text(encoding="utf-8") == "first\nnag gate says\n"


@pytest.mark.programs
def test_a_missing_program_is_red(tmp_path: Path) -> None:
    (finding,) = ran(tmp_path, step("nag", command("nag", "no-such-program")))["nag"].findings

    assert finding.message == "no-such-program is not installed: run `make install`"


def test_names_and_verbs_choose_steps_with_what_they_need() -> None:
    assert chosen(()) == STEPS
    assert [one.name for one in chosen(["audit"])] == ["audit-python", "audit-npm"]
    assert [one.name for one in chosen(["sbom", "sast"])] == ["sast", "sbom"]
    assert {one.name for one in chosen(["shipped"])} == {"nag", "audit-python", "sast", "licences", "sbom", "shipped"}
    with pytest.raises(SupplyError, match="unknown step 'lint'; choose from audit, audit-npm"):
        chosen(["lint"])


def test_every_supply_verb_of_the_makefile_is_a_step() -> None:
    makefile = (project.ROOT / "Makefile").read_text(encoding="utf-8")

    for verb in ("audit", "sast", "secrets", "licences", "sbom"):
        assert f"$(SLIPWAY) gates {verb}\n" in makefile
        assert chosen([verb])


@pytest.mark.parametrize(
    ("outcomes", "strict", "words"),
    [
        ({"sast": GREEN}, True, "gates green"),
        ({"sast": RED, "sbom": GREEN}, False, "gates RED: sast"),
        ({"audit": OPEN}, False, "gates green; not done, which would stop the pipeline: audit"),
        ({"audit": OPEN}, True, "gates RED: audit; not done, which stops the pipeline: audit"),
    ],
)
def test_the_verdict_names_blocking_and_undone_steps(outcomes: dict[str, Outcome], strict: bool, words: str) -> None:
    assert report.verdict(ended(**outcomes), strict=strict) == words


def test_the_table_has_every_step_and_the_verdict_comes_last() -> None:
    console = Console(record=True, width=120, file=io.StringIO())

    red = report.print_all(ended(sast=RED, audit=OPEN, sbom=ACCEPTED), console, strict=False)

    text = console.export_text()
    assert red
    for words in ("sast", "failed", "audit", "not done", "sbom", "passed"):
        assert words in text
    assert text.strip().splitlines()[-1].startswith("gates RED: sast")


def test_json_has_everything(tmp_path: Path) -> None:
    content = as_json(ended(sast=RED, audit=OPEN), [Zip("layer", "ab", 12, ships=True)], strict=True)

    assert json.loads(json.dumps(content)) == {
        "verdict": "red",
        "not_done": ["audit"],
        "not_done_stops": True,
        "zips": [{"name": "layer.zip", "sha256": "ab", "bytes": 12, "ships": True}],
        "steps": [
            {"name": "sast", "seconds": 1.2, **RED.plain()},
            {"name": "audit", "seconds": 1.2, **OPEN.plain()},
        ],
    }
    assert as_json(ended(audit=OPEN), (), strict=False)["verdict"] == "green"


@pytest.mark.parametrize(("strict", "tag"), [(True, "error"), (False, "skipped")])
def test_junit_fails_findings_and_errors_undone_steps(strict: bool, tag: str) -> None:
    text = as_junit(ended(sast=RED, audit=OPEN, sbom=ACCEPTED), strict=strict)

    suites = {suite.get("name"): suite for suite in ET.fromstring(text)}  # noqa: S314  # nosec B314  # our own
    failure = suites["sast"].find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "evaluates <what> it is given"
    assert suites["sast"].get("failures") == "1"
    assert suites["audit"].find(f"testcase/{tag}") is not None
    skipped = suites["sbom"].find("testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "because (owner: o; expires: 2027-01-01)"


# --- The verb ---


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that plants steps with given outcomes in a temporary folder, outside CodeBuild."""
    for name in ("CODEBUILD_BUILD_ID", "SLIPWAY_REHEARSAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(entry, "ScannedTree", lambda: ScannedTree(root=tmp_path))

    def plant(**outcomes: Outcome) -> None:
        steps = tuple(step(name, lambda _, outcome=outcome: outcome) for name, outcome in outcomes.items())  # type: ignore[misc]
        monkeypatch.setattr(entry, "STEPS", steps)
        monkeypatch.setattr(entry, "chosen", lambda names: chosen(names, steps))

    return plant


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize(
    ("outcomes", "environ", "code"),
    [
        ({"sast": GREEN}, {}, 0),
        ({"sast": GREEN, "sbom": RED}, {}, 1),
        ({"audit": OPEN}, {}, 0),
        ({"audit": OPEN}, {"CODEBUILD_BUILD_ID": "slipway:1"}, 1),
        ({"audit": OPEN}, {"CODEBUILD_BUILD_ID": "slipway:1", "SLIPWAY_REHEARSAL": "1"}, 0),
    ],
)
def test_the_exit_code_matches_the_outcomes(
    planted: Callable[..., None], outcomes: dict[str, Outcome], environ: dict[str, str], code: int
) -> None:
    planted(**outcomes)

    result = typed("gates", env=environ)

    assert result.exit_code == code


def test_complete_run_writes_results_and_partial_one_does_not(planted: Callable[..., None], tmp_path: Path) -> None:
    planted(sast=RED, sbom=GREEN)
    whole = tmp_path / "build" / "report" / "supply.json"

    typed("gates", "sbom")

    assert not whole.exists()

    typed("gates")

    assert json.loads(whole.read_text(encoding="utf-8"))["verdict"] == "red"
    assert (tmp_path / "build" / "reports" / "supply.xml").is_file()


def test_an_unknown_step_is_wrong_input(planted: Callable[..., None]) -> None:
    planted(sast=GREEN)

    result = typed("gates", "lint")

    assert result.exit_code == 2
    assert result.output == "unknown step 'lint'; choose from sast\n"
