"""Missing data is treated as the documented tables say: each row, treatment and previous state."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slipway.cloudwatch import AlarmState, MissingData, decide
from unit.cloudwatch.alarms import alarm, judge

TABLES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "missing_data.toml").read_text(encoding="utf-8"))[
    "table"
]

RETAIN = "RETAIN"


@dataclass(frozen=True)
class Case:
    """One row of a table under one treatment."""

    evaluation_periods: int
    datapoints_to_alarm: int
    points: str
    treatment: MissingData
    state: str
    filled: int


def cases() -> Iterator[Any]:
    """Yield every row of every table with every treatment."""
    for number, table in enumerate(TABLES):
        settings = (table["evaluation_periods"], table["datapoints_to_alarm"])
        for row in table["rows"]:
            for treatment in MissingData:
                name = f"table {number}: {row['points']} as {treatment}"
                case = Case(*settings, row["points"], treatment, row[treatment], row["filled"])
                yield pytest.param(case, id=name)


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("previous", AlarmState)
@pytest.mark.parametrize("case", list(cases()))
def test_the_documented_tables_hold(case: Case, previous: AlarmState) -> None:
    # Given an alarm with the table's settings
    which = alarm(
        EvaluationPeriods=case.evaluation_periods,
        DatapointsToAlarm=case.datapoints_to_alarm,
        TreatMissingData=case.treatment,
    )
    # When it is evaluated over the row's data points
    found = judge(which, case.points, previous)
    # Then it has the table's state, or keeps its previous one
    assert found.state == (previous if case.state == RETAIN else case.state)
    # And the number of missing data points it filled in matches the table
    assert case.evaluation_periods - len(found.judged) == case.filled


def test_every_table_is_covered() -> None:
    # Given both tables of the page with five rows each, and the additional rows of an older edition
    assert [len(table["rows"]) for table in TABLES] == [5, 5, 2, 1]
    assert all(table["source"].startswith("https://") for table in TABLES)


@pytest.mark.parametrize(("before", "after"), [("- - - - X", "OK"), ("- - - X -", "OK")])
def test_breaching_data_point_does_not_affect_later_ones(before: str, after: str) -> None:
    # Given the page's examples: one breaching data point is too recent to trigger three out of three
    which = alarm(EvaluationPeriods=3)
    assert judge(which, before).state is not AlarmState.ALARM
    # When the next data point does not breach, then the alarm is OK
    assert judge(which, f"{before} 0").state == after


@pytest.mark.parametrize(
    ("points", "state"),
    [
        # At least as old as the number of datapoints to alarm: two
        ("- - - X -", AlarmState.ALARM),
        ("- - X - -", AlarmState.ALARM),
        # Too recent
        ("- - - - X", AlarmState.INSUFFICIENT_DATA),
        # A non-breaching data point counts, whether older or newer
        ("0 - - X -", AlarmState.OK),
        ("- X - 0 -", AlarmState.OK),
    ],
)
def test_premature_alarm_needs_only_old_breaching_points(points: str, state: AlarmState) -> None:
    assert judge(alarm(EvaluationPeriods=3, DatapointsToAlarm=2), points).state is state


def test_enough_breaching_points_alarm_despite_missing_ones() -> None:
    # Given two out of five: two breaching data points, one that is not, and four missing
    which = {"evaluation_periods": 5, "datapoints_to_alarm": 2}
    for treatment in MissingData:
        # When it is evaluated, then the treatment of missing data makes no difference
        points = [False, None, True, True, None, None, None]
        assert decide(points, **which, treat_missing_data=treatment) is AlarmState.ALARM


def test_dynamodb_metrics_ignore_missing_data_by_default() -> None:
    # Given an alarm on a DynamoDB metric without a treatment of missing data, and one with
    ignoring = alarm(Namespace="AWS/DynamoDB")
    treated = alarm(Namespace="AWS/DynamoDB", TreatMissingData="notBreaching")
    # When there is no data
    # Then the first keeps its state, and the second is OK
    assert judge(ignoring, "- - -", AlarmState.ALARM).state is AlarmState.ALARM
    assert judge(treated, "- - -", AlarmState.ALARM).state is AlarmState.OK


def test_missing_is_the_default() -> None:
    assert judge(alarm(), "- - -", AlarmState.OK).state is AlarmState.INSUFFICIENT_DATA
