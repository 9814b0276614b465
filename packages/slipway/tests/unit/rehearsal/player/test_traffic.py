"""Traffic: the requests of the contract checks, sent by weight."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError
from slipway.rehearsal.player.traffic import PlayedTraffic, events
from unit.rehearsal.aws import DEV, Account, Function, RefusedError
from unit.rehearsal.player.moving import fail
from unit.rehearsal.repositories import write

HOOKS = """
class Check:
    def __init__(self, event):
        self.event = event

API_CHECKS = (Check({"path": "/health"}), Check({"path": "/items", "body": "ä"}))
STREAM_CHECKS = [Check({"Records": []})]
"""


def _variables() -> dict[str, str]:
    return {"PATH": os.environ["PATH"]}


@pytest.mark.programs
@pytest.mark.parametrize(
    ("handler", "asks"),
    [
        ("services.items.hooks.api_handler", [{"path": "/health"}, {"path": "/items", "body": "ä"}]),
        ("services.items.hooks.stream_handler", [{"Records": []}]),
    ],
)
def test_requests_are_read_from_the_commit(tmp_path: Path, handler: str, asks: list[Any]) -> None:
    write(tmp_path, {"services/items/hooks.py": HOOKS})
    assert events(handler, tmp_path, _variables()) == asks


@pytest.mark.programs
@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("hooks.worker_handler", r"hooks\.WORKER_CHECKS cannot be read: .*WORKER_CHECKS"),
        ("other.api_handler", r"other\.API_CHECKS cannot be read: ModuleNotFoundError"),
        ("broken.api_handler", r"broken\.API_CHECKS cannot be read: ZeroDivisionError"),
    ],
)
def test_unreadable_checks_are_reported_in_one_line(tmp_path: Path, handler: str, message: str) -> None:
    write(tmp_path, {"hooks.py": HOOKS, "broken.py": "1 / 0\n"})
    with pytest.raises(RehearsalError, match=message) as error:
        events(handler, tmp_path, _variables())
    assert "\n" not in str(error.value)


def _account(**versions: Any) -> Account:
    account = Account(DEV)
    does = {name.removeprefix("v"): version for name, version in versions.items()}
    account.functions.all["items"] = Function(versions={"1": lambda _: None, "2": lambda _: None, **does})
    return account


def _traffic(account: Account, *asks: dict[str, Any], stopping: threading.Event | None = None) -> PlayedTraffic:
    asked = asks or ({"n": 1},)
    return PlayedTraffic(cast("Emulator", account), "items", asked, stopping or threading.Event())


@settings(deadline=None, max_examples=40)
@given(weight=st.integers(0, 100), minutes=st.lists(st.integers(0, 12), min_size=1, max_size=5))
def test_a_share_is_distributed_evenly(weight: int, minutes: list[int]) -> None:
    traffic = _traffic(_account())
    met = [version for number in minutes for version, _ in traffic.send(number, old="1", new="2", weight=weight / 100)]
    assert len(met) == sum(minutes)
    # The share is never off by a whole request
    for sent in range(len(met) + 1):
        assert abs(met[:sent].count("2") - sent * weight / 100) < 1 + 1e-6


def test_each_version_gets_its_requests_in_turn() -> None:
    account = _account()
    _traffic(account, {"n": 1}, {"n": 2}).send(4, old="1", new="2", weight=0.0)
    asked = sorted(event["n"] for _, _, event in account.functions.happened)
    assert (account.functions.invocations(), asked) == (["items:1"] * 4, [1, 1, 2, 2])


def test_failures_are_distinguished_from_throttles() -> None:
    def throttle(_: Any) -> None:
        raise RefusedError("TooManyRequestsException", "Rate exceeded")

    account = _account(v1=throttle, v2=fail)
    outcomes = dict(_traffic(account).send(2, old="1", new="2", weight=0.5))
    assert (outcomes["1"].throttled, outcomes["1"].failed) == (True, False)
    assert (outcomes["2"].throttled, outcomes["2"].failed) == (False, True)


def test_first_reason_counts_before_cancellations() -> None:
    answers = iter([None, None, fail, None, None])

    def answer(event: Any) -> None:
        if (does := next(answers)) is not None:
            does(event)

    traffic = _traffic(_account(v1=answer))
    sent = [traffic.send(1, old="1", new="2", weight=0.0)[0][1] for _ in range(5)]
    assert [outcome.cold for outcome in sent] == [True, False, False, True, False]
    assert [outcome.failed for outcome in sent] == [False, False, True, False, False]


def test_a_missing_function_is_reported() -> None:
    account = Account(DEV)
    with pytest.raises(RehearsalError, match=r"items:1 cannot be called: .*ResourceNotFound"):
        _traffic(account).send(1, old="1", new="2", weight=0.0)


def test_nothing_is_sent_once_the_run_is_stopped() -> None:
    account, stopping = _account(), threading.Event()
    stopping.set()
    with pytest.raises(RehearsalError, match="interrupted"):
        _traffic(account, stopping=stopping).send(3, old="1", new="2", weight=0.0)
    assert account.functions.happened == []
