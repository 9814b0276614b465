"""The pipeline build's command stops at the first failing verb, leaves an assembly, and keeps the reports.

The evidence page is written from the reports that exist.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.repository.ci import RUN, ran

pytestmark = pytest.mark.programs


REVIEW, IN_FLIGHT = "review HEAD=cdk.out", "in-flight"


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize(
    ("verbs", "expected"),
    [
        (None, ["check", "test", "gates", REVIEW, IN_FLIGHT, "handover", "evidence", "publish"]),
        ("", ["synth", "handover", "publish"]),
        ("check unit", ["check", "unit", "synth", "handover", "publish"]),
        ("gates", ["gates", "handover", "publish"]),
        ("review", ["synth", REVIEW, IN_FLIGHT, "handover", "publish"]),
    ],
)
def test_build_runs_the_verbs_and_leaves_an_assembly(tmp_path: Path, verbs: str | None, expected: list[str]) -> None:
    assert ran(tmp_path, verbs) == (0, expected)


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        ("check", ["check", "evidence", "publish"]),
        ("gates", ["check", "test", "gates", "evidence", "publish"]),
        ("review", ["check", "test", "gates", REVIEW, "evidence", "publish"]),
        ("in-flight", ["check", "test", "gates", REVIEW, IN_FLIGHT, "evidence", "publish"]),
        ("handover", ["check", "test", "gates", REVIEW, IN_FLIGHT, "handover", "evidence", "publish"]),
        ("evidence", ["check", "test", "gates", REVIEW, IN_FLIGHT, "handover", "evidence", "publish"]),
    ],
)
def test_first_failing_verb_ends_the_build_and_keeps_reports(tmp_path: Path, failing: str, expected: list[str]) -> None:
    code, verbs = ran(tmp_path, None, failing=failing)

    assert code != 0
    assert verbs == expected


def test_outside_the_pipeline_the_browser_is_installed_first(tmp_path: Path) -> None:
    assert ran(tmp_path, "test gates", CODEBUILD_BUILD_ID="")[1][:2] == ["browser", "test"]


def test_an_untrusted_checkout_is_still_reviewed(tmp_path: Path) -> None:
    # Given a checkout that git refuses to read because it belongs to another user
    seen = ran(tmp_path, "review", CODEBUILD_BUILD_ID="", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")

    # Then the review still runs, and reports the reason
    assert seen == (0, ["synth", REVIEW, IN_FLIGHT, "handover", "publish"])


def test_files_without_a_repository_are_not_reviewed(tmp_path: Path) -> None:
    copied = tmp_path / "copy" / ".ci" / "run"
    copied.parent.mkdir(parents=True)
    copied.write_bytes(RUN.read_bytes())
    copied.chmod(0o755)

    assert ran(tmp_path, "review", script=copied, CODEBUILD_BUILD_ID="") == (0, ["synth", "handover", "publish"])


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize("elsewhere", [{"CODEBUILD_BUILD_ID": ""}, {"SLIPWAY_REHEARSAL": "1"}])
def test_page_may_be_incomplete_outside_the_pipelines_build(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    _, verbs = ran(tmp_path, "evidence", **elsewhere)

    assert verbs == ["synth", "handover", "evidence ALLOW=incomplete", "publish"]
