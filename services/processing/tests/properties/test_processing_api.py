"""The worker only changes the strings of the data that it accepts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.processing.runtime.logic import upper
from services.processing.runtime.model import Outcome
from services.processing.tests.unit.fakes import ALICE, BOB, Harness
from slipway.testing.sizes import ANY_SPEED, DATA
from slipway_runtime.exact_json import dumps
from slipway_runtime.faults import faults


@pytest.mark.requirement("processing: process")
@ANY_SPEED
@given(data=DATA)
def test_a_job_changes_only_strings(data: dict[str, Any]) -> None:
    # Given valid data
    assert faults(data, "data") == []
    api = Harness().bind()
    # When it is processed
    accepted = api.post("/process", f'{{"data":{dumps(data)}}}')
    assert accepted.status == 202
    assert api.work() == [Outcome.DONE]
    # Then shape, keys and numbers are unchanged, and strings are in upper case
    result = api.get(accepted.location).json["result"]
    assert _skeleton(result) == _skeleton(data)
    assert _strings(result) == [text.upper() for text in _strings(data)]
    # And processing it again changes nothing except what Unicode's own mapping changes
    assert upper(result) == upper(upper(data))


@pytest.mark.requirement("processing: process")
@ANY_SPEED
@given(data=DATA, other=DATA, key=st.text("abc", min_size=1, max_size=3))
def test_no_two_callers_share_a_job(data: dict[str, Any], other: dict[str, Any], key: str) -> None:
    api = Harness().bind()
    first = api.post("/process", f'{{"data":{dumps(data)}}}', Idempotency_Key=key)
    second = api.post("/process", f'{{"data":{dumps(other)}}}', owner=BOB, Idempotency_Key=key)
    api.work()
    assert api.get(first.location, owner=BOB).status == 404
    assert api.get(second.location, owner=ALICE).status == 404
    assert api.get(second.location, owner=BOB).json["result"] == upper(other)


def _skeleton(value: Any) -> Any:
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return [_skeleton(element) for element in value]
    if isinstance(value, dict):
        return {key: _skeleton(element) for key, element in value.items()}
    return value


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for element in value for text in _strings(element)]
    if isinstance(value, dict):
        return [text for key in sorted(value) for text in _strings(value[key])]
    return []
