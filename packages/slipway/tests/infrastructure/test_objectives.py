"""Objectives: which burn rate triggers which alarm, by CloudWatch's rules, and which alarms a bake counts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from infrastructure import synthesis
from slipway.blocks.objectives import OUTSIDE_BAKE
from slipway.cloudwatch import Alarm, AlarmState, CompositeAlarm, MetricStore, evaluate
from slipway.testing.templates import DeployedTemplates
from specimen.services.catalog.infrastructure import Catalog
from specimen.services.studio.infrastructure import Studio

MINUTE, HOUR, DAY = 60, 3_600, 86_400
END = 40 * DAY


def _resolved(deployment: DeployedTemplates, properties: dict[str, Any]) -> Any:
    return json.loads(
        json.dumps(properties),
        object_hook=lambda each: (
            deployment.text("observability", each)
            if {"Ref", "Fn::GetAtt", "Fn::Join", "Fn::GetStackOutput"} & each.keys()
            else each
        ),
    )


@dataclass
class _Objectives:
    """The alarms of a service on its objectives, and the metrics that they evaluate."""

    windows: dict[str, Alarm]
    pairs: dict[str, CompositeAlarm]
    store: MetricStore

    @classmethod
    def of(cls, deployment: DeployedTemplates) -> _Objectives:
        template = deployment["observability"]
        windows = {
            f"<observability/{key}>": Alarm.from_template(_resolved(deployment, resource["Properties"]))
            for key, resource in template.of_type("AWS::CloudWatch::Alarm").items()
            if OUTSIDE_BAKE in key
        }
        pairs = {
            key: CompositeAlarm.from_template(_resolved(deployment, resource["Properties"]))
            for key, resource in template.of_type("AWS::CloudWatch::CompositeAlarm").items()
        }
        return cls(windows, pairs, MetricStore())

    def sees(self, begin: int, end: int, *, failed: float = 0.0, slow: float = 0.0) -> None:
        """Count a hundred requests every five minutes, some of them failed or slow."""
        metrics = {metric for alarm in self.windows.values() for metric in alarm.metrics}
        for at in range(begin, end, 5 * MINUTE):
            for metric in metrics:
                bad = slow if metric.name == "Latency" else failed
                values = [900.0, 10.0] if metric.name == "Latency" else [1.0, 0.0]
                counts = [1_000.0, 0.0] if metric.name == "Count" else [1_000 * bad, 1_000 * (1 - bad)]
                self.store.put_values(metric, values, at, counts=counts)

    def ringing(self, at: int = END) -> set[str]:
        """Return the alarms that are on at a moment, such as `AvailabilityFast`."""
        states = {name: evaluate(alarm, self.store, at).state for name, alarm in self.windows.items()}
        return {
            key.partition("Objectives")[2].removeprefix(OUTSIDE_BAKE)[:-8]
            for key, pair in self.pairs.items()
            if pair.evaluate(states) is AlarmState.ALARM
        }


@pytest.fixture(params=[Catalog, Studio], ids=lambda service: service.name)
def objectives(request: pytest.FixtureRequest) -> _Objectives:
    """Return the alarms of a REST and an HTTP API, with objectives of 99.9 %, and 99 % within 500 ms, in 28 days."""
    return _Objectives.of(synthesis.deployment("prod", request.param))


def test_met_objectives_trigger_no_alarm(objectives: _Objectives) -> None:
    objectives.sees(0, END, failed=0.0005, slow=0.005)
    assert objectives.ringing() == set()


def test_an_outage_of_minutes_burns_fast(objectives: _Objectives) -> None:
    objectives.sees(0, END - 10 * MINUTE)
    objectives.sees(END - 10 * MINUTE, END, failed=0.2)
    assert objectives.ringing() == {"AvailabilityFast"}


def test_the_alarm_ends_soon_after_the_failures(objectives: _Objectives) -> None:
    # Given an outage, then more than five minutes without failures
    objectives.sees(0, END - 30 * MINUTE)
    objectives.sees(END - 30 * MINUTE, END, failed=0.2)
    objectives.sees(END, END + 10 * MINUTE)
    # Then the long window still burns, but the alarm has ended
    assert "AvailabilityFast" in objectives.ringing()
    assert "AvailabilityFast" not in objectives.ringing(END + 10 * MINUTE)


def test_a_small_share_over_hours_burns_at_medium_rate(objectives: _Objectives) -> None:
    objectives.sees(0, END - 6 * HOUR)
    objectives.sees(END - 6 * HOUR, END, failed=0.008)
    assert objectives.ringing() == {"AvailabilityMedium"}


def test_a_broken_promise_over_days_burns_slowly(objectives: _Objectives) -> None:
    objectives.sees(0, END - 3 * DAY)
    objectives.sees(END - 3 * DAY, END, failed=0.0012, slow=0.012)
    assert objectives.ringing() == {"AvailabilitySlow", "LatencySlow"}


def test_late_answers_burn_the_budget_of_latency(objectives: _Objectives) -> None:
    objectives.sees(0, END - HOUR)
    objectives.sees(END - HOUR, END, slow=0.2)
    assert objectives.ringing() == {"LatencyFast"}


def test_a_bake_counts_only_the_fast_burn_of_availability(prod: DeployedTemplates) -> None:
    kinds = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    of_objectives = [key for kind in kinds for key in prod["observability"].of_type(kind) if "Objectives" in key]

    assert len(of_objectives) == 18
    (counted,) = (key for key in of_objectives if OUTSIDE_BAKE not in key)
    assert "AvailabilityFast" in counted


def test_without_objectives_there_is_no_alarm_on_them(dev: DeployedTemplates) -> None:
    assert not dev["observability"].of_type("AWS::CloudWatch::CompositeAlarm")
