"""`POST /validate`, and the body requirements of both posting routes; the runtime tests those of every API."""

import json
from typing import Any

import pytest

from services.processing.tests.unit.fakes import ALICE, Harness
from slipway.testing.functions import Counted, client_error


@pytest.mark.requirement("processing: validate")
def test_valid_data_is_recorded_as_validated(api: Harness) -> None:
    # When valid data is sent
    answer = api.post("/validate", {"data": {"a": [1, "x", None, True, {"b": 1.5}]}})
    # Then the answer is the record
    assert answer.status == 200
    (record,) = api.kept
    assert (record["owner"], record["status"]) == (ALICE, "validated")
    assert answer.json["id"] == record["id"]
    assert answer.headers["Cache-Control"] == "no-store"
    # And no job is sent
    assert not api.jobs.sent


def test_it_expires_after_the_configured_days(api: Harness) -> None:
    api.post("/validate", {"data": {}})
    (record,) = api.kept
    assert int(record["expires_at"]) - int(api.clock.now.timestamp()) in range(7 * 86_400 - 5, 7 * 86_400 + 1)


@pytest.mark.requirement("errors", "processing: validate")
@pytest.mark.parametrize("path", ["/validate", "/process"])
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["/data"]),
        ({"data": None}, ["/data"]),
        ({"data": []}, ["/data"]),
        ({"data": "{}"}, ["/data"]),
        (
            '{"data": {"a": NaN, "b": ["\\ud800", {"c/d": -Infinity}]}, "more": 1}',
            ["/data/a", "/data/b/0", "/data/b/1/c~1d", "/more"],
        ),
        ("{", ["body"]),
        ('{"data": {"a": 1, "a": 2}}', ["body"]),
        ('{"data": {"\\udfff": 1}}', ["/data/?"]),
        ('{"data": ' + '{"a":' * 21 + "1" + "}" * 22, ["/data" + "/a" * 20]),
    ],
    ids=str,
)
def test_every_fault_is_named_and_nothing_written(api: Harness, path: str, body: Any, fields: list[str]) -> None:
    answer = api.post(path, body)
    assert (answer.status, answer.fields) == (400, fields)
    assert not api.kept
    assert not api.jobs.sent


def test_data_that_grows_when_written_is_too_large(api: Harness) -> None:
    # Given numbers with few characters, but many digits when written out
    answer = api.post("/process", f'{{"data": {{"a": [{",".join(["1e39"] * 9_000)}]}}}}')
    assert (answer.status, answer.fields) == (413, ["/data"])
    assert not api.kept


@pytest.mark.requirement("processing: metrics of results")
@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        ("/validate", {"data": {}}, {"ValidateRequests", "ValidateSuccesses"}),
        ("/validate", {"data": 1}, {"ValidateRequests", "ValidateFailures"}),
        ("/process", {"data": {}}, {"ProcessRequests"}),
        ("/process", "no JSON", {"ProcessRequests", "ProcessFailures"}),
        ("/uploads", {"content_type": "text/plain"}, set()),
    ],
)
def test_each_outcome_is_counted(
    api: Harness, capsys: pytest.CaptureFixture[str], path: str, body: Any, names: set[str]
) -> None:
    api.post(path, body)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    found = {
        metric["Name"]
        for line in lines
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
    assert found == names


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("path", ["/validate", "/process"])
def test_an_unavailable_table_is_a_fault(api: Harness, counted: Counted, path: str) -> None:
    api.aws.fail(client_error("ThrottlingException", "PutItem"))
    answer = api.post(path, {"data": {}})
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "nobody" not in answer.text
    assert len(counted("Faults")) == 1
