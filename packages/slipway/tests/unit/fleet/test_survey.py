"""What an account says of its services, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from slipway.fleet.command import as_html
from slipway.fleet.survey import Deployed, survey_fleet
from specimen import SETTINGS

PROD = SETTINGS.environment("prod")
DELIVERED = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
FUNCTIONS = {
    "prod-catalog-compute-ApiFunction953D2216-llhCml": "7",
    "prod-catalog-compute-ApiDeploymentHookFunction0A1B2C3D-aaaaaa": "9",
    "prod-catalog-compute-ProbeFunction11112222-bbbbbb": "9",
    "prod-intake-compute-WorkerE4F5A6B7-cccccc": "3",
}
ALARMS = {
    "prod-catalog-observability-AlarmsApi5xx0A1B2C3D-dddddd": "ALARM",
    "prod-catalog-observability-AlarmsApiErrors0A1B2C3D-eeeeee": "OK",
    "prod-catalogue-observability-AlarmsApi5xx0A1B2C3D-ffffff": "ALARM",
}


def _missing(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "not there"}}, "Describe")


class Account:
    """An account in which `catalog` and `intake` are deployed; it has no metrics."""

    def client(self, _service: str) -> Account:
        return self

    def get_paginator(self, operation: str) -> Account:
        self.operation = operation
        return self

    def paginate(self, **asked: Any) -> Iterator[Any]:
        if self.operation == "list_functions":
            yield {"Functions": [{"FunctionName": name} for name in FUNCTIONS]}
            return
        # As the emulator, which filters by no state
        yield {
            "MetricAlarms": [
                {"AlarmName": name, "StateValue": state}
                for name, state in ALARMS.items()
                if name.startswith(asked["AlarmNamePrefix"])
            ]
        }

    def get_alias(self, *, FunctionName: str, Name: str) -> dict[str, str]:  # noqa: N803
        assert Name == "live"
        return {"FunctionVersion": FUNCTIONS[FunctionName]}

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803
        if StackName not in {"prod-catalog-compute", "prod-intake-compute"}:
            raise _missing("ValidationError")
        return {"Stacks": [{"StackStatus": "UPDATE_COMPLETE", "CreationTime": DELIVERED}]}


def _found() -> dict[str, Deployed]:
    return {each.service: each for each in survey_fleet(Account(), PROD)}  # type: ignore[arg-type]


def test_each_service_has_its_versions_and_alarms() -> None:
    catalog = _found()["catalog"]

    assert catalog.versions == {"ApiFunction": "7"}
    assert catalog.alarms == ("AlarmsApi5xx",)
    assert (catalog.status, catalog.delivered) == ("UPDATE_COMPLETE", DELIVERED)


def test_a_service_without_its_stack_is_not_deployed() -> None:
    found = _found()

    assert list(found) == list(PROD.services.names)
    assert (found["studio"].status, found["studio"].delivered, found["studio"].versions) == (None, None, {})


def test_the_page_shows_every_service() -> None:
    page = as_html(list(_found().values()))

    assert "<td>catalog</td><td>ApiFunction 7</td><td>2026-11-20 15:30 UTC</td><td>AlarmsApi5xx</td>" in page
    assert "<td>studio</td><td>not deployed</td>" in page
