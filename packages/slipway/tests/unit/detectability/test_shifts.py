"""How traffic moves, by CodeDeploy's configurations."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.detectability import PREDEFINED, Shift
from slipway.errors import RehearsalError
from slipway.settings.model import DeploymentStrategy


def test_every_strategy_of_the_configuration_is_known() -> None:
    assert {shift.name for shift in PREDEFINED} == {str(strategy) for strategy in DeploymentStrategy}


@pytest.mark.parametrize(
    ("name", "steps", "minutes"),
    [
        ("CodeDeployDefault.LambdaAllAtOnce", ((0, 1),), 0),
        ("CodeDeployDefault.LambdaCanary10Percent5Minutes", ((0, 0.1), (300, 1)), 5),
        ("Canary10Percent30Minutes", ((0, 0.1), (1800, 1)), 30),
        (
            "Linear10PercentEvery1Minute",
            tuple((60 * step, pytest.approx(0.1 * (step + 1))) for step in range(10)),
            9,
        ),
        ("Linear10PercentEvery10Minutes", None, 90),
    ],
)
def test_predefined_configurations(name: str, steps: Any, minutes: float) -> None:
    shift = Shift.named(name)

    assert steps is None or shift.steps == steps
    assert shift.full_after == minutes * 60
    assert shift.steps[-1][1] == 1


def test_a_configuration_that_codedeploy_does_not_have_is_told() -> None:
    with pytest.raises(RehearsalError, match="'Canary5Percent5Minutes' is no deployment configuration of CodeDeploy"):
        Shift.named("Canary5Percent5Minutes")


@pytest.mark.parametrize(
    ("routing", "steps"),
    [
        (None, ((0, 1),)),
        ({"Type": "AllAtOnce"}, ((0, 1),)),
        (
            {"Type": "TimeBasedCanary", "TimeBasedCanary": {"CanaryPercentage": "5", "CanaryInterval": 2}},
            ((0, 0.05), (120, 1)),
        ),
        (
            {"Type": "TimeBasedLinear", "TimeBasedLinear": {"LinearPercentage": 40, "LinearInterval": 1}},
            ((0, 0.4), (60, 0.8), (120, 1)),
        ),
    ],
)
def test_configurations_of_the_template(routing: Any, steps: Any) -> None:
    properties = {} if routing is None else {"TrafficRoutingConfig": routing}

    assert Shift.of_template("own", properties) == Shift("own", steps)


def test_a_routing_that_is_not_known_is_told() -> None:
    with pytest.raises(RehearsalError, match=r"own: TrafficRoutingConfig = .*'Sideways'"):
        Shift.of_template("own", {"TrafficRoutingConfig": {"Type": "Sideways"}})


def test_what_moved_is_the_integral_of_the_share() -> None:
    # Given 10 % for five minutes, then all
    shift = Shift.named("Canary10Percent5Minutes")
    # When the new version's traffic of some times is asked for
    assert shift.moved(0, 300) == pytest.approx(30)
    assert shift.moved(240, 360) == pytest.approx(6 + 60)
    assert shift.moved(400, 500) == pytest.approx(100)
    # And a linear one adds up its steps: 10 % of a minute, 20 % of the next, …
    assert Shift.named("Linear10PercentEvery1Minute").moved(0, 540) == pytest.approx(60 * 4.5)
    assert Shift.named("AllAtOnce").moved(0, 10) == pytest.approx(10)
