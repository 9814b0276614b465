"""The report names canaries that detect nothing, suggests better ones, and lists those that detect failures."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

import specimen
from slipway import project
from slipway.detectability import FailureMode, Survey, SurveyedFunction, report, run
from slipway.detectability.picture import draw
from slipway.detectability.survey import CURVE, WATCHED
from slipway.errors import RehearsalError
from unit.detectability.stages import ALARMS, alarm, assembly, resources, rollout

FEW = [FailureMode.failing(0.05), FailureMode.parse("answered=5%")]
SURVEY = Survey(runs=120)


def examine(rate: float, *arguments: Any, faults: list[FailureMode] = FEW, **changes: Any) -> SurveyedFunction:
    return SURVEY.examine(rollout(*arguments, **changes), rate, faults)


def test_weak_canary_is_reported_with_a_better_one() -> None:
    # Given one request per second, of which the canary receives thirty: too few to see a 5 % failure
    found = examine(1)
    said = report.verdict(found)
    # Then the verdict says so, and names the quickest configuration that sees it and the rate at which this one does
    assert not found.verdict.sees
    assert re.search(
        r"at 1 invocation per second Canary10Percent5Minutes sees a failure of 5 % in only \d+(\.\d)? %", said
    )
    assert "Linear10PercentEvery1Minute would detect it in 100 %, within 9 minutes" in said
    assert found.verdict.rate is not None
    assert said.endswith(f"The current one would at {found.verdict.rate:g} invocations per second.")


@pytest.mark.parametrize("fix", ["rate", "configuration"])
def test_suggested_fix_sees_the_failure(fix: str) -> None:
    # Given a canary that does not see the failure, and the suggested ways to see it
    verdict = examine(1).verdict
    assert verdict.quickest is not None
    assert verdict.rate is not None
    # When one of them is applied
    fixed = examine(verdict.rate) if fix == "rate" else examine(1, f"CodeDeployDefault.Lambda{verdict.quickest.name}")
    # Then the canary sees the failure
    assert fixed.verdict.sees
    assert re.search(
        r"sees a failure of 5 % in (9[5-9]|100)(\.\d)? % of deployments, and the failure affects",
        report.verdict(fixed),
    )
    # And half the suggested rate is not enough
    if fix == "rate":
        assert not examine(verdict.rate / 2).verdict.sees


def test_undetectable_failure_is_reported_at_the_rate() -> None:
    # Given one invocation per hundred seconds
    said = report.verdict(examine(0.01))

    assert "No predefined configuration detects it at this rate. The current one would at" in said


def test_report_says_when_no_configuration_would_help() -> None:
    # Given an alarm that no failure triggers
    said = report.verdict(examine(1, alarms={"A": alarm("Throttles", 1)}))

    assert said.endswith("No predefined configuration detects it at this rate. More traffic would not help either.")


def test_a_group_that_never_rolls_back_is_reported() -> None:
    assert "rolls back on no alarm" in report.verdict(examine(100, alarms={}))


def test_all_at_once_is_shown_with_its_meaning() -> None:
    said = report.verdict(examine(2, "CodeDeployDefault.LambdaAllAtOnce"))

    assert said.startswith(
        "all traffic moves at once, so no alarm stops a new version; a failure of 5 % affects 6 invocations per "
        "minute until a person acts. Linear10PercentEvery1Minute would detect it"
    )


def test_functions_with_the_same_verdict_are_reported_together() -> None:
    one = examine(100)
    texts = list(report.verdicts([one, one, examine(1), one]))

    assert [text.partition(": at")[0] for text in texts] == ["prod, tiny api, tiny api and tiny api", "prod, tiny api"]


def test_failures_no_alarm_counts_are_reported_once() -> None:
    assert "no alarm of these deployment groups counts them" in (report.unseen([examine(1)]) or "")
    # Not where these failures were not simulated
    assert report.unseen([examine(1, faults=[FailureMode.failing(0.05)])]) is None


def test_alarms_that_prove_nothing_are_reported() -> None:
    found = examine(1, alarms={**ALARMS, "Own": alarm("Errors", 1, Namespace="Own")})

    (line,) = report.blind([found])
    assert line.startswith("prod, tiny api: Own watches Own Errors (")
    assert line.endswith("which is not simulated.")
    assert not list(report.blind([examine(1)]))


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (0.0004, "< 0.1 %"), (0.125, "12.5 %"), (0.9996, "> 99.9 %"), (1, "100 %"), (0.35, "35 %")],
)
def test_a_chance_is_never_rounded_to_certainty(share: float, said: str) -> None:
    assert report._percent(share) == said


def test_table_has_row_per_function_and_column_per_failure() -> None:
    found = examine(1)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(report.table("prod", [found]))
    text = console.export_text()

    assert "prod, Canary10Percent5Minutes: caught before full traffic" in text
    assert re.search(r"tiny api\s+requests\s+1\s+\d", text)
    assert "error-rate" in text
    assert "answered" in text


def test_results_are_written_as_json(tmp_path: Path) -> None:
    # When a finding is written
    found = examine(1)
    results, picture = run.write([found], SURVEY, tmp_path)
    # Then the JSON contains everything
    document = json.loads(results.read_text(encoding="utf-8"))
    (function,) = document["functions"]
    assert function["deployment_configuration"] == "Canary10Percent5Minutes"
    assert function["alarms"] == ["Errors", "Latency"]
    assert [case["failure"] for case in function["cases"]] == ["error-rate=5%", "answered=5%"]
    case = function["cases"][0]
    assert case["caught_interval_95"][0] < case["caught_before_full_traffic"] < case["caught_interval_95"][1]
    assert case["hurt_per_minute_with_all_traffic"] == pytest.approx(3)
    assert function["verdict"]["words"] == report.verdict(found)
    assert document["assumptions"]["watched"] == WATCHED.name
    assert picture.read_text(encoding="utf-8") == draw([found])


# The picture


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)  # noqa: S314  # nosec B314  # drawn here


SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_shows_chance_and_harm_of_each_function() -> None:
    found = examine(3)
    picture = parsed(draw([found]))
    texts = ["".join(element.itertext()) for element in picture.iter(f"{SVG}text")]
    assert "prod: Canary10Percent5Minutes" in texts
    assert {"tiny: caught before full traffic", "tiny: affected until then, 95th percentile"} <= set(texts)
    assert texts.count("api, 3 per second") == 2
    # One line per function, with one point per failure rate
    lines = [element.get("points", "").split() for element in picture.iter(f"{SVG}polyline")]
    assert [len(line) for line in lines] == [len(CURVE)] * 2
    # The chance of detection rises with the failure rate: y falls from left to right
    heights = [float(point.partition(",")[2]) for point in lines[0]]
    assert heights[0] > heights[-1]
    assert all(0 <= height <= 190 for height in heights)


def test_environment_without_shift_is_a_line_of_text() -> None:
    picture = parsed(draw([examine(1, "CodeDeployDefault.LambdaAllAtOnce")]))

    assert "prod: all traffic moves at once, and no alarm stops a new version" in "".join(picture.itertext())
    assert not list(picture.iter(f"{SVG}polyline"))


# The verb


@pytest.fixture(autouse=True)
def _project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the specimen as the project: its folders define the services."""
    monkeypatch.setattr(project, "ROOT", specimen.PROJECT)


