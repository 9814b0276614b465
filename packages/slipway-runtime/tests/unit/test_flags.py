"""Flags are off unless AppConfig enables them, and cost nothing in a service without flags."""

import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from slipway_runtime import aws, flags
from slipway_runtime.flag_names import APPLICATION, MAX_AGE

LOUD = {
    "loud": {
        "default": False,
        "rules": {
            "of_beta": {"when_match": True, "conditions": [{"action": "EQUALS", "key": "tier", "value": "beta"}]}
        },
    },
    "open": {"default": True},
}


class AppConfig:
    """AppConfig's two calls. Each token is valid for one call."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document, self.sessions, self.polls = document, 0, 0
        self.away = False
        self._token = ""
        self.meta = type("Meta", (), {"events": type("Events", (), {"register_last": lambda *_: None})()})()

    def start_configuration_session(self, **request: str) -> dict[str, str]:
        self._refuse_if_away()
        assert request == {
            "ApplicationIdentifier": "dev-catalog",
            "EnvironmentIdentifier": "live",
            "ConfigurationProfileIdentifier": "flags",
        }
        self.sessions += 1
        self._token = f"session-{self.sessions}"
        return {"InitialConfigurationToken": self._token}

    def get_latest_configuration(self, *, ConfigurationToken: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        self._refuse_if_away()
        assert ConfigurationToken == self._token, "a token is valid for one call"
        self.polls += 1
        self._token = f"{ConfigurationToken}+"
        body = json.dumps(self.document).encode()
        return {"Configuration": io.BytesIO(body), "NextPollConfigurationToken": self._token}

    def _refuse_if_away(self) -> None:
        if self.away:
            self._token = ""
            raise ConnectionError("AppConfig is away")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time in seconds, which the test can change."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def appconfig(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> Iterator[AppConfig]:
    """Replace AppConfig with two flags that are read at each call."""
    assert clock
    client = AppConfig(LOUD)
    monkeypatch.setenv(APPLICATION, "dev-catalog")
    monkeypatch.setenv(MAX_AGE, "0")
    monkeypatch.setattr(aws, "client", lambda *_, **__: client)
    flags._features.cache_clear()
    yield client
    flags._features.cache_clear()


def test_rules_decide_for_each_request(appconfig: AppConfig) -> None:
    assert flags.is_on("loud", tier="beta")
    assert not flags.is_on("loud", tier="gold")
    assert flags.is_on("open")
    assert appconfig.sessions == 1


def test_rule_may_compare_a_name(appconfig: AppConfig) -> None:
    condition = {"action": "EQUALS", "key": "name", "value": "kettle"}
    appconfig.document = {
        "a": {"default": False, "rules": {"kettles": {"when_match": True, "conditions": [condition]}}}
    }

    assert flags.is_on("a", name="kettle")
    assert not flags.is_on("a", name="pot")


def test_unknown_flag_is_off(appconfig: AppConfig) -> None:
    assert not flags.is_on("nobody_declared_it")
    assert appconfig.polls == 1


def test_changed_flags_apply_at_the_next_poll(appconfig: AppConfig) -> None:
    assert flags.is_on("open")

    appconfig.document = {"open": {"default": False}}

    assert not flags.is_on("open")


def test_flags_are_cached_between_polls(appconfig: AppConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MAX_AGE, "60")

    for _ in range(5):
        assert flags.is_on("open")

    assert appconfig.polls == 1


def test_flags_are_off_until_appconfig_is_reachable(appconfig: AppConfig) -> None:
    appconfig.away = True

    assert not flags.is_on("open")


def test_last_flags_apply_while_appconfig_is_unavailable(appconfig: AppConfig, clock: list[float]) -> None:
    # Given flags that were read
    assert flags.is_on("open")

    # When AppConfig becomes unavailable, and comes back with other flags
    appconfig.away = True
    assert flags.is_on("open")
    appconfig.away, appconfig.document = False, {"open": {"default": False}}

    # Then the old flags apply until it is called again, in a new session
    assert flags.is_on("open")
    clock[0] += flags.RETRY_SECONDS
    assert not flags.is_on("open")
    assert appconfig.sessions == 2


_WITHOUT_FLAGS = """
import os, sys
from slipway_runtime import flags
assert not flags.is_on("open")
loaded = sorted(name for name in sys.modules if "feature_flags" in name or "utilities.parameters" in name
                or name == "boto3" or "appconfig" in name)
print(loaded)
"""


@pytest.mark.programs
def test_service_without_flags_imports_none_of_it() -> None:
    # Given a separate process without a configured application
    ran = subprocess.run(
        [sys.executable, "-c", _WITHOUT_FLAGS],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )

    # Then checking a flag has imported nothing
    assert ran.stdout.strip() == "[]", ran.stderr
