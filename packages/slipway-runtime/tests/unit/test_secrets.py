"""A cached secret: rotations are noticed, failed look-ups are limited, and known values stay valid during outages."""

import pytest

from slipway.testing.fakes import FakeSecretsManager, Ticks
from slipway_runtime.secrets import CachedSecret, SecretUnavailableError

BOTH = ("AWSCURRENT", "AWSPREVIOUS")


class Cached:
    """A secret with two stages, read from a fake."""

    def __init__(self) -> None:
        self.manager, self.ticks = FakeSecretsManager("key", AWSCURRENT="a"), Ticks()
        self.secret = self.fresh()

    def fresh(self) -> CachedSecret:
        """Return the secret as in a new execution environment."""
        return CachedSecret(lambda: self.manager, "arn", "key", stages=BOTH, clock=self.ticks)  # type: ignore[arg-type, return-value]

    def takes(self, value: str) -> bool:
        return self.secret.matches(lambda known: known == value)


@pytest.fixture
def cached() -> Cached:
    return Cached()


@pytest.mark.requirement("secrets")
def test_old_value_is_accepted_after_a_rotation(cached: Cached) -> None:
    cached.manager.stages = {"AWSCURRENT": "b", "AWSPREVIOUS": "a"}
    cached.secret = cached.fresh()
    assert cached.secret.current() == "b"
    assert cached.takes("a")


@pytest.mark.requirement("secrets")
def test_a_newer_value_is_looked_up_immediately(cached: Cached) -> None:
    assert cached.takes("a")
    cached.manager.stages = {"AWSCURRENT": "b", "AWSPREVIOUS": "a"}
    assert cached.takes("b")
    assert cached.takes("a")


def test_old_value_is_refused_after_two_rotations(cached: Cached) -> None:
    cached.manager.stages = {"AWSCURRENT": "c", "AWSPREVIOUS": "b"}
    assert not cached.takes("a")


def test_wrong_values_cause_one_look_up_per_minute(cached: Cached) -> None:
    for _ in range(20):
        assert not cached.takes("wrong")
    asked = len(cached.manager.calls)
    assert asked <= 3
    cached.ticks.now += 61
    cached.takes("wrong")
    assert asked < len(cached.manager.calls) <= asked + 2


def test_known_values_are_accepted_during_an_outage(cached: Cached) -> None:
    assert cached.takes("a")
    cached.manager.away = True
    cached.ticks.now += 3600
    assert not cached.takes("wrong")
    assert cached.takes("a")


def test_without_any_value_it_is_unavailable(cached: Cached) -> None:
    cached.manager.away = True
    with pytest.raises(SecretUnavailableError):
        cached.secret.current()


@pytest.mark.parametrize("value", ["", 7])
def test_values_that_are_not_text_are_ignored(cached: Cached, value: object) -> None:
    cached.manager.stages = {"AWSCURRENT": value}  # type: ignore[dict-item]
    with pytest.raises(SecretUnavailableError):
        cached.secret.current()
