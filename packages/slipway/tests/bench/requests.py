"""How long a warm request takes in our code, without the time in botocore and the tables behind it."""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from bench.rows import Row, percentile
from slipway.testing.shipped import REPOSITORY, LambdaFolder

# Goal for p50 in milliseconds, by row
GOALS: Mapping[str, float | None] = {
    "warm GET /items/{id}": 0.15,
    "warm POST /items": 0.25,
    "warm POST /items with Idempotency-Key": None,
}

_WARM_UP = 300

_SCRIPT = """
import json, sys, time
import services.items
# The shipped package has no tests: these are the repository's.
services.items.__path__.append(sys.argv[3])
from services.items.tests.unit.fakes import ORIGIN, Harness, handler, proxy_event

from botocore.client import BaseClient

call, waited = BaseClient._make_api_call, 0.0

def measured(*arguments):
    global waited
    began = time.perf_counter()
    try:
        return call(*arguments)
    finally:
        waited += time.perf_counter() - began

BaseClient._make_api_call = measured

requests, warm_up = int(sys.argv[1]), int(sys.argv[2])
harness = Harness().bind()
body = {"name": "Kettle", "description": "Boils water", "data": {"litres": 1.7, "colours": ["red", "black"]}}
item = harness.post(body).json["id"]
get = proxy_event("GET", f"/items/{item}", headers={"X-Origin-Verify": ORIGIN})
post = proxy_event("POST", "/items", body=body)

def keyed(number):
    return proxy_event("POST", "/items", body=body, headers={"Idempotency-Key": f"key-{number:036d}"})

events = {
    "warm GET /items/{id}": (200, lambda number: dict(get)),
    "warm POST /items": (201, lambda number: dict(post)),
    "warm POST /items with Idempotency-Key": (201, keyed),
}
times = {name: [] for name in events}
for number in range(requests + warm_up):
    for name, (status, event) in events.items():
        given = event(number)
        waited, started = 0.0, time.perf_counter()
        answer = handler(given, harness.context)
        times[name].append(time.perf_counter() - started - waited)
        assert answer["statusCode"] == status, answer
sys.stderr.write("\\n" + json.dumps({name: values[warm_up:] for name, values in times.items()}))
"""


def measure(folder: LambdaFolder, *, requests: int, variables: Mapping[str, str]) -> list[Row]:
    """Call the handler as Lambda does, with each kind of request in turn.

    Args:
        folder: The unpacked function.
        requests: Number of measured calls of each kind.
        variables: The function's environment variables.
    """
    # The fakes are those of the tests, with their imports
    tests = (REPOSITORY, REPOSITORY / "packages" / "slipway" / "src", Path(sysconfig.get_path("purelib")))
    said = folder.run(
        _SCRIPT, str(requests), str(_WARM_UP), str(REPOSITORY / "services" / "items"), variables=variables, more=tests
    )
    times: dict[str, list[float]] = json.loads(said.rpartition("\n")[2])
    rows: list[Row] = []
    for name, goal in GOALS.items():
        milliseconds = [value * 1000 for value in times[name]]
        rows.append(Row(f"{name}, p50", percentile(milliseconds, 50), "ms", goal, f"{requests} requests"))
        rows.append(Row(f"{name}, p99", percentile(milliseconds, 99), "ms"))
    return rows
