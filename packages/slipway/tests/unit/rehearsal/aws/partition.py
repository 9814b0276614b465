"""The accounts of the configuration, in memory, and the real way between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import specimen
from slipway.emulator.accounts import Accounts
from slipway.emulator.partition.router import Api, Hook
from slipway.emulator.server import Emulator
from slipway.emulator.topology import Topology
from slipway.settings import Settings
from unit.rehearsal.aws.account import Account

SETTINGS = specimen.SETTINGS


@contextmanager
def no_ports() -> Iterator[None]:
    """What asks for free ports is given numbers: no socket is opened."""
    ports = count(40_000)
    with patch("slipway.emulator.partition.server.free_port", lambda: next(ports)):
        yield


def _nothing(account: str, content: dict[str, Any]) -> None:
    raise AssertionError(f"{account} handed over {content}")


def accounts_in(
    folder: Path,
    *,
    settings: Settings = SETTINGS,
    apis: Mapping[str, Api] | None = None,
    on_custom_resource: Hook = _nothing,
) -> tuple[Accounts, dict[str, Account]]:
    """The accounts, and what is behind each.

    Args:
        folder: where they lie.
        settings: all of `config/`. Default: what is committed.
        apis: what is answered in place of the accounts. Default: nothing.
        on_custom_resource: takes what functions hand over. Default: it is a fault.
    """
    with no_ports():
        accounts = Accounts(
            Topology.of_settings(settings), folder / "accounts", apis=apis or {}, on_custom_resource=on_custom_resource
        )
    behind = {account: Account(account, folder / account, accounts.region(account)) for account in accounts.ids}
    accounts.emulators.update(cast("dict[str, Emulator]", behind))
    return accounts, behind
