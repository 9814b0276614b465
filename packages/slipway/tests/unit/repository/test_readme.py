"""The README and the other pages match the code."""

from __future__ import annotations

import re

from slipway.project import ROOT
from slipway.rehearsal.report import substitutions_markdown

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("services/*/README.md")]


def _between(name: str, text: str) -> str:
    return text.split(f"<!-- {name} -->", maxsplit=1)[1].split(f"<!-- /{name} -->", maxsplit=1)[0].strip()


def _verbs_of_the_makefile() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):.* ## ", makefile, flags=re.MULTILINE))


def test_the_page_about_substitutions_shows_every_one() -> None:
    # Given the substitutions in code, when the page is read, then it lists the same
    page = (ROOT / "docs" / "substitutions.md").read_text(encoding="utf-8")
    assert _between("substitutions", page) == substitutions_markdown()


def test_every_verb_that_a_page_names_exists() -> None:
    # Given the verbs of the Makefile, which docs/reference/verbs.md lists
    verbs = _verbs_of_the_makefile()
    # When the pages are read, then every verb that they mention exists
    unknown = {
        f"{document.relative_to(ROOT)}: make {verb}"
        for document in DOCUMENTS
        for verb in re.findall(
            r"(?:`|^|&& |-s )make ([a-z][a-z-]+)", document.read_text(encoding="utf-8"), re.MULTILINE
        )
        if verb not in verbs
    }
    assert unknown == set()


def test_every_link_has_a_target() -> None:
    # Given every document, when its links within the repository are resolved, then each target exists
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.relative_to(ROOT)}: {target}"