def tiny(tmp_path: Path) -> Path:
    """Write an assembly in which `items` of prod has one function."""
    return assembly(tmp_path, "prod-catalog", resources())


def test_the_traffic_is_that_of_the_configuration_unless_given(tmp_path: Path) -> None:
    folder, settings = tiny(tmp_path), specimen.SETTINGS

    def found_with(rate: float | None) -> SurveyedFunction:
        (found,) = run.examine(
            settings,
            Survey(runs=6),
            environments=["prod"],
            services=["catalog"],
            rate=rate,
            faults=FEW,
            assembly=folder,
        )
        return found

    found, other = found_with(None), found_with(3)

    assert found.rate == settings.environment("prod").services.catalog.traffic.requests_per_second
    assert other.rate == 3


def test_a_function_without_traffic_is_reported(tmp_path: Path) -> None:
    # Given a function that the configuration does not mention
    text = json.dumps(resources()).replace("ApiFunction", "StrangerFunction")
    folder = assembly(tmp_path, "prod-catalog", json.loads(text))

    with pytest.raises(RehearsalError) as refusal:
        run.examine(specimen.SETTINGS, Survey(runs=6), environments=["prod"], services=["catalog"], assembly=folder)
    assert "config/prod.toml: services.catalog.traffic.stranger_invocations_per_second" in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_a_missing_assembly_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="run `make synth`"):
        run.examine(specimen.SETTINGS, Survey(runs=6), assembly=tmp_path)


def test_the_page_gets_the_results_between_its_markers(tmp_path: Path) -> None:
    # Given a page with text before and after the markers
    page, picture = tmp_path / "page.md", tmp_path / "picture.svg"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    found = examine(1)
    # When the results are written twice
    for _ in range(2):
        run.write_documentation([found], SURVEY, page=page, picture=picture)
    # Then the rest of the page is unchanged
    text = page.read_text(encoding="utf-8")
    assert text == f"before\n{report.markdown([found], SURVEY)}after\n"
    assert "old" not in text
    assert "| tiny api | requests | 1 |" in text
    assert picture.is_file()


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")

    with pytest.raises(RehearsalError, match=r"page\.md: marker"):
        run.write_documentation([examine(1)], SURVEY, page=page, picture=tmp_path / "picture.svg")
    assert page.read_text(encoding="utf-8") == "nothing"
