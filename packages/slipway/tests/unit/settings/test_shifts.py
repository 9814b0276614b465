"""Traffic shifts, as defined by CodeDeploy's deployment configurations."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import aws_codedeploy as codedeploy
from hypothesis import given
from hypothesis import strategies as st

from slipway.settings.shifts import LONGEST_MINUTES, PREDEFINED, PREFIX, Shift, ShiftKind

SHIFTS = st.builds(Shift, st.sampled_from([ShiftKind.CANARY, ShiftKind.LINEAR]), st.integers(1, 99), st.integers(1, 29))


def test_predefined_configurations_are_those_of_cdk() -> None:
    # Given CDK's constants, which use CodeDeploy's names
    constants = [
        name for name in dir(codedeploy.LambdaDeploymentConfig) if name.startswith(("ALL", "CANARY", "LINEAR"))
    ]
    names = {getattr(codedeploy.LambdaDeploymentConfig, name).deployment_config_name for name in constants}

    assert names
    assert {f"{PREFIX}{shift.name}" for shift in PREDEFINED} == names


@pytest.mark.parametrize(
    ("name", "steps", "minutes"),
    [
        ("CodeDeployDefault.LambdaAllAtOnce", ((0, 1),), 0),
        ("CodeDeployDefault.LambdaCanary10Percent5Minutes", ((0, 0.1), (300, 1)), 5),
        ("Canary10Percent30Minutes", ((0, 0.1), (1800, 1)), 30),
        ("Canary5Percent15Minutes", ((0, 0.05), (900, 1)), 15),
        (
            "Linear10PercentEvery1Minute",
            tuple((60 * step, pytest.approx(0.1 * (step + 1))) for step in range(10)),
            9,
        ),
        ("Linear10PercentEvery10Minutes", None, 90),
        ("Linear40PercentEvery2Minutes", ((0, 0.4), (120, 0.8), (240, 1)), 4),
    ],
)
def test_names_define_the_steps(name: str, steps: Any, minutes: float) -> None:
    shift = Shift.named(name)

    assert steps is None or shift.steps == steps
    assert shift.full_after == minutes * 60
    assert shift.steps[-1][1] == 1
    assert shift.name == name.removeprefix(PREFIX)


@given(shift=SHIFTS)
def test_shift_is_read_back_from_name_and_template(shift: Shift) -> None:
    kind = f"TimeBased{shift.kind}"
    figures = {f"{shift.kind}Percentage": shift.percent, f"{shift.kind}Interval": shift.minutes}

    assert Shift.named(shift.name) == Shift.named(f"{PREFIX}{shift.name}") == shift
    assert Shift.of_template({"TrafficRoutingConfig": {"Type": kind, kind: figures}}) == shift
    # And the shares increase up to the last, which is all traffic
    shares = [share for _, share in shift.steps]
    assert shares == sorted(set(shares))
    assert shift.moved(0, shift.full_after) == pytest.approx(60 * sum(shift.weights))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "must be AllAtOnce, Canary<percent>Percent"),
        ("Mine", "'Mine' must be AllAtOnce"),
        ("CodeDeployDefault.OneAtATime", "must be AllAtOnce"),
        ("Canary10Percent", "must be AllAtOnce"),
        ("Canary10PercentEvery5Minutes", "must be AllAtOnce"),
        ("Linear10Percent5Minutes", "must be AllAtOnce"),
        ("Canary100Percent5Minutes", "must be AllAtOnce"),
        ("Canary0Percent5Minutes", "must be AllAtOnce"),
        ("Canary5Percent0Minutes", "must be AllAtOnce"),
        ("Canary5Percent2881Minutes", "takes 2881 minutes until all traffic is moved; CodeDeploy allows at most 2880"),
        (
            "Linear10PercentEvery400Minutes",
            "takes 3600 minutes until all traffic is moved; CodeDeploy allows at most 2880",
        ),
    ],
)
def test_impossible_names_are_refused(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Shift.named(name)


@pytest.mark.parametrize(("percent", "minutes"), [(0, 5), (100, 5), (5, 0), (5, LONGEST_MINUTES + 1)])
@pytest.mark.parametrize("kind", [ShiftKind.CANARY, ShiftKind.LINEAR])
def test_impossible_figures_are_refused(kind: ShiftKind, percent: int, minutes: int) -> None:
    with pytest.raises(ValueError, match=kind):
        Shift(kind, percent, minutes)


@pytest.mark.parametrize(
    ("routing", "shift"),
    [
        (None, Shift()),
        ({"Type": "AllAtOnce"}, Shift()),
        (
            {"Type": "TimeBasedCanary", "TimeBasedCanary": {"CanaryPercentage": "5", "CanaryInterval": 2}},
            Shift(ShiftKind.CANARY, 5, 2),
        ),
        (
            {"Type": "TimeBasedLinear", "TimeBasedLinear": {"LinearPercentage": 40, "LinearInterval": 1}},
            Shift(ShiftKind.LINEAR, 40, 1),
        ),
    ],
)
def test_own_configurations_are_read_from_the_template(routing: Any, shift: Shift) -> None:
    assert Shift.of_template({} if routing is None else {"TrafficRoutingConfig": routing}) == shift


def test_unknown_routing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"TrafficRoutingConfig = .*'Sideways'"):
        Shift.of_template({"TrafficRoutingConfig": {"Type": "Sideways"}})


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("AllAtOnce", []),
        ("Canary10Percent5Minutes", [0.1] * 5),
        ("Canary5Percent15Minutes", [0.05] * 15),
        ("Linear10PercentEvery1Minute", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
        ("Linear30PercentEvery2Minutes", [0.3, 0.3, 0.6, 0.6, 0.9, 0.9]),
    ],
)
def test_each_minute_has_its_share(name: str, weights: list[float]) -> None:
    assert Shift.named(name).weights == weights


def test_moved_traffic_is_the_integral_of_the_share() -> None:
    # Given 10 % for five minutes, then all traffic
    shift = Shift.named("Canary10Percent5Minutes")
    # When the new version's traffic in different intervals is computed
    assert shift.moved(0, 300) == pytest.approx(30)
    assert shift.moved(240, 360) == pytest.approx(6 + 60)
    assert shift.moved(400, 500) == pytest.approx(100)
    # And a linear shift adds up its steps: 10 % of one minute, 20 % of the next, …
    assert Shift.named("Linear10PercentEvery1Minute").moved(0, 540) == pytest.approx(60 * 4.5)
    assert Shift.named("AllAtOnce").moved(0, 10) == pytest.approx(10)


@pytest.mark.parametrize(
    ("new", "old", "looser"),
    [
        ("AllAtOnce", "Canary10Percent5Minutes", True),
        ("Canary5Percent15Minutes", "Canary10Percent5Minutes", False),
        ("Canary5Percent4Minutes", "Canary10Percent5Minutes", True),
        ("Canary11Percent30Minutes", "Canary10Percent5Minutes", True),
        ("Linear10PercentEvery1Minute", "Canary10Percent5Minutes", False),
        ("Canary10Percent5Minutes", "Canary10Percent5Minutes", False),
    ],
)
def test_larger_or_faster_shifts_are_looser(new: str, old: str, looser: bool) -> None:
    assert Shift.named(new).is_looser_than(Shift.named(old)) is looser
