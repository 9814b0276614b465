"""The bake: an environment's alarm is looked at each minute, for as long as it is configured."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

from pipeline.bake import BakeError, watch

THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "DescribeAlarms")


def _client(*looks: Any) -> Mock:
    """CloudWatch, which answers each look with a state, a refusal or, by None, no alarm."""
    answers = [
        look
        if isinstance(look, Exception)
        else {"MetricAlarms": [{"StateValue": look, "StateReason": "1 of 1"}] if look else []}
        for look in looks
    ]
    return Mock(describe_alarms=Mock(side_effect=answers))


def _watch(minutes: int, *looks: Any) -> list[int]:
    waited: list[int] = []
    watch(_client(*looks), "prod", minutes, waited.append)
    return waited


def test_a_quiet_alarm_is_watched_to_the_end() -> None:
    assert _watch(3, "OK", "INSUFFICIENT_DATA", "OK") == [60, 60, 60]


def test_an_alarm_in_minute_three_ends_it() -> None:
    with pytest.raises(BakeError, match="prod was ALARM after 3 of 5 minutes: 1 of 1"):
        _watch(5, "OK", "OK", "ALARM")


def test_an_alarm_that_is_not_there_is_not_quiet() -> None:
    with pytest.raises(BakeError, match="there is no alarm prod"):
        _watch(5, None)


def test_a_lost_look_is_no_alarm() -> None:
    assert len(_watch(4, THROTTLED, THROTTLED, "OK", "OK")) == 4


@pytest.mark.parametrize("looks", [[THROTTLED] * 3, ["OK", "OK", "OK", THROTTLED]])
def test_nobody_looking_is_not_quiet(looks: list[Any]) -> None:
    with pytest.raises(BakeError, match="could not be looked at"):
        _watch(4, *looks)
