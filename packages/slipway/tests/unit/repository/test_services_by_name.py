"""Outside its folder, a service is only named in `app.py` and in the tables of `config/`.

The documentation may show the example's services, and so may the README: `make docs` writes what follows from the code
again, and `slipway service remove` lists the rest.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway import git
from slipway.project import ROOT
from slipway.scaffold.mentions import mentions, naming
from slipway.scaffold.plan import apply, remove

SERVICES = sorted(file.parent.name for file in ROOT.glob("services/*/infrastructure.py"))
"""The services of the app."""

CODE = ("packages/*/src", "pipeline", "stacks", "stages", ".ci", "Makefile", "cdk.json")
SUFFIXES = {"", ".py", ".j2", ".json", ".toml", ".yaml", ".yml"}


def _files() -> Iterator[Path]:
    for pattern in CODE:
        for place in ROOT.glob(pattern):
            files = place.rglob("*") if place.is_dir() else [place]
            yield from (file for file in files if file.is_file() and file.suffix in SUFFIXES)


def _named_in(text: str, service: str) -> list[str]:
    named = naming(service)
    return [f"{number}: {line.strip()}" for number, line in enumerate(text.splitlines(), 1) if named.search(line)]


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
def test_each_way_to_name_a_service_is_found(line: str) -> None:
    assert _named_in(line, "orders")


@pytest.mark.parametrize("line", ["reorders/Api", "services/ordersheet", "orders of magnitude", "services.orders()"])
def test_other_words_name_no_service(line: str) -> None:
    assert not _named_in(line, "orders")


PROSE = {".md", ".svg", ".png"}
"""Suffixes of files that people rewrite: prose that uses a service as an example, and recorded pictures."""


@pytest.mark.programs
@pytest.mark.skipif(len(SERVICES) < 2, reason="the only service is not removed")
@pytest.mark.parametrize("service", SERVICES)
def test_removing_a_service_leaves_only_prose(service: str, tmp_path: Path) -> None:
    # Given the files of this repository, without the tool
    files = [file for file in git.output(ROOT, "ls-files").splitlines() if not file.startswith("packages/")]
    for file in files:
        if (ROOT / file).is_file():
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, tmp_path / file)
    # When a service is removed
    apply(tmp_path, remove(tmp_path, service))
    # Then nothing but sentences and pages that follow from the code names it
    left = [place for place in mentions(tmp_path, service, files) if Path(place.rpartition(":")[0]).suffix not in PROSE]
    assert not left, "\n".join(left)
