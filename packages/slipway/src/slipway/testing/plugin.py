"""Fixtures and set-up of all tests.

Unit tests open no socket, and start no program without the marker `programs`. Local tests get an emulator, and no test
sees the machine's own accounts or repository. Figures that tests measure are printed at the end of a run.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from slipway import git
from slipway.settings.groups import GROUP
from slipway.testing import changed, functions

# It must come before CDK, which tests import. In a build that tests an environment it is not available.
if find_spec("jsii"):
    import slipway.kernel  # noqa: F401

pytest.register_assert_rewrite("slipway.testing.contract", "slipway.testing.emulated", "slipway.testing.problems")

EMULATED = "slipway.testing.emulated"
"""Plugin of the tests in folders called `local`. Only they load it, because it imports many modules."""

FIGURES = "figures"
"""Property of a test's report; the JUnit reports hold it too."""


ACCOUNTS_OF_THEIR_OWN = ("local", "smoke")
"""Folders whose tests call AWS or its replacement with their own variables."""

_NOBODY = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Variables under which boto3 finds no credentials, neither a person's nor a machine's."""


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Clear the variables of a git hook and of a group's build, and set those that Powertools reads.

    This must happen before a `conftest.py` imports Powertools.
    """
    # Collection imports modules and makes thousands of items that all stay: nothing is garbage yet.
    gc.disable()
    for name in (*git.LOCATION_VARIABLES, GROUP):
        os.environ.pop(name, None)
    functions.set_powertools()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that only runs tests which a change can affect."""
    parser.addoption("--changed", metavar="COMMIT", help="run modules that differences from a commit can affect")


@pytest.hookimpl(tryfirst=True)
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the modules that a change can't affect, before they are imported."""
    base = config.getoption("changed")
    if not base or not fnmatch(collection_path.name, "test_*.py"):
        return None
    return None if _choice(config.rootpath, base).includes(collection_path) else True


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Succeed if a change can't affect any test."""
    if session.config.getoption("changed") and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


@cache
def _choice(root: Path, base: str) -> changed.AffectedTests:
    return changed.choose(root, base)


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures of functions' tests."""
    config.pluginmanager.register(functions, functions.__name__)
    sys.addaudithook(_refuse_programs)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect garbage again from now on, except among what was collected: it stays until the end."""
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def folders_of(file: Path, config: pytest.Config) -> frozenset[str]:
    """Return the names of the repository's folders that contain a file."""
    return frozenset(file.relative_to(config.rootpath).parts[:-1] if file.is_relative_to(config.rootpath) else ())


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> None:
    """Give local tests their fixtures."""
    if "local" in folders_of(module_path, parent.config):
        parent.config.pluginmanager.import_plugin(EMULATED)


@pytest.fixture(scope="module", autouse=True)
def _nobody(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove every `AWS_*` and `CODEBUILD_*` variable: a test that needs one sets it.

    CodeBuild gives its builds credentials in a variable, so that a test would call AWS only there.
    """
    if not folders_of(request.path, request.config).isdisjoint(ACCOUNTS_OF_THEIR_OWN):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "CODEBUILD_"))]:
            patch.delenv(name)
        for name, value in _NOBODY.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def _no_sockets(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a unit test that opens a socket, whatever it meant to reach."""
    if "unit" not in folders_of(request.path, request.config):
        yield
        return
    from pytest_socket import disable_socket, enable_socket

    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


class ProgramStartedError(AssertionError):
    """Raised when a unit test without the marker `programs` starts another program."""


_STARTS = {"os.exec", "os.posix_spawn", "os.system", "subprocess.Popen"}
"""Audit events of another program (https://docs.python.org/3/library/audit_events.html)."""

_unmarked: list[str] = []
"""The unit test that runs, if it isn't allowed to start programs."""


def _refuse_programs(event: str, _: tuple[object, ...]) -> None:
    if _unmarked and event in _STARTS:
        raise ProgramStartedError(
            f"{_unmarked[0]} starts a program: give it pytest.mark.programs, so `make unit` skips it"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Stop a unit test that starts a program but has no marker `programs`: `make unit` must stay fast."""
    if "unit" in folders_of(item.path, item.config) and not item.get_closest_marker("programs"):
        _unmarked.append(item.nodeid)
    try:
        return (yield)
    finally:
        _unmarked.clear()


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that stores a line with figures for the end of the run."""
    return lambda line: record_property(FIGURES, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures, which xdist's processes pass on with their reports."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {value}"
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == FIGURES
    ]
    if lines:
        terminalreporter.section(FIGURES)
        for line in lines:
            terminalreporter.line(line)
