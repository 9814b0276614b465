"""The fault that the rehearsal injects: a version that sometimes answers 500, only in production."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from services.items.runtime import routes
from services.items.tests.unit.fakes import Harness, proxy_event
from slipway.rehearsal.faults import find, find_target, list_faults
from slipway.testing.app import settings
from slipway.testing.functions import Context, Counted

TARGET = find_target(settings(), ["items"])
assert TARGET is not None


@pytest.fixture
def faulty(api: Harness, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the routes with the fault, using the harness's storage."""
    del api  # it binds the routes as they are
    (edit,) = find("server-errors=5%", list_faults(TARGET)).edits.values()
    module = ModuleType("faulty_routes")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code = compile(edit(Path(routes.__file__).read_text(encoding="utf-8")), "faulty", "exec")
    exec(code, module.__dict__)  # noqa: S102  # nosec B102  # our own routes, with our own fault
    return module


@pytest.mark.parametrize(("environment", "faults"), [(TARGET.production, 2), ("another", 0)])
def test_one_request_in_twenty_is_answered_with_500_and_counted(
    faulty: ModuleType, monkeypatch: pytest.MonkeyPatch, counted: Counted, environment: str, faults: int
) -> None:
    # Given a version with the fault
    monkeypatch.setenv("ENVIRONMENT", environment)
    faulty.api.bind(routes.api.wiring)
    # When it is sent forty requests, then two are answered with 500, only in production, without an exception
    answers = [faulty.api.respond(proxy_event("GET", "/health"), Context()) for _ in range(40)]
    assert [answer["statusCode"] for answer in answers].count(500) == faults
    # And it counts them as faults of its own
    assert len(counted("Faults")) == faults
