import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.services.environment import VARIABLES
from tests.unit.services.fakes import Harness


@pytest.fixture(scope="module", autouse=True)
def _function_variables(_nobody: None) -> Iterator[None]:
    """Gives the functions back the variables that Lambda sets; their credentials are nobody's."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def api() -> Harness:
    return Harness().bind()


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """What the functions log. Their handler keeps the stream that was standard output when they were imported."""
    written = io.StringIO()
    handler = logging.getLogger("items").handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(written)
    yield written
    if before is not None:
        handler.setStream(before)


Counted = Callable[[str], list[dict[str, Any]]]
"""Gives what was counted under a metric's name since it was asked last: documents of the embedded metric format."""


@pytest.fixture
def counted(capsys: pytest.CaptureFixture[str]) -> Counted:
    """What the functions counted."""

    def since(name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
        return [
            line
            for line in lines
            for directive in line["_aws"]["CloudWatchMetrics"]
            if name in {metric["Name"] for metric in directive["Metrics"]}
        ]

    return since
