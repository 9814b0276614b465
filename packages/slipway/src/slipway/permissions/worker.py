"""A worker process: an emulator, and a run of pytest that removes permissions between the tests."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, Literal

import pytest
from _pytest.runner import runtestprotocol

from slipway import project
from slipway.emulator.environment import LocalEnvironment
from slipway.emulator.stages import stage_folder
from slipway.permissions.plan import Grant, PlannedFunction, Roles, functions

MARKER = "exercises"
TESTS = ("services/*/tests/local", "tests/local")
"""Folders of tests that exercise functions; the tool's own tests exercise none."""

Outcome = Literal["needed", "unproven", "NOT NEEDED", "FAULT"]


@dataclass(frozen=True)
class PermissionRow:
    """Result for one permission, or for a function as a whole."""

    function: str
    action: str
    resource: str
    outcome: Outcome
    why: str
    """The test that failed without it, the reason why none can, or the error."""
    seconds: float = 0.0


@dataclass(frozen=True)
class PermissionPlan:
    """A worker's functions, once deployed."""

    functions: int
    grants: int


Message = PermissionRow | PermissionPlan | str
"""A worker's message: a row, the remaining work, or a progress line."""


@dataclass(frozen=True)
class Assignment:
    """A worker's task.

    Attributes:
        number: Number of the worker, from 1, which names its folder.
        environment: The environment it deploys.
        services: Services whose functions are tested. Empty: all.
        functions: Names of functions. Empty: all.
        run: Id of the run, shared by all of its workers: one of them synthesises, the others wait for it.
    """

    number: int
    environment: str
    services: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    run: str = ""

    @property
    def name(self) -> str:
        """Name of the worker, from which `slipway.testing.emulated` derives its folder."""
        return f"permissions-{self.number}"

    @property
    def folder(self) -> Path:
        """Return the folder of its emulator and its log."""
        return project.ROOT / "build" / "test" / self.name


