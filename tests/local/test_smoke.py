"""The smoke tests pass on the deployed services, run as `make up` runs them."""

from __future__ import annotations

import pytest

from slipway.emulator.environment import LocalEnvironment
from slipway.emulator.server import Credentials
from slipway.rehearsal.cli import smoke


@pytest.mark.requirement("tests after each environment")
def test_the_smoke_tests_pass_and_leave_nothing_behind(local: LocalEnvironment, caller: Credentials) -> None:
    # Given the number of entries in the tables that writing tests clean up after themselves
    dynamodb = local.emulator.session().client("dynamodb")
    tables = {found["TableName"] for found in local.outputs().values() if "DistributionDomain" in found}

    def stored() -> dict[str, int]:
        return {name: dynamodb.scan(TableName=name, Select="COUNT", ConsistentRead=True)["Count"] for name in tables}

    before = stored()
    # When the smoke tests of every service run
    fault = smoke(local, caller, lambda _: None)
    # Then none fails, and the tables have as many entries as before
    assert fault is None
    assert stored() == before
