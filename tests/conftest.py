"""What all tests share: figures that they measured are printed at the end of a run, whatever pytest captures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

FIGURES = "figures"
"""Property of a test's report; the JUnit reports hold it too."""


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keeps a line for the end of the run: tests of many requests are read for their figures too."""
    return lambda line: record_property(FIGURES, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures, which the processes of xdist hand over with their reports."""
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
