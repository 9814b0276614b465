"""Each row of the matrix: a copy of the repository, changed as a team would, still passes its checks and delivers."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adopters.copies import Copy, summarise
from adopters.page import RESULTS
from adopters.rows import ROWS, Row, slug

TESTS = ("services/*/tests/unit", "services/*/tests/infrastructure")
"""Existing tests of the services. Property tests of the services' code depend on no setting."""

CONTRACT = ("--pyargs", "slipway.testing.contract")
"""Tests of the tool that run for every existing service."""

REHEARSE = "REHEARSE"
"""Variable that skips the deliveries if it is `no`."""


@pytest.fixture(params=ROWS, ids=[row.name.replace("`", "") for row in ROWS])
def row(request: pytest.FixtureRequest) -> Row:
    found: Row = request.param
    if found.name == "another user than root" and os.geteuid() != 0:
        pytest.skip("only root can be another user")
    return found


@pytest.fixture
def copy(row: Row, tmp_path: Path) -> Iterator[Copy]:
    made = row.copies(tmp_path / "app")
    yield made
    if (made.folder / "build" / "rehearsal").is_dir():
        made.run(*_slipway(row), "forget", *_chosen(row))
    if not made.folder.is_relative_to(tmp_path):
        shutil.rmtree(made.folder.parent)


def _chosen(row: Row) -> list[str]:
    return [word for service in row.plays for word in ("--service", service)]


def _slipway(row: Row) -> tuple[str, ...]:
    """Return the words before a verb, in the row's group if there is one."""
    return ("env", f"SLIPWAY_GROUP={row.group}", "python", "-m", "slipway")


def test_first_look(row: Row, copy: Copy) -> None:
    """Load and synthesise the changed app, and run a new service's unit tests: the quick half of a row."""
    before = copy.services()
    row.change(copy)
    # One service shows what a configuration does to the pipeline and to every environment
    one = next(iter(row.plays), copy.services()[0])
    if one not in before:
        copy.run("make", "build")
        copy.run("pytest", "--quiet", "-p", "no:cacheprovider", f"services/{one}/tests/unit")
    copy.run("python", "-O", "app.py", CDK_VALIDATION="false", CDK_OUTDIR="cdk.out", SLIPWAY_SERVICES=one)
    row.check(copy)


@pytest.mark.nightly
def test_whole_row(row: Row, copy: Copy) -> None:
    """Run the whole row: gates, tests and, where configured, the delivery to the last environment."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {"name": row.name, "outcome": "red", "touched": "", "seconds": 0, "rehearsed": ""}
    begun = time.monotonic()
    try:
        row.change(copy)
        history = (copy.folder / ".git").exists()
        if row.accepts:
            copy.run("make", "baseline")
        if history:
            copy.commit("Make it ours")
            result["touched"] = summarise(copy.touched())
        copy.run("make", "build")
        copy.run("python", "-O", "app.py", CDK_OUTDIR="cdk.out")
        row.check(copy)
        tests = [str(path.relative_to(copy.folder)) for name in TESTS for path in sorted(copy.folder.glob(name))]
        copy.run(
            "pytest",
            "--quiet",
            "--numprocesses",
            "2",
            "--dist",
            "worksteal",
            "-p",
            "no:cacheprovider",
            *tests,
            *CONTRACT,
        )
        if row.plays and os.environ.get(REHEARSE) != "no":
            played = time.monotonic()
            words = (*_slipway(row), "rehearse", "--approve", "yes", *_chosen(row))
            said = copy.run(*words, code=2 if row.stops else 0)
            assert (row.stops or f"to {copy.last_stages()}-") in said
            result["rehearsed"] = (
                "says what to do" if row.stops else f"{', '.join(row.plays)} in {time.monotonic() - played:.0f} s"
            )
        result["outcome"] = "green"
    except AssertionError as error:
        result["why"] = str(error)
        raise
    finally:
        result["seconds"] = round(time.monotonic() - begun)
        (RESULTS / f"{slug(row)}.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
