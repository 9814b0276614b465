"""Nothing is counted twice or becomes negative, whatever the order and repetition of events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.delivery.runtime.events import Change
from unit.delivery.delivery import Desk, alarm, at, deployment, stage


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[Desk, list[Change], int, int]:
    """Draw a few sequential executions through prod: their events, their number, and how many failed."""
    desk = Desk()
    events: list[Change] = []
    minute, failed = 0.0, 0
    standing = "before"
    number = draw(st.integers(1, 5))
    for index in range(number):
        execution = f"e{index}"
        desk.commits[execution] = at(minute - draw(st.integers(-5, 100)))
        outcome = draw(st.sampled_from(["succeeds", "fails", "rolled back", "retried"]))
        events += [stage(execution, "STARTED", minute), stage(execution, "STARTED", minute + 1, "prod-foundation")]
        if outcome == "succeeds":
            events.append(stage(execution, "SUCCEEDED", minute + 10))
            standing = execution
        else:
            failed += 1
            events += [deployment(minute + 5) for _ in range(draw(st.integers(0, 2)))]
            events.append(stage(execution, "FAILED", minute + 10))
        if outcome == "rolled back":
            desk.rollbacks[f"back{index}"] = standing
            events.append(stage(f"back{index}", "STARTED", minute + 11))
            events.append(stage(f"back{index}", draw(st.sampled_from(["SUCCEEDED", "FAILED"])), minute + 15))
        if outcome == "retried":
            events.append(stage(execution, "SUCCEEDED", minute + 18))
            standing = execution
        events.append(alarm(minute + 5, draw(st.sampled_from(["ALARM", "OK"]))))
        minute += 20
    return desk, events, number, failed


@pytest.mark.requirement("notifications and figures")
@given(delivery=deliveries(), data=st.data())
@settings(deadline=None)
def test_order_and_repetition_of_events_do_not_matter(
    delivery: tuple[Desk, list[Change], int, int], data: st.DataObject
) -> None:
    # Given the events of some executions in any order, each of them at least once
    desk, events, number, failed = delivery
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=5))
    for event in data.draw(st.permutations([*events, *repeated])):
        # When they are processed
        desk.take(event)

    # Then each execution counts as one deployment, and each failed one as one failure
    assert desk.total("Deployments") == number
    assert desk.total("ChangeFailures") == failed
    assert all(figure.value >= 0 for figure in desk.found)
    lead_times = [figure for figure in desk.found if figure.metric == "LeadTime"]
    assert len(lead_times) <= number
    # And at most one alarm is on
    assert all(figure.value in (0, 1) for figure in desk.found if figure.metric == "AlarmsInAlarm")
