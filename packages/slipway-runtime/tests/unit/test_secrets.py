"""A secret that is cached: rotations are seen, failures are few, and what is known counts on."""

import pytest

from slipway.testing.fakes import FakeSecretsManager, Ticks
from slipway_runtime.secrets import CachedSecret, SecretUnavailableError

BOTH = ("AWSCURRENT", "AWSPREVIOUS")


class Cached:
    """A secret of two stages, over a fake."""

    def __init__(self) -> None:
        self.manager, self.ticks = FakeSecretsManager("key", AWSCURRENT="a"), Ticks()
        self.secret = self.fresh()

    def fresh(self) -> CachedSecret:
        """Return the secret as a new container finds it."""
        return CachedSecret(lambda: self.manager, "arn", "key", stages=BOTH, clock=self.ticks)  # type: ignore[arg-type, return-value]

    def takes(self, value: str) -> bool:
        return self.secret.matches(lambda known: known == value)


@pytest.fixture
def cached() -> Cached:
    return Cached()


@pytest.mark.requirement("secrets")
def test_it_still_counts_after_a_rotation(cached: Cached) -> None:
    cached.manager.stages = {"AWSCURRENT": "b", "AWSPREVIOUS": "a"}
    cached.secret = cached.fresh()
    assert cached.secret.current() == "b"
    assert cached.takes("a")


@pytest.mark.requirement("secrets")
def test_a_value_newer_than_ours_is_looked_up_at_once(cached: Cached) -> None:
    assert cached.takes("a")
    cached.manager.stages = {"AWSCURRENT": "b", "AWSPREVIOUS": "a"}
    assert cached.takes("b")
    assert cached.takes("a")


def test_two_rotations_later_it_is_refused(cached: Cached) -> None:
    cached.manager.stages = {"AWSCURRENT": "c", "AWSPREVIOUS": "b"}
    assert not cached.takes("a")


def test_wrong_values_look_once_a_minute(cached: Cached) -> None:
    for _ in range(20):
        assert not cached.takes("wrong")
    asked = len(cached.manager.calls)
    assert asked <= 3
    cached.ticks.now += 61
    cached.takes("wrong")
    assert asked < len(cached.manager.calls) <= asked + 2


def test_what_is_known_counts_on_while_it_is_away(cached: Cached) -> None:
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
def test_what_is_no_text_is_no_value(cached: Cached, value: object) -> None:
    cached.manager.stages = {"AWSCURRENT": value}  # type: ignore[dict-item]
    with pytest.raises(SecretUnavailableError):
        cached.secret.current()
