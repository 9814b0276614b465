"""What all answers have: errors of one shape, CORS, and logs that keep quiet about requests."""

import io
import json

import pytest

from services.items.tests.unit.fakes import Harness, proxy_event
from slipway.testing.functions import Counted, client_error


class TestHealth:
    @pytest.mark.requirement("items: health")
    def test_it_tells_what_is_running(self, api: Harness) -> None:
        answer = api.call(proxy_event("GET", "/health"))
        assert answer.status == 200
        assert answer.json == {
            "status": "ok",
            "environment": "dev",
            "function_version": "7",
            "remaining_time_ms": 29_000,
        }
        assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.requirement("items: health")
    @pytest.mark.parametrize("failure", [client_error("ResourceNotFoundException", "GetItem"), OSError("secret")])
    def test_it_says_no_more_than_that_the_table_is_away(self, api: Harness, failure: Exception) -> None:
        api.storage.failure = failure
        answer = api.call(proxy_event("GET", "/health"))
        assert answer.status == 503
        assert answer.json == {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "instance": "/live/health",
            "request_id": "gateway-request",
            "errors": [],
        }


class TestProblem:
    @pytest.mark.requirement("errors")
    def test_it_has_rfc_9457_members_and_request_id(self, api: Harness) -> None:
        answer = api.get("/items/none")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "There is no such item.",
            "instance": "/live/items/none",
            "request_id": "gateway-request",
            "errors": [{"field": "id", "message": "names no item"}],
        }

    @pytest.mark.requirement("errors")
    def test_an_unexpected_error_shows_nothing_of_itself(self, api: Harness, logs: io.StringIO) -> None:
        # Given code that fails with something confidential in its text
        api.storage.failure = ValueError("the password is hunter2")
        answer = api.get("/items/1")
        # Then the client sees an id to ask about, and the log where it happened
        assert answer.status == 500
        assert "hunter2" not in answer.text
        assert "ValueError" not in answer.text
        log = logs.getvalue()
        assert "hunter2" not in log
        assert "ValueError" in log
        assert "fakes.py" in log

    def test_strange_text_in_a_field_s_name_is_made_harmless(self, api: Harness) -> None:
        answer = api.post('{"name": "x", "\\ud800' + "y" * 500 + '": 1}')
        assert answer.status == 400
        answer.text.encode()
        assert len(answer.fields[0]) < 120


class TestCors:
    def test_any_origin_is_allowed_where_the_configuration_says_so(self, api: Harness) -> None:
        answer = api.post({"name": "Lamp"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]

    @pytest.mark.requirement("the API", "answers without CORS headers")
    def test_errors_carry_it_too(self, api: Harness) -> None:
        api.storage.failure = ValueError()
        for answer in (api.post("{"), api.post("{}", Content_Type="text/plain"), api.get("/items/1"), api.get("/x")):
            assert answer.headers["Access-Control-Allow-Origin"] == "*"

    @pytest.mark.requirement("the API")
    def test_of_a_list_only_the_request_s_origin_is_named(self) -> None:
        api = Harness(cors="https://a.example, https://b.example").bind()
        answer = api.post({"name": "Lamp"}, Origin="https://b.example")
        assert answer.headers["Access-Control-Allow-Origin"] == "https://b.example"
        assert answer.headers["Vary"] == "Origin"

    @pytest.mark.parametrize("origin", ["https://c.example", None])
    def test_another_origin_is_not_allowed_and_caches_are_told(self, origin: str | None) -> None:
        api = Harness(cors="https://a.example").bind()
        answer = api.post({"name": "Lamp"}, **({"Origin": origin} if origin else {}))
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Vary"] == "Origin"

    def test_none_configured_is_none_allowed(self) -> None:
        answer = Harness(cors="").bind().post({"name": "Lamp"}, Origin="https://a.example")
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


class TestLogs:
    @pytest.mark.requirement("secrets")
    def test_they_hold_ids_and_no_content(self, api: Harness, logs: io.StringIO) -> None:
        created = api.post({"name": "confidential-name"}, Idempotency_Key="confidential-key", Authorization="token")
        api.post({"name": "confidential-name", "status": "CONFIDENTIAL"})
        api.get("/items", X_Origin_Verify="confidential-header")
        lines = [json.loads(line) for line in logs.getvalue().splitlines()]
        text = json.dumps(lines).lower()
        assert "confidential" not in text
        assert "token" not in text
        assert created.json["id"] in text
        assert {line["correlation_id"] for line in lines} == {"gateway-request"}

    def test_metrics_count_what_was_written(self, api: Harness, capsys: pytest.CaptureFixture[str]) -> None:
        path = api.post({"name": "Lamp"}).location
        api.put(path, {"name": "Chair"}, If_Match='"1"')
        api.delete(path, If_Match='"2"')
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        metrics = [line for line in lines if "_aws" in line]
        assert [
            name for line in metrics for name in ("ItemsCreated", "ItemsReplaced", "ItemsDeleted") if name in line
        ] == ["ItemsCreated", "ItemsReplaced", "ItemsDeleted"]
        assert {line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in metrics} == {"Slipway"}


class TestFaults:
    """What a version counts against itself, for the alarms of its deployment."""

    @pytest.mark.requirement("safe deployments")
    @pytest.mark.parametrize(
        ("failure", "status"),
        [(ValueError("no"), 500), (client_error("ThrottlingException", "GetItem"), 503)],
        ids=["a bug", "a dependency"],
    )
    def test_an_answer_of_5xx_is_one(self, api: Harness, counted: Counted, failure: Exception, status: int) -> None:
        api.storage.failure = failure
        assert api.get("/items/1").status == status
        (fault,) = counted("Faults")
        assert (fault["service"], fault["function_version"]) == ("service", "7")

    def test_failed_health_check_or_missing_secret_counts_too(self, api: Harness, counted: Counted) -> None:
        api.storage.failure = OSError()
        assert api.call(proxy_event("GET", "/health")).status == 503
        assert len(counted("Faults")) == 1
        api.origin_secret.away = True
        assert api.get("/items/1").status == 503
        assert len(counted("Faults")) == 1

    def test_a_head_that_fails_is_one_and_not_two(self, api: Harness, counted: Counted) -> None:
        api.storage.failure = ValueError()
        assert api.call(proxy_event("HEAD", "/health")).status == 503
        assert len(counted("Faults")) == 1

    def test_an_answer_that_is_the_callers_doing_is_none(self, api: Harness, counted: Counted) -> None:
        # Given answers of every status below 500 that the API has for a caller's mistake
        path = api.post({"name": "Lamp"}).location
        answers = [
            api.post("{"),
            api.get("/items/1", X_Origin_Verify="guessed"),
            api.get("/items/1"),
            api.put(path, {"name": "Lamp"}, If_Match='"9"'),
            api.put(path, {"name": "Lamp"}),
            api.post("{}", Content_Type="text/plain"),
            api.post('"' + "x" * 600_000 + '"'),
        ]
        assert [answer.status for answer in answers] == [400, 403, 404, 412, 428, 415, 413]
        assert counted("Faults") == []

    def test_the_answer_comes_though_its_fault_cannot_be_counted(
        self, api: Harness, counted: Counted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
        api.storage.failure = ValueError()
        assert api.get("/items/1").status == 500
        assert counted("Faults") == []

    def test_the_metrics_of_the_request_are_written_beside_it(self, api: Harness, counted: Counted) -> None:
        api.storage.failure = ValueError()
        api.get("/items/1")
        (error,) = counted("UnexpectedErrors")
        assert error["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
