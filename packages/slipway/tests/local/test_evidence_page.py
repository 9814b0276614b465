"""The evidence page in a real browser: on a phone, on a desktop and on paper, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway.evidence.checklist import FOLDER
from slipway.evidence.collect import collect
from slipway.evidence.page import write_page
from slipway.nag.names import everywhere
from slipway.project import ROOT
from slipway.testing.browser import Browser, browser, why_not
from unit.evidence.repository import PIPELINE, TODAY, Repository, review, step, supply
from unit.gates.assembly import DATA, PACKS

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

# A text without a place to break it, like an ARN or a digest
LONG = "x" * 300


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page for this repository's own documents, with every part filled, and very long words in each."""
    repository = Repository(tmp_path_factory.mktemp("evidence") / "repository")
    repository.assembly.violate(f"AwsSolutions-{LONG}", f"{DATA}/{LONG}")
    repository.accept(reason=f"Nobody but the platform writes into {LONG} here.")
    names = ("items", "ingest", "processing", LONG)
    actions = [
        {
            "Name": f"prod-{name}.observability.Deploy",
            "ActionTypeId": {"Category": "Deploy", "Provider": "CloudFormation"},
        }
        for name in names
    ]
    pipeline = PIPELINE | {"Properties": {"Stages": [{"Name": "prod-services", "Actions": actions}]}}
    repository.write_json("cdk.out/Pipeline.template.json", {"Resources": {"Pipeline": pipeline}})
    repository.assemble()
    change = {"fate": "replaced", "resource": LONG, "type": LONG, "properties": [LONG], "causes": [LONG]}
    stack = {"name": LONG, "account": "333333333333", "region": "us-east-1", "fate": None, "changes": [change]}
    finding = {"id": LONG, "severity": "high", "stage": "prod", "stack": LONG, "resource": LONG, "what": LONG}
    repository.write_json(
        "build/report/review.json",
        review(
            paragraph=LONG,
            findings=[finding | {"details": [LONG], "why": LONG, "do": LONG}],
            stages=[{"name": "prod-items", "stacks": [stack]}],
        ),
    )
    repository.write_json(
        "build/report/supply.json",
        supply(step(state="not done", summary=LONG, findings=[{"place": LONG, "rule": LONG, "message": LONG}])),
    )
    evidence = collect(
        ROOT,
        repository.root / "cdk.out",
        everywhere(PACKS),
        report=repository.report,
        today=TODAY,
        checklists=FOLDER,
    )
    path = repository.report / "index.html"
    write_page(evidence, path, commit=LONG, now=datetime(2027, 1, 1, tzinfo=UTC))
    return path


@pytest.fixture(scope="module")
def phone() -> Iterator[Browser]:
    with browser(width=390, height=844, mobile=True) as opened:
        yield opened


@pytest.mark.requirement("the report on the terminal and as a page")
def test_phone_shows_verdict_first_in_full_width(phone: Browser, page: Path) -> None:
    phone.open(page)

    # Given that nothing is wider than the screen, including expanded details
    phone.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert phone.run("return document.documentElement.scrollWidth") == 390
    assert (
        phone.run(
            "return [...document.querySelectorAll('body *')].filter(each => each.getBoundingClientRect().right > 390.5)"
            ".map(each => each.outerHTML.slice(0, 200))"
        )
        == []
    )
    # Then the verdict is visible without scrolling
    verdict = phone.run(
        "const box = document.querySelector('h1').getBoundingClientRect(); return [box.top, box.bottom]"
    )
    assert 0 <= verdict[0] < verdict[1] < 844
    assert phone.run("return document.querySelector('h1').innerText").startswith("evidence RED: Nag gate red")
    assert phone.run("return parseFloat(getComputedStyle(document.body).fontSize)") >= 14


def test_the_page_loads_nothing_and_logs_no_error(phone: Browser, page: Path) -> None:
    phone.requests()
    phone.errors()

    phone.open(page)

    assert phone.requests() == [page.as_uri()]
    assert phone.errors() == []


def test_planted_faults_are_detected(phone: Browser, page: Path, tmp_path: Path) -> None:
    # Given the page with an external picture, a failing script, and an element that is too wide
    planted = tmp_path / "planted.html"
    text = page.read_text(encoding="utf-8")
    more = '<img src="http://example.com/x.png"><script>missing()</script><div style="width: 500px">wide</div></body>'
    planted.write_text(text.replace("</body>", more), encoding="utf-8")
    phone.requests()
    phone.errors()

    phone.open(planted)

    # Then each is detected in the way that the tests above use
    assert "http://example.com/x.png" in phone.requests()
    assert any("missing is not defined" in error for error in phone.errors())
    assert phone.run("return document.documentElement.scrollWidth") > 390


def test_every_link_within_the_page_has_a_target(phone: Browser, page: Path) -> None:
    phone.open(page)

    links = phone.run("return [...document.querySelectorAll('a[href^=\"#\"]')].map(each => each.hash.slice(1))")

    assert len(links) == 7
    for link in links:
        assert phone.run(f"return document.getElementById('{link}') !== null"), link


def test_dark_mode_is_dark_and_readable(page: Path) -> None:
    with browser(width=1280, height=900, dark=True) as desk:
        desk.open(page)

        assert desk.run("return matchMedia('(prefers-color-scheme: dark)').matches")
        assert desk.run("return getComputedStyle(document.body).color") == "rgb(255, 255, 255)"
        assert desk.run("return document.documentElement.scrollWidth <= innerWidth")


def test_nothing_is_collapsed_on_paper(phone: Browser, page: Path) -> None:
    # Given elements that are collapsed on the screen
    phone.open(page)
    hidden = "return [...document.querySelectorAll('details > *')].filter(each => !each.checkVisibility()).length"
    assert phone.run(hidden) > 50

    # When it is printed, then all of them are visible
    phone.as_on("print")
    try:
        assert phone.run(hidden) == 0
        assert phone.printed().startswith(b"%PDF-")
    finally:
        phone.as_on("screen")
