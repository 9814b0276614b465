"""Base class of the users in a service's scenarios: `services/<name>/tests/performance/locustfile.py`.

Locust imports this module in a separate process, which `slipway.performance.run` starts.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import gevent
from locust import HttpUser, constant_throughput, events

from slipway import files
from slipway.emulator.routes import Route, RouteTarget, routes, target
from slipway.performance import variables
from slipway.testing.signing import sign_request

_LOOK_SECONDS = 0.1


def end_in_time(environment: Any, **_: object) -> None:
    """End the run when its time is over.

    Locust's own `--run-time` counts from the last turn of gevent's loop, before the imports, so on a busy machine a
    short run could end before its first request.
    """
    end = time.monotonic() + float(os.environ[variables.SECONDS])

    def wait() -> None:
        while time.monotonic() < end:
            gevent.sleep(_LOOK_SECONDS)
        environment.runner.quit()

    gevent.spawn(wait)


events.test_start.add_listener(end_in_time)  # type: ignore[no-untyped-call]  # Locust types no hooks


def fail_on_errors(user_instance: Any, **_: object) -> None:
    """Fail the run if a scenario's task raises, which Locust only logs."""
    user_instance.environment.process_exit_code = 3


events.user_error.add_listener(fail_on_errors)  # type: ignore[no-untyped-call]  # as above


_REASONS: Counter[str] = Counter()


def count_reason(name: str, exception: Exception | None = None, **_: object) -> None:
    """Count why a request failed."""
    if exception is not None:
        _REASONS[f"{name}: {exception}"] += 1


def write_reasons(**_: object) -> None:
    """Write why requests failed."""
    if file := os.environ.get(variables.REASONS):
        files.write_json(Path(file), _REASONS)


events.request.add_listener(count_reason)  # type: ignore[no-untyped-call]  # as above
events.test_stop.add_listener(write_reasons)  # type: ignore[no-untyped-call]  # as above


class ServiceUser(HttpUser):
    """A caller of a service, with the signature, key or token of the service's tests, as each route requires.

    A scenario adds tasks; the command determines how often they run.
    """

    abstract = True

    def on_start(self) -> None:
        """Use the proxy and the certificates that the environment variables name, which Locust ignores by default."""
        self.client.trust_env = True

    def wait_time(self) -> float:
        """Return how long the next task waits to keep the requested rate."""
        return float(_pace()(self))

    def call(self, method: str, path: str, **content: Any) -> Any:
        """Send a request to the service, and return its answer. Its time is counted for the route.

        Args:
            method: HTTP method.
            path: Path from the API's root, with its query.
            content: Arguments of `requests`: `json`, `headers`, `params`.
        """
        route = next((each for each in _routes() if each.matches(method, path)), None)
        where = _address(route, path)
        headers = {**content.pop("headers", {}), **({"Host": where.host} if where.host else {})}
        if route and (route.keyed or route.bearer):
            headers |= json.loads(os.environ[variables.HEADERS])
        if route and route.signed:
            content["auth"] = sign_request
        name = f"{method} {route.path if route else path.partition('?')[0]}"
        return self.client.request(method, where.url, name=name, headers=headers, **content)


@cache
def _routes() -> tuple[Route, ...]:
    return routes(os.environ[variables.SERVICE])


@cache
def _pace() -> Any:
    return constant_throughput(float(os.environ[variables.RATE]))


def _address(route: Route | None, path: str) -> RouteTarget:
    outputs = json.loads(os.environ[variables.OUTPUTS])
    is_open = route is not None and route.method == "GET" and not (route.signed or route.keyed or route.bearer)
    return target(outputs, path, edge=is_open)
