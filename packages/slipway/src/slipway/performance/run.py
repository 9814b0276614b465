"""Run the Locust scenarios of a service, headless."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from slipway import files
from slipway.attack.target import AttackTarget
from slipway.errors import SlipwayError
from slipway.performance import variables as names
from slipway.performance.measured import PerformanceRun, read_run
from slipway.process import run
from slipway.project import ROOT
from slipway.settings.model import Performance

SCENARIOS = "tests/performance/locustfile.py"
"""File of a service with its scenarios."""

SLACK_SECONDS = 120
"""Seconds that the process may take beyond its time, to start and to finish requests."""

LEAST_RATE = 1.0
"""Minimum tasks per second; a lower rate would measure too few requests."""


class PerformanceError(SlipwayError):
    """The service could not be loaded. The message is one line."""


@dataclass(frozen=True)
class Load:
    """Load on a service.

    Attributes:
        rate: Tasks per second, of all users together.
        seconds: Duration.
    """

    rate: float
    seconds: int

    @property
    def users(self) -> int:
        """Number of users that share the rate: each waits for its answers, and so manages one task per second."""
        return max(1, ceil(self.rate))


def load_of(wanted: Performance, requests_per_second: float) -> Load:
    """Return the load on a service.

    Args:
        wanted: Settings of the environment.
        requests_per_second: Expected traffic.
    """
    rate = min(max(requests_per_second * wanted.times, LEAST_RATE), wanted.most_per_second)
    return Load(rate, wanted.seconds)


def measure(target: AttackTarget, load: Load, folder: Path) -> PerformanceRun:
    """Load a service, and return the measurements.

    Args:
        target: The service, with its credentials.
        load: The load.
        folder: Folder for Locust's reports, `<service>.html` and `<service>.json`.

    Raises:
        PerformanceError: Locust did not complete.
    """
    report = folder / f"{target.service}.json"
    reasons = folder / f"{target.service}-reasons.json"
    for earlier in (report, reasons):
        earlier.unlink(missing_ok=True)
    done = run(
        command(target, load, folder),
        folder=ROOT,
        environment={**os.environ, **variables(target, load), names.REASONS: str(reasons)},
        seconds=load.seconds + SLACK_SECONDS,
        merge=True,
    )
    entries = files.read_json(report)
    if done.returncode != 0 or entries is None:
        raise PerformanceError(f"{target.service} was not loaded: {done.reason}")
    return read_run(target.service, entries, load.seconds, files.read_json(reasons))


def command(target: AttackTarget, load: Load, folder: Path) -> list[str]:
    """Return Locust's command line.

    Args:
        target: The service.
        load: The load.
        folder: Folder for its reports.
    """
    base = folder / target.service
    return [
        *(sys.executable, "-m", "locust", "--headless", "--only-summary", "--skip-log-setup"),
        *("-f", str(ROOT / "services" / target.service / SCENARIOS), "--host", target.api.rstrip("/")),
        *("--users", str(load.users), "--spawn-rate", str(load.users)),
        *("--stop-timeout", "30", "--exit-code-on-error", "0"),
        *("--json-file", str(base), "--html", f"{base}.html"),
    ]


def variables(target: AttackTarget, load: Load) -> dict[str, str]:
    """Return the environment variables that `slipway.performance.user` reads.

    Args:
        target: The service, with its credentials.
        load: The load.
    """
    key = target.credentials
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        names.SERVICE: target.service,
        names.OUTPUTS: json.dumps({**target.outputs, "ApiEndpoint": target.api}),
        names.HEADERS: json.dumps(dict(target.headers)),
        names.SECONDS: str(load.seconds),
        names.RATE: str(load.rate / load.users),
        "AWS_ACCESS_KEY_ID": key.access_key or "",
        "AWS_SECRET_ACCESS_KEY": key.secret_key or "",
        "AWS_SESSION_TOKEN": key.token or "",
        "AWS_REGION": target.region,
    }
