"""`POST /validate`, and what both posting routes ask of a body."""

import json
from typing import Any

import pytest

from services.processing.tests.unit.fakes import ALICE, Harness, proxy_event
from slipway.testing.functions import Counted, client_error
from slipway_runtime.bodies import DATA_LIMITS
from slipway_runtime.exact_json import MAX_DEPTH
from slipway_runtime.problems import MAX_ERRORS


@pytest.mark.requirement("processing: validate")
def test_valid_data_is_recorded_as_validated(api: Harness) -> None:
    # When valid data comes
    answer = api.post("/validate", {"data": {"a": [1, "x", None, True, {"b": 1.5}]}})
    # Then the answer is the record
    assert answer.status == 200
    (record,) = api.records.records.values()
    assert (record.owner, record.status) == (ALICE, "validated")
    assert answer.json["id"] == record.id
    assert answer.headers["Cache-Control"] == "no-store"
    # And nothing is to be done
    assert not api.jobs.sent


def test_it_expires_after_the_configured_days(api: Harness) -> None:
    api.post("/validate", {"data": {}})
    (record,) = api.records.records.values()
    assert record.expires_at - int(api.clock.now.timestamp()) in range(7 * 86_400 - 5, 7 * 86_400 + 1)


@pytest.mark.parametrize("path", ["/validate", "/process"])
class TestFaults:
    @pytest.mark.requirement("errors", "processing: validate")
    def test_every_fault_is_named_with_its_path(self, api: Harness, path: str) -> None:
        # Given data with faults at several depths, and a member that nobody asked for
        body = (
            '{"data": {"a": NaN, "b": [1, "\\ud800", {"c/d": -Infinity, "e~": 1e99999999999999999999}], "\\udfff": 0},'
            ' "more": 1}'
        )
        # When it is sent
        answer = api.post(path, body)
        # Then each is named by its JSON pointer, and nothing is written
        assert answer.status == 400
        assert answer.fields == ["/data/a", "/data/b/1", "/data/b/2/c~1d", "/data/b/2/e~0", "/data/?", "/more"]
        assert not api.records.records
        assert not api.jobs.sent

    def test_there_is_an_end_to_what_is_named(self, api: Harness, path: str) -> None:
        answer = api.post(path, f'{{"data": {{"a": [{",".join(["NaN"] * (MAX_ERRORS + 5))}]}}}}')
        assert answer.status == 400
        assert len(answer.fields) == MAX_ERRORS + 1
        assert answer.json["errors"][-1]["message"].startswith(f"has {MAX_ERRORS + 5} faults")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "/data"),
            ({"data": None}, "/data"),
            ({"data": []}, "/data"),
            ({"data": "{}"}, "/data"),
            ({"data": 1}, "/data"),
            ('{"data": {"a": 1e126}}', "/data/a"),
            ('{"data": {"a": [1e-131]}}', "/data/a/0"),
            ('{"data": {"a": 123456789012345678901234567890123456789}}', "/data/a"),
            ('{"data": {"a": ""}, "": 1}', "/"),
            ([], "body"),
            ("", "body"),
            ("{", "body"),
            ("null", "body"),
            ('{"data": {"a": 1, "a": 2}}', "body"),
            ('{"data": ' + "[" * 9_000, "body"),
        ],
    )
    def test_a_body_that_is_none_is_refused(self, api: Harness, path: str, body: Any, field: str) -> None:
        answer = api.post(path, body)
        assert (answer.status, answer.fields) == (400, [field])
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["instance"] == path
        assert answer.json["request_id"] == "gateway-request"

    def test_nesting_has_a_limit(self, api: Harness, path: str) -> None:
        def nested(levels: int) -> dict[str, Any]:
            data: dict[str, Any] = {}
            for _ in range(levels - 1):
                data = {"a": data}
            return {"data": data}

        assert api.post(path, nested(MAX_DEPTH)).status < 300
        answer = api.post(path, nested(MAX_DEPTH + 1))
        assert (answer.status, answer.fields) == (400, ["/data" + "/a" * MAX_DEPTH])

    def test_size_has_a_limit(self, api: Harness, path: str) -> None:
        frame = len('{"data": {"a": ""}}')
        assert api.post(path, {"data": {"a": "x" * (DATA_LIMITS.size - frame)}}).status < 300
        answer = api.post(path, {"data": {"a": "x" * (DATA_LIMITS.size - frame + 1)}})
        assert (answer.status, answer.fields) == (413, ["body"])
        # In base64 a body that is too large by far is not even decoded
        assert api.call(proxy_event("POST", path, body="x" * 3 * DATA_LIMITS.size, encoded=True)).status == 413

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/jsonp"]
    )
    def test_only_json_is_read(self, api: Harness, path: str, content_type: str) -> None:
        answer = api.post(path, {"data": {}}, Content_Type=content_type)
        assert (answer.status, answer.fields) == (415, ["Content-Type"])

    def test_a_body_in_base64_is_the_same_body(self, api: Harness, path: str) -> None:
        assert api.call(proxy_event("POST", path, body={"data": {}}, encoded=True)).status < 300

    @pytest.mark.parametrize("body", ["%%%", "/////w=="])
    def test_base64_that_is_none_is_refused(self, api: Harness, path: str, body: str) -> None:
        event = proxy_event("POST", path, body=body) | {"isBase64Encoded": True}
        answer = api.call(event)
        assert (answer.status, answer.fields) == (400, ["body"])

    def test_a_table_that_is_away_is_503_without_a_word(self, api: Harness, path: str) -> None:
        api.records.failure = client_error("InternalServerError", "PutItem")
        answer = api.post(path, {"data": {}})
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert "nobody" not in answer.text

    @pytest.mark.requirement("errors")
    def test_a_fault_of_ours_is_500_without_a_word(self, api: Harness, path: str) -> None:
        api.records.failure = RuntimeError("text that nobody outside may read")
        answer = api.post(path, {"data": {}})
        assert answer.status == 500
        assert "nobody" not in answer.text


def test_data_that_grows_when_written_is_too_large(api: Harness) -> None:
    # Given numbers whose digits are many, in few characters
    answer = api.post("/process", f'{{"data": {{"a": [{",".join(["1e39"] * 9_000)}]}}}}')
    assert (answer.status, answer.fields) == (413, ["/data"])
    assert not api.records.records


@pytest.mark.requirement("processing: figures of outcomes")
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
@pytest.mark.parametrize(
    ("failure", "status"),
    [(RuntimeError(), 500), (client_error("ThrottlingException", "PutItem"), 503)],
    ids=["a bug", "a dependency"],
)
def test_every_answer_of_5xx_is_a_fault_of_the_version(
    api: Harness, counted: Counted, path: str, failure: Exception, status: int
) -> None:
    api.records.failure = failure
    assert api.post(path, {"data": {}}).status == status
    (fault,) = counted("Faults")
    assert fault["function_version"] == "7"


def test_so_is_a_health_check_that_fails(api: Harness, counted: Counted) -> None:
    api.records.failure = OSError()
    assert api.get("/health", owner=None).status == 503
    assert len(counted("Faults")) == 1


def test_an_answer_that_is_the_callers_doing_is_no_fault(api: Harness, counted: Counted) -> None:
    answers = [
        api.post("/validate", {"data": 1}),
        api.post("/validate", {"data": {}}, owner=None),
        api.get("/process/none"),
        api.post("/validate", "x" * 1_000_000),
        api.post("/validate", "x", Content_Type="text/plain"),
    ]
    assert [answer.status for answer in answers] == [400, 401, 404, 413, 415]
    assert counted("Faults") == []
