"""Which environments may be destroyed, and in which order. `tests/local/test_destruction.py` does it."""

from __future__ import annotations

from typing import Any

import pytest

import config
from config import Environment
from pipeline.destruction import Destruction, DestructionError, stack_names

ACCOUNT = "123456789012"


class Session:
    """Credentials of an account."""

    def __init__(self, account: str) -> None:
        self.account = account

    def client(self, service: str, **_: str) -> Any:
        assert service == "sts"
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": self.account}


def _environment(*, disposable: bool, name: str = "blue", region: str = "eu-west-1") -> Environment:
    committed = config.load().environments[0]
    stateful = committed.stateful.model_copy(update={"disposable": disposable})
    return committed.model_copy(update={"name": name, "account": ACCOUNT, "region": region, "stateful": stateful})


def test_only_a_disposable_environment_is_destroyed() -> None:
    with pytest.raises(DestructionError, match="blue is not disposable"):
        Destruction(_environment(disposable=False), Session(ACCOUNT), say=print)  # type: ignore[arg-type]


def test_credentials_must_be_of_its_account() -> None:
    with pytest.raises(DestructionError, match="of account 210987654321"):
        Destruction(_environment(disposable=True), Session("210987654321"), say=print)  # type: ignore[arg-type]


def test_stacks_are_deleted_before_what_they_use() -> None:
    waves = stack_names(_environment(disposable=True))
    order = {name: number for number, wave in enumerate(waves) for name, _ in wave}

    kinds = ("compute-edge-logs", "observability", "compute", "data", "security")
    numbers = [order[f"blue-items-{kind}"] for kind in kinds]
    assert numbers == sorted(set(numbers))
    assert order["blue-foundation"] > max(numbers)


def test_stacks_of_a_longer_name_are_left_alone() -> None:
    # Given another environment in the same account, whose name begins with this one's
    ours = {name for wave in stack_names(_environment(disposable=True)) for name, _ in wave}
    theirs = {name for wave in stack_names(_environment(disposable=True, name="blue-eu")) for name, _ in wave}

    assert not ours & theirs
