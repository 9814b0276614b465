"""Find references to a service outside its folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_TEXTS = {"", ".py", ".j2", ".json", ".md", ".toml", ".yaml", ".yml"}
"""Suffixes of files in which a service may be named."""

_DERIVED = ("docs/reference/", "docs/requirements.md")
"""Pages that `make docs` writes as a whole."""


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
        files: Files to search, from the root; the service's own, the tool's and derived pages are skipped.
    """
    named = naming(service)
    # Pages mark names, so that ordinary words don't count.
    in_pages = re.compile(rf"{named.pattern}|`{service}`")
    found = []
    for file in files:
        if Path(file).suffix not in _TEXTS or file.startswith((f"services/{service}/", "packages/", *_DERIVED)):
            continue
        try:
            lines = (root / file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        pattern = in_pages if file.endswith(".md") else named
        found += [f"{file}:{number}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    return found
