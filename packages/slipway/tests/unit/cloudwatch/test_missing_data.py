"""The documented tables of missing data, each row for each treatment and each state before."""

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
    """A row of a table under one treatment."""

    evaluation_periods: int
    datapoints_to_alarm: int
    points: str
    treatment: MissingData
    state: str
    filled: int


def cases() -> Iterator[Any]:
    """Every row of every table with every treatment."""
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
    # Given an alarm with the table's settings, and its data points
    which = alarm(
        EvaluationPeriods=case.evaluation_periods,
        DatapointsToAlarm=case.datapoints_to_alarm,
        TreatMissingData=case.treatment,
    )
    # When it is evaluated
    found = judge(which, case.points, previous)
    # Then it is in the table's state, or stays in the one that it was in
    assert found.state == (previous if case.state == RETAIN else case.state)
    # And as many of the data points that it needs were missing as the table says
    assert case.evaluation_periods - len(found.judged) == case.filled


def test_the_tables_are_all_there() -> None:
    # Given both tables of the page, with five rows each, and what an older edition had besides
    assert [len(table["rows"]) for table in TABLES] == [5, 5, 2, 1]
    assert all(table["source"].startswith("https://") for table in TABLES)


@pytest.mark.parametrize(("before", "after"), [("- - - - X", "OK"), ("- - - X -", "OK")])
def test_breaching_data_point_does_not_affect_later_ones(before: str, after: str) -> None:
    # Given the page's examples: a first breaching data point is too young to set off three of three
    which = alarm(EvaluationPeriods=3)
    assert judge(which, before).state is not AlarmState.ALARM
    # When the next one does not breach, then the alarm is OK
    assert judge(which, f"{before} 0").state == after


@pytest.mark.parametrize(
    ("points", "state"),
    [
        # As old as the data points to alarm: two
        ("- - - X -", AlarmState.ALARM),
        ("- - X - -", AlarmState.ALARM),
        # Too young
        ("- - - - X", AlarmState.INSUFFICIENT_DATA),
        # A data point that does not breach is there, older or younger
        ("0 - - X -", AlarmState.OK),
        ("- X - 0 -", AlarmState.OK),
    ],
)
def test_a_premature_alarm_needs_age_and_nothing_good(points: str, state: AlarmState) -> None:
    assert judge(alarm(EvaluationPeriods=3, DatapointsToAlarm=2), points).state is state


def test_enough_breaching_points_alarm_despite_missing_ones() -> None:
    # Given two of five, both breaching, a good one beside them, and two that are missing
    which = {"evaluation_periods": 5, "datapoints_to_alarm": 2}
    for treatment in MissingData:
        # When it is evaluated, then what would fill the gap is of no account
        points = [False, None, True, True, None, None, None]
        assert decide(points, **which, treat_missing_data=treatment) is AlarmState.ALARM


def test_metrics_of_dynamodb_ignore_what_is_missing_unless_told() -> None:
    # Given an alarm on a table without a treatment, and one with
    ignoring = alarm(Namespace="AWS/DynamoDB")
    told = alarm(Namespace="AWS/DynamoDB", TreatMissingData="notBreaching")
    # When there are no data
    # Then the first stays as it is
    assert judge(ignoring, "- - -", AlarmState.ALARM).state is AlarmState.ALARM
    assert judge(told, "- - -", AlarmState.ALARM).state is AlarmState.OK


def test_missing_is_the_default() -> None:
    assert judge(alarm(), "- - -", AlarmState.OK).state is AlarmState.INSUFFICIENT_DATA
