"""The smoke tests pass on what was deployed, run the way `make up` runs them."""

from __future__ import annotations

from slipway.emulator.environment import LocalEnvironment
from slipway.emulator.server import Credentials
from slipway.rehearsal.cli import smoke


def test_the_smoke_tests_pass_and_leave_nothing_behind(local: LocalEnvironment, caller: Credentials) -> None:
    # Given the items that are there
    table = {"TableName": local.outputs()["items"]["TableName"], "Select": "COUNT", "ConsistentRead": True}
    dynamodb = local.emulator.session().client("dynamodb")
    before = dynamodb.scan(**table)["Count"]  # type: ignore[arg-type]  # a mapping of differing types
    # When the smoke tests run
    fault = smoke(local, caller, lambda _: None)
    # Then none fails, and the items are the same
    assert fault is None
    assert dynamodb.scan(**table)["Count"] == before  # type: ignore[arg-type]
