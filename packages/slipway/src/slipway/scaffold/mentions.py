"""Find and remove references to a service outside its folder."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

CHECKLISTS = "config/checklists/*.toml"
"""Checklists, whose answers name code and tests, including those of services."""

_TEXTS = {"", ".py", ".j2", ".json", ".md", ".toml", ".yaml", ".yml"}
"""Suffixes of files in which a service may be named."""


def naming(service: str) -> re.Pattern[str]:
    """Return a pattern of references to a service: its folder, stacks, functions, a constant, or an option.

    A quoted word alone doesn't count, because a service may have a common name such as `data` or `items`.
    """
    return re.compile(
        "|".join(
            (
                rf"services[./]{service}\b(?!\()",
                rf"\b(?:dev|staging|prod)-{service}\b",
                rf"(?<![\w/]){service}/[A-Z]\w+",
                rf"(?:SERVICE=|--service |service remove |slipway ){service}\b",
                rf"SERVICES?\b[^=\n]*=.*[\"']{service}[\"']",
            )
        )
    )


def mentions(root: Path, service: str, files: Iterable[str]) -> list[str]:
    """Return `file:line` of each place outside of a service's folder that names it.

    Args:
        root: The project.
        service: Its name.
        files: Files to search, from the root; the service's own and the tool's are skipped.
    """
    named = naming(service)
    # Pages mark names, so that ordinary words don't count.
    in_pages = re.compile(rf"{named.pattern}|`{service}`")
    found = []
    for file in files:
        if Path(file).suffix not in _TEXTS or file.startswith((f"services/{service}/", "packages/")):
            continue
        try:
            lines = (root / file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        pattern = in_pages if file.endswith(".md") else named
        found += [f"{file}:{number}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    return found


def without(root: Path, service: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the changes that a service's removal makes to the documentation and the checklists.

    Sections, rows and list items about the service are removed from the pages, and its code and tests from the
    checklists' answers. Prose is kept.

    Returns:
        File, from the root → its new text, and the files that are deleted.
    """
    changed: dict[str, str] = {}
    for path in sorted(root.glob(CHECKLISTS)):
        changed[_from(root, path)] = _without_references(path.read_text(encoding="utf-8"), service)
    for path in [*sorted((root / "docs").rglob("*.md")), root / "README.md"]:
        if path.is_file():
            changed[_from(root, path)] = _without_parts(path.read_text(encoding="utf-8"), service)
    before = {file: (root / file).read_text(encoding="utf-8") for file in changed}
    pictures = (root / "docs" / "images").glob(f"dashboard-{service}.*")
    return (
        {file: text for file, text in changed.items() if text != before[file]},
        tuple(_from(root, picture) for picture in pictures),
    )


def _from(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _without_references(text: str, service: str) -> str:
    """Return a checklist without a service's code and tests, except in answers that would otherwise name nothing."""
    own = rf"services/{service}/[^\"]*\""
    reference = re.compile(rf"\n?[ \t]*(?:\{{\s*path\s*=\s*\"{own}[^}}]*\}}|\"{own})[ \t]*,?")
    made = reference.sub("", text)
    if made == text or not _emptied(tomllib.loads(made)):
        return made
    # Answer by answer, each below its own header.
    head, *answers = re.split(r"(?m)^(?=\[)", text)
    return head + "".join(
        answer if _emptied_answer(changed := reference.sub("", answer)) else changed for answer in answers
    )


def _emptied(checklist: Mapping[str, Any]) -> bool:
    entries = (entry for group in checklist.values() for entry in group.values())
    return any(entry.get(key) == [] for entry in entries for key in ("code", "tests"))


def _emptied_answer(answer: str) -> bool:
    return re.search(r"(?m)^(?:code|tests)\s*=\s*\[\s*\]", answer) is not None


def _without_parts(page: str, service: str) -> str:
    """Return a page of the documentation without the parts about a service."""
    own_heading = re.compile(
        rf"(?P<level>#+) (?:`{service}`|`\[services\.{service}[.\]].*|`slipway {service}(?: .*)?`.*)$"
    )
    own_row = re.compile(rf"\| *`?{service}`?(?: \w+)? *\||\|.*\| *`?{service}`? *\|")
    own_point = re.compile(rf"(?P<indent> *)[-*] `{service}`:")
    return "".join(_kept(page.splitlines(keepends=True), own_heading, own_row, own_point))


def _kept(
    lines: Iterable[str], own_heading: re.Pattern[str], own_row: re.Pattern[str], own_point: re.Pattern[str]
) -> Iterator[str]:
    level, indent, fenced = 0, -1, False
    for line in lines:
        if line.startswith("```"):
            fenced = not fenced
        heading = None if fenced else re.match(r"(#+) ", line)
        if heading and (not level or len(heading[1]) <= level):
            found = own_heading.match(line.rstrip())
            level = len(found["level"]) if found else 0
        if level or own_row.match(line):
            continue
        if indent >= 0 and line.strip() and len(line) - len(line.lstrip()) > indent:
            continue
        point = own_point.match(line)
        indent = len(point["indent"]) if point else -1
        if not point:
            yield line
