"""Ways in which a new version may fail."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slipway.errors import RehearsalError

HEALTHY_MS = 100.0
"""Duration of a normal invocation, milliseconds: any time below the alarms' thresholds."""

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)")


@dataclass(frozen=True)
class FailureMode:
    """A new version that fails in one way.

    Args:
        name: Display name, such as `error-rate=5%`.
        errors: Share of its invocations that end as errors of the function: it raises, cannot be imported, is killed,
            or runs into its time-out.
        answered: Share that it answers with 5xx, or reports as failed in its batch: failures, but not errors of the
            function.
        slow: Share that is slow.
        latency_ms: Duration of the slow invocations, milliseconds.
    """

    name: str
    errors: float = 0
    answered: float = 0
    slow: float = 0
    latency_ms: float = 0

    @property
    def harmful(self) -> float:
        """Share of the invocations that a caller would notice."""
        return self.errors + self.answered + self.slow

    @classmethod
    def failing(cls, share: float) -> FailureMode:
        """Return a version of which a share of invocations ends in errors."""
        return cls(f"error-rate={share:.4%}".replace("0000%", "%").rstrip("0%").rstrip(".") + "%", errors=share)

    @classmethod
    def parse(cls, text: str) -> FailureMode:
        """Read a fault: `5%`, `error-rate=5%`, `answered=5%`, `latency=3s`, `latency=3s@5%`.

        Raises:
            RehearsalError: It has none of these forms, or its share is not above 0 and at most 100 %.
        """
        kind, equals, value = text.partition("=")
        if not equals:
            kind, value = "error-rate", text
        duration, at, share = value.partition("@")
        match kind:
            case "error-rate" if not at:
                return cls.failing(_share(text, value))
            case "answered" if not at:
                return cls(text, answered=_share(text, value))
            case "latency" if found := _DURATION.fullmatch(duration.strip()):
                latency = float(found[1]) * (1000 if found[2] == "s" else 1)
                return cls(text, slow=_share(text, share) if at else 1, latency_ms=latency)
        raise _unknown(text)


def _share(text: str, value: str) -> float:
    found = _PERCENT.fullmatch(value.strip())
    if found is None:
        raise _unknown(text)
    share = float(found[1]) / 100
    if not 0 < share <= 1:
        raise RehearsalError(f"{text!r}: a share must be above 0 and at most 100 %", exit_code=2)
    return share


def _unknown(text: str) -> RehearsalError:
    return RehearsalError(
        f"unknown failure {text!r}; use a form such as 5%, error-rate=5%, answered=5%, latency=3s, or latency=3s@5%",
        exit_code=2,
    )