class Worker:
    """A pytest plugin that runs a function's tests once per permission.

    Args:
        assignment: The worker's task.
        taken: Number of functions that all workers have taken so far.
        messages: Queue for results.
    """

    def __init__(self, assignment: Assignment, taken: Synchronized[int], messages: Queue[Message]) -> None:
        self._assignment, self._taken, self._messages = assignment, taken, messages
        self._local: LocalEnvironment | None = None
        self._session: pytest.Session | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """Remember the environment that the first test starts."""
        result = yield
        if fixturedef.argname == "local":
            self._local = result
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Replace pytest's own loop over the tests."""
        self._session = session
        tests: dict[str, list[pytest.Item]] = {}
        for item in session.items:
            for marker in item.iter_markers(MARKER):
                for name in marker.args:
                    tests.setdefault(name, []).append(item)
        if not tests:
            self._messages.put(
                PermissionRow("", "", "", "FAULT", f"no test in {', '.join(TESTS)} has the marker {MARKER}")
            )
            return True
        self._messages.put(f"worker {self._assignment.number} deploys")
        # Any test will do: its fixtures start the environment.
        self._run([next(iter(tests.values()))[0]])
        if self._local is None:
            self._messages.put(
                PermissionRow("", "", "", "FAULT", f"the environment did not start; see {self._assignment.folder}")
            )
            return True
        planned = plan_of(self._assignment, self._local)
        self._messages.put(PermissionPlan(len(planned), sum(len(function.grants) for function in planned)))
        while (number := self._take()) < len(planned):
            function = planned[number]
            self._examine(function, tests.get(function.name, []))
        return True

    def _take(self) -> int:
        with self._taken.get_lock():
            number = self._taken.value
            self._taken.value += 1
        return number

    def _examine(self, function: PlannedFunction, tests: Sequence[pytest.Item]) -> None:
        """Test everything about one function."""
        assert self._local is not None  # noqa: S101  # nosec B101  # the loop ended otherwise
        if not tests:
            why = f'no test in {", ".join(TESTS)} is marked {MARKER}("{function.name}")'
            self._messages.put(PermissionRow(function.name, "", "", "FAULT", why))
            return
        roles = Roles(self._local.emulator.session(), function)
        if failed := self._attempt(function, roles, tests, []):
            self._messages.put(PermissionRow(function.name, "", "", "FAULT", f"{failed} fails with every permission"))
            return
        unproven = [grant for grant in function.grants if grant.unproven]
        # All at once, because each of them is declared to make no difference.
        if unproven and self._attempt(function, roles, tests, unproven):
            shown = [grant for grant in unproven if self._attempt(function, roles, tests, [grant])]
            for grant in shown:
                why = f"is declared unproven here, but a test fails without it: {grant.unproven}"
                self._messages.put(PermissionRow(function.name, grant.action, roles.resource(grant), "FAULT", why))
        else:
            for grant in unproven:
                row = PermissionRow(function.name, grant.action, roles.resource(grant), "unproven", str(grant.unproven))
                self._messages.put(row)
        for grant in function.grants:
            if grant.unproven:
                continue
            begin = time.monotonic()
            failed = self._attempt(function, roles, tests, [grant])
            outcome: Outcome = "needed" if failed else "NOT NEEDED"
            why = failed or "no test fails without it: remove it, or say why it must stay (unproven_here)"
            seconds = round(time.monotonic() - begin, 2)
            self._messages.put(PermissionRow(function.name, grant.action, roles.resource(grant), outcome, why, seconds))
        # If a test had failed for a different reason, it would fail now too.
        if failed := self._attempt(function, roles, tests, []):
            why = f"{failed} fails with every permission again: no row of this function counts"
            self._messages.put(PermissionRow(function.name, "", "", "FAULT", why))

    def _attempt(
        self, function: PlannedFunction, roles: Roles, tests: Sequence[pytest.Item], gone: Sequence[Grant]
    ) -> str | None:
        """Run a function's tests without some of its permissions.

        Returns:
            The first test that failed; None when all passed.
        """
        assert self._local is not None  # noqa: S101  # nosec B101  # the first test that is collected deploys it
        self._messages.put(f"{function.name}  {', '.join(grant.action for grant in gone) or 'all permissions'}")
        try:
            roles.take_away(gone)
            # Values that an execution environment caches, such as a secret, were read with the permission.
            self._local.emulator.recycle(roles.function_name)
            return self._run(tests)
        finally:
            roles.give_back()

    def _run(self, tests: Sequence[pytest.Item]) -> str | None:
        for test in tests:
            # With the session as the next item, only its fixtures are kept, and all others are torn down.
            for report in runtestprotocol(test, nextitem=self._session, log=True):  # type: ignore[arg-type]  # asked for its listchain()
                if report.failed:
                    return test.name
                if report.skipped:
                    return f"{test.name} (skipped)"
        return None


def plan_of(assignment: Assignment, local: LocalEnvironment) -> Sequence[PlannedFunction]:
    """Return the functions to examine, the longest first, so that no worker finishes much later than the others.

    Args:
        assignment: Selects the functions.
        local: The deployed environment.
    """
    services = [name for name in local.outputs() if name != "foundation"]
    found = [
        function
        for service in services
        if not assignment.services or service in assignment.services
        for function in functions(stage_folder(local.assembly, local.name, service))
        if not assignment.functions or function.name in assignment.functions
    ]
    return sorted(found, key=lambda function: (-len(function.grants), function.name))


def work(assignment: Assignment, taken: Synchronized[int], messages: Queue[Message]) -> None:
    """Run a worker: the target of a process."""
    # Even if the parent ignores the signal; pytest stops its environment on the way out.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assignment.folder.mkdir(parents=True, exist_ok=True)
    # slipway.testing.emulated distinguishes the processes of a run by these, and recognises them as one run.
    os.environ |= {"PYTEST_XDIST_WORKER": assignment.name, "PYTEST_XDIST_TESTRUNUID": assignment.run}
    # The synthesis unpacks files there, deleted at its end: no worker may delete another's.
    project.LOCAL = assignment.folder
    with (assignment.folder / "pytest.log").open("w", encoding="utf-8") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
        folders = [str(folder) for pattern in TESTS for folder in sorted(project.ROOT.glob(pattern))]
        arguments: list[Any] = [*folders, "-m", MARKER, "-p", "no:cacheprovider", "-p", "no:xdist", "--color=no", "-rN"]
        # The caller's own options, such as `-n`, must not apply to this run.
        os.environ.pop("PYTEST_ADDOPTS", None)
        code = pytest.main(arguments, plugins=[Worker(assignment, taken, messages)])
    # Tests are expected to fail here.
    sys.exit(0 if code in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} else int(code))
