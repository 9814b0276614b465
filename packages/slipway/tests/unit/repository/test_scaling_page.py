"""The scaling page: its table and picture are computed from measured sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from bench.growth import rows
from bench.growth_page import Size, picture, table, write_page
from slipway.rules.aws.codepipeline import ACTIONS


def size(services: int, **figures: float) -> Size:
    linear = Size(
        services=services,
        stacks=10 * services,
        resources=400 * services,
        synth_seconds=5.0 * services,
        review_seconds=0.25 * services,
        assembly_bytes=3_000_000 * services,
        pipeline_resources=100 + services,
        pipeline_bytes=100_000 + 40_000 * services,
        stages=10 + services // 6,
        actions=19 + 24 * services,
        actions_per_stage=min(50, 8 * services),
        findings=0,
    )
    return replace(linear, **figures)  # type: ignore[arg-type]  # one type for all of the fields


SIZES = [size(3), size(10), size(30)]


def test_the_table_has_a_line_for_each_size() -> None:
    lines = table(SIZES).splitlines()

    assert len(lines) == 2 + len(SIZES)
    assert lines[-1].startswith("| 30 | 300 | 12,000 | 150.0 |")


def test_the_picture_shows_the_quota_that_is_passed() -> None:
    small, large = picture([size(1), size(2), size(3)]), picture(SIZES)

    assert ElementTree.fromstring(large).tag.endswith("svg")  # noqa: S314 - it was just drawn  # nosec B314  # the picture under test
    assert f"quota: {ACTIONS}" in large
    assert "quota" not in small


def test_growth_exponent_of_linear_figures_is_one() -> None:
    linear = {row.name: row.value for row in rows(SIZES)}
    steep = {row.name: row.value for row in rows([*SIZES[:2], size(30, review_seconds=22.5)])}

    assert {round(value, 6) for value in linear.values()} == {1.0}
    assert [round(steep[name], 6) for name in steep if "review" in name] == [4.0]


def test_the_page_keeps_what_is_around_the_table(tmp_path: Path) -> None:
    page, image = tmp_path / "scaling.md", tmp_path / "scaling.svg"
    page.write_text("before\n<!-- scaling -->\nold\n<!-- /scaling -->\nafter\n", encoding="utf-8")

    write_page(SIZES, page=page, image=image)

    assert page.read_text(encoding="utf-8") == f"before\n<!-- scaling -->\n{table(SIZES)}\n<!-- /scaling -->\nafter\n"
    assert image.read_text(encoding="utf-8").startswith("<svg")
