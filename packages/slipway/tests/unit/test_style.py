"""Pages are written as docs/style.md asks, and name what exists.

Help texts, settings, rules and faults are among them, by the pages that `make docs` writes from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.paths import ROOT

BANNED = {
    r"mend(s|ed|ing)?": "fix",
    r"(is|are|was|were) none": "isn't, aren't",
    r"such as there (is|are)": "any",
    r"who(m|so)?ever": "the caller, anyone who",
    r"work(s|ed|ing)? off": "process",
    r"(lets?|letting) go( of)?|(is|are) let go": "accept, delete",
    r"(is|are|was|were|be|being) told": "is notified, learns",
    r"(is|are|was|were) gone": "is deleted, no longer exists",
    r"(goes|go|went|going) off": "is active, becomes active",
    r"becomes? of": "happens to",
    r"another (one )?than": "other than, a different",
    r"(is|are) no (JSON|TOML|YAML|sentence|step)": "isn't a",
    r"one \w+ an? (app|decision|environment|function|job|minute|month|region|second|service|stack)": "one per",
    r"sets? off": "triggers",
    r"stands? (in|beside|below) (a|an|its|the)": "is in, is beside",
    r"in words that": "with a message that",
}
"""Phrases that read as translated, as regular expressions, each with what to write instead."""

EXAMPLES = ROOT / "docs" / "style.md"
"""Shows the phrases on purpose."""

_WRITTEN = ("*.md", "docs/**/*.md", "packages/*/README.md", "services/*/README.md")

PAGES = sorted({page for pattern in _WRITTEN for page in ROOT.glob(pattern)} - {EXAMPLES})

_CODE = re.compile(r"^ *```.*?^ *```$|``[^`]+``|`[^`]+`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`((?:config|docs|packages|pipeline|services|stacks|stages|tests)/[\w./-]+)`")


def banned(text: str) -> Iterator[str]:
    """Yield each banned phrase of a page, with its line; code and links don't count."""
    prose = _CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    for pattern, instead in BANNED.items():
        for found in re.finditer(rf"\b({pattern})\b", prose, re.IGNORECASE):
            yield f"line {prose.count(chr(10), 0, found.start()) + 1}: {found.group()!r}; write: {instead}"


def of_removed_service(path: str) -> bool:
    """True if a path lies in a service that the app doesn't have: the pages may still speak of the example's."""
    folder, _, rest = path.partition("/")
    return folder == "services" and not (ROOT / folder / rest.partition("/")[0]).exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_is_plain_english(page: Path) -> None:
    assert list(banned(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_names_files_that_exist(page: Path) -> None:
    named = _NAMED.findall(page.read_text(encoding="utf-8"))

    assert [path for path in named if not (ROOT / path).exists() and not of_removed_service(path)] == []


def test_banned_phrase_is_seen() -> None:
    assert list(banned("A fault.\nWhoever mends it\nis told.")) == [
        "line 2: 'mends'; write: fix",
        "line 2: 'Whoever'; write: the caller, anyone who",
        "line 3: 'is told'; write: is notified, learns",
    ]


@pytest.mark.parametrize("text", ["`mend`", "```\nmend\n```", "[a](mend)", "amend"])
def test_code_and_links_do_not_count(text: str) -> None:
    assert list(banned(text)) == []
