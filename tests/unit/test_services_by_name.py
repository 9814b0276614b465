"""Outside of its folder a service is named in `app.py` and in the tables of `config/` alone.

The documentation may show the example's services, and so may the README: `slipway service remove` tells what they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.project import ROOT

SERVICES = sorted(file.parent.name for file in (ROOT / "services").glob("*/infrastructure.py"))
"""The services that there are, whichever a team has."""

CODE = ("packages/*/src", "pipeline", "stacks", "stages", ".ci", "Makefile", "cdk.json")
SUFFIXES = {"", ".py", ".j2", ".json", ".toml", ".yaml", ".yml"}


def _files() -> Iterator[Path]:
    for pattern in CODE:
        for place in ROOT.glob(pattern):
            files = place.rglob("*") if place.is_dir() else [place]
            yield from (file for file in files if file.is_file() and file.suffix in SUFFIXES)


def _naming(service: str) -> re.Pattern[str]:
    """Return what names a service: its folder, its stacks, its functions, a constant, or an option.

    Not each word in quotes: a team may call a service `data` or `items`, which mean other things as well.
    """
    return re.compile(
        "|".join(
            (
                rf"services[./]{service}\b(?!\()",
                rf"\b(?:dev|staging|prod)-{service}\b",
                rf"(?<![\w/]){service}/[A-Z]\w+",
                rf"(?:SERVICE=|--service |service remove ){service}\b",
                rf"SERVICES?\b[^=\n]*=.*[\"']{service}[\"']",
            )
        )
    )


def _named_in(text: str, service: str) -> list[str]:
    naming = _naming(service)
    return [f"{number}: {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if naming.search(line)]


@pytest.mark.parametrize("service", SERVICES)
def test_only_app_and_tables_name_a_service(service: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in _files()
        for line in _named_in(file.read_text(encoding="utf-8"), service)
    ]

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        'API = "services/orders/runtime/api.py"',
        "import services.orders.settings",
        "the stack prod-orders-data",
        "orders/ApiFunction",
        "make up SERVICE=orders",
        'SERVICE = "orders"',
    ],
)
def test_each_way_to_name_a_service_is_seen(line: str) -> None:
    assert _named_in(line, "orders")


@pytest.mark.parametrize("line", ["reorders/Api", "services/ordersheet", "orders of magnitude", "services.orders()"])
def test_other_words_name_no_service(line: str) -> None:
    assert not _named_in(line, "orders")
