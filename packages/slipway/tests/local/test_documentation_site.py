"""The documentation site in a real browser, opened from files: no server, no network."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from slipway.project import ROOT
from slipway.testing.browser import Browser, browser, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

PHONE = 360
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

# Together they contain everything that the theme styles: tables, code, notes, pictures, signatures
LOOKED_AT = ("index.html", "start.html", "evidence.html", "guides/write-a-rule.html", "runbooks/new-version.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make site` does."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def phone() -> Iterator[Browser]:
    with browser(width=PHONE, height=740, mobile=True) as opened:
        yield opened


class Page(HTMLParser):
    """A page's links, and the anchors that others can link to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            if name in {"href", "src"} and value is not None:
                self.targets.append(value)


def pages(site: Path) -> list[Path]:
    # Nothing links to the page for missing pages
    return sorted(page for page in site.rglob("*.html") if page.name != "404.html")


def broken_links(site: Path) -> list[str]:
    """Return every link within the site whose file or anchor does not exist."""
    read = {page: Page(page) for page in pages(site)}
    found = []
    for page, content in read.items():
        for target in content.targets:
            address = urlsplit(target)
            if address.scheme or address.netloc:
                continue
            there = (page.parent / unquote(address.path)).resolve() if address.path else page
            there = there / "index.html" if there.is_dir() else there
            if not there.is_file() or (there in read and not _stands(address.fragment, read[there])):
                found.append(f"{page.relative_to(site)}: {target}")
    return found


def _stands(fragment: str, page: Page) -> bool:
    # Created by the theme's scripts: the search's target and line numbers
    return not fragment or unquote(fragment) in page.anchors or fragment.startswith("__")


def complaints(opened: Browser, page: Path) -> list[str]:
    """Return the problems of a page on a phone: errors, external requests, elements wider than the screen."""
    opened.errors()
    opened.requests()
    opened.open(page)
    found = opened.errors()
    found += [f"asks {address}" for address in opened.requests() if not address.startswith(("file:", "data:", "blob:"))]
    if (width := opened.run("return document.documentElement.scrollWidth")) != PHONE:
        found.append(f"is {width} pixels wide")
    return [f"{page.name}: {complaint}" for complaint in found]


def too_pale(opened: Browser, page: Path) -> list[str]:
    """Return axe's findings about text with too little contrast (WCAG 2.2 AA), and about pictures without text."""
    opened.open(page)
    opened.run(AXE.read_text(encoding="utf-8"))
    found = opened.run(
        "return axe.run({runOnly: ['color-contrast', 'image-alt', 'link-name', 'document-title', 'html-has-lang']})"
        ".then(found => found.violations.flatMap(each => each.nodes.map(node => each.id + ' ' + node.html)))"
    )
    return [f"{page.name}: {each}" for each in found]


def test_every_link_has_a_target(site: Path) -> None:
    assert len(pages(site)) > 50
    assert broken_links(site) == []


def test_every_page_fits_a_phone_without_errors(site: Path, phone: Browser) -> None:
    assert [complaint for page in pages(site) for complaint in complaints(phone, page)] == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_has_enough_contrast(site: Path, *, dark: bool) -> None:
    with browser(width=1200, height=900, dark=dark) as desk:
        assert [each for page in LOOKED_AT for each in too_pale(desk, site / page)] == []


def test_search_finds_a_word_without_a_server(site: Path, phone: Browser) -> None:
    phone.open(site / "index.html")
    phone.run(
        "document.querySelector('[for=__search]').click();"
        "const query = document.querySelector('.md-search__input');"
        "query.focus(); query.value = 'canary'; query.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}))"
    )

    found = _within(
        10, lambda: phone.run("return [...document.querySelectorAll('.md-search-result__link')].map(a => a.href)")
    )

    assert any("detectability.html" in link for link in found)


def test_planted_faults_are_found(site: Path, phone: Browser, tmp_path: Path) -> None:
    # Given a page with a dead link, a dead anchor, a failing script, an external picture, and pale, wide text
    planted = tmp_path / "index.html"
    planted.write_text(
        '<!doctype html><html lang="en"><title>x</title><meta name="viewport" content="width=device-width">'
        '<body style="background: #fff; margin: 0"><a href="none.html">a</a><a href="#none">b</a>'
        '<img src="https://example.com/x.png"><script>missing()</script>'
        '<div style="width: 500px; color: #ccc">pale</div></body></html>',
        encoding="utf-8",
    )

    # Then each is found by the functions that the tests above use
    assert broken_links(tmp_path) == ["index.html: none.html", "index.html: #none"]
    assert {"missing is not defined", "asks https://example.com/x.png", "is 500 pixels wide"} <= {
        part for complaint in complaints(phone, planted) for part in _parts(complaint)
    }
    assert {each.split()[1] for each in too_pale(phone, planted)} == {"color-contrast", "image-alt"}


def _parts(complaint: str) -> list[str]:
    text = complaint.removeprefix("index.html: ")
    return [text, text.rpartition("ReferenceError: ")[2]]


def _within(seconds: float, look: object) -> list[str]:
    assert callable(look)
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.1)
    return list(found)
