"""The shell of an API of either kind: what its answers have in common, regardless of routes."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from slipway.testing.functions import Answer, Context, Counted, answer_of, client_error, http_event
from slipway.testing.functions import rest_event as rest
from slipway.testing.sizes import EXACT
from slipway_runtime import api as shell
from slipway_runtime.api import json_response
from slipway_runtime.bodies import DATA_LIMITS, canonical
from slipway_runtime.contract import FREE_DATA, IdempotencyKey, Limit, Request
from slipway_runtime.exact_json import MAX_DEPTH, dumps, loads
from slipway_runtime.faults import faults
from slipway_runtime.http import Cors
from slipway_runtime.problems import MAX_ERRORS, FieldError, Problem
from slipway_runtime.telemetry import logger, metrics


class NoSuchThingError(Exception):
    """The error of the sample's store."""


class Thing(Request):
    """A body with one field of each type."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    data: Annotated[dict[str, Any], FREE_DATA] = {}  # noqa: RUF012 - a field of a model


@dataclass
class Store:
    """A store that keeps things as they were sent, or raises `failure`."""

    things: dict[str, str] = field(default_factory=dict)
    failure: Exception | None = None

    def check(self) -> None:
        """Raise the configured failure, if any."""
        if self.failure:
            raise self.failure


@dataclass(frozen=True, kw_only=True)
class Wiring(shell.Wiring):
    """The routes' store."""

    store: Store


KNOWN = {NoSuchThingError: Problem(404, "There is no such thing.", errors=[FieldError("id", "names no thing")])}


def _with_routes(api: Any) -> Any:
    @api.app.post("/things", responses=api.responses({201: {"description": "made"}}, 400))
    def make(thing: Thing, key: IdempotencyKey = None) -> Response[str]:
        store: Store = api.wiring.store
        store.check()
        text = canonical(thing.data, DATA_LIMITS)
        store.things[thing.name] = text
        metrics.add_metric("ThingsMade", "Count", 1)
        logger.info("made", extra={"id": thing.name[:1]})
        return json_response(dumps({"name": thing.name, "data": thing.data}), 201, Location=api.location("things/1"))

    @api.app.get("/things", responses=api.responses({200: {"description": "listed"}}, 400))
    def look(limit: Limit = 20) -> Response[str]:
        api.wiring.store.check()
        return json_response(dumps({"limit": limit}), 200)

    @api.app.get("/things/<thing_id>", responses=api.responses({200: {"description": "read"}}, 404))
    def read(thing_id: Annotated[str, Path(max_length=64)]) -> Response[str]:
        api.wiring.store.check()
        raise NoSuchThingError

    api.add_health()
    return api


REST = _with_routes(shell.RestApi[Wiring](known=KNOWN, fields=("id", "name", "data"), says={404: "None."}))
HTTP = _with_routes(shell.HttpApi[Wiring](known=KNOWN, fields=("id", "name", "data"), says={404: "None."}))
EVENTS: dict[str, tuple[Any, Callable[..., dict[str, Any]]]] = {"rest": (REST, rest), "http": (HTTP, http_event)}


class Shop:
    """The sample API of one kind, with its store."""

    def __init__(self, kind: str, cors: str | None = None) -> None:
        self.kind, self.store, self.context = kind, Store(), Context()
        self.api, self.event = EVENTS[kind]
        wired = Cors(cors) if cors is not None else None
        self.api.bind(Wiring(store=self.store, probe=self.store, cors=wired, environment="dev"))

    def ask(self, method: str, path: str, body: Any = None, **event: Any) -> Answer:
        return self.send(self.event(method, path, body=body, **event))

    def send(self, event: dict[str, Any]) -> Answer:
        return answer_of(self.api.handler(), event, self.context)


@pytest.fixture(params=EVENTS)
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


class TestHealth:
    def test_health_reports_the_running_version(self, shop: Shop) -> None:
        answer = shop.ask("GET", "/health")
        assert answer.status == 200
        assert answer.json == {
            "status": "ok",
            "environment": "dev",
            "function_version": "7",
            "remaining_time_ms": 29_000,
        }
        assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("failure", [client_error("ResourceNotFoundException", "GetItem"), OSError("secret")])
    def test_health_reveals_only_that_the_table_is_unavailable(
        self, shop: Shop, failure: Exception, counted: Counted
    ) -> None:
        shop.store.failure = failure
        answer = shop.ask("GET", "/health")
        assert answer.status == 503
        assert answer.json == {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "instance": "/live/health" if shop.kind == "rest" else "/health",
            "request_id": "gateway-request",
            "errors": [],
        }
        assert len(counted("Faults")) == 1


class TestProblem:
    @pytest.mark.requirement("errors")
    def test_problem_has_rfc_9457_members_and_request_id(self, shop: Shop) -> None:
        answer = shop.ask("GET", "/things/none")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "There is no such thing.",
            "instance": "/live/things/none" if shop.kind == "rest" else "/things/none",
            "request_id": "gateway-request",
            "errors": [{"field": "id", "message": "names no thing"}],
        }

    @pytest.mark.requirement("errors")
    def test_an_unexpected_error_reveals_nothing(self, shop: Shop, logs: io.StringIO) -> None:
        # Given code that fails with something confidential in its message
        shop.store.failure = ValueError("the password is hunter2")
        answer = shop.ask("GET", "/things/1")
        # Then the client gets an id to refer to, and the log has the place of the error
        assert answer.status == 500
        assert "hunter2" not in answer.text
        assert "ValueError" not in answer.text
        log = logs.getvalue()
        assert "hunter2" not in log
        assert "ValueError" in log
        assert "test_shell.py" in log

    def test_an_unavailable_dependency_is_worth_a_retry(self, shop: Shop) -> None:
        shop.store.failure = client_error("ThrottlingException", "GetItem")
        answer = shop.ask("GET", "/things/1")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert "nobody" not in answer.text
        assert "detail" not in answer.json

    def test_odd_text_in_a_field_name_is_sanitised(self, shop: Shop) -> None:
        answer = shop.ask("POST", "/things", '{"name": "x", "\\ud800' + "y" * 500 + '": 1}')
        assert answer.status == 400
        answer.text.encode()
        assert len(answer.fields[0]) < 120

    def test_an_unknown_path_gets_a_problem(self, shop: Shop) -> None:
        for method, path in (("GET", "/"), ("GET", "/other"), ("PATCH", "/things/1"), ("GET", "/things/1/2")):
            answer = shop.ask(method, path)
            assert (answer.status, answer.fields) == (404, ["path"])


class TestCors:
    def test_any_origin_is_allowed_if_configured(self) -> None:
        shop = Shop("rest", cors="*")
        shop.store.failure = ValueError()
        answers = [
            *(shop.ask("POST", "/things", body) for body in ({"name": "x"}, "{")),
            *(shop.ask("GET", path) for path in ("/things/1", "/x")),
            shop.ask("POST", "/things", "{}", headers={"Content-Type": "text/plain"}),
        ]
        for answer in answers:
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "Access-Control-Allow-Credentials" not in answer.headers
            assert "ETag" in answer.headers["Access-Control-Expose-Headers"]

    @pytest.mark.requirement("the API")
    @pytest.mark.parametrize(
        ("origin", "named"),
        [("https://b.example", "https://b.example"), ("https://c.example", None), (None, None)],
    )
    def test_only_the_requests_origin_of_a_list_is_named(self, origin: str | None, named: str | None) -> None:
        shop = Shop("rest", cors="https://a.example, https://b.example")
        answer = shop.ask("POST", "/things", {"name": "x"}, headers={"Origin": origin} if origin else {})
        assert answer.headers.get("Access-Control-Allow-Origin") == named
        assert answer.headers["Vary"] == "Origin"

    @pytest.mark.parametrize("kind", EVENTS)
    def test_no_origin_is_allowed_by_default(self, kind: str) -> None:
        answer = Shop(kind, cors="" if kind == "rest" else None).ask("GET", "/health")
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


class TestLogs:
    @pytest.mark.requirement("secrets")
    def test_logs_contain_ids_but_no_content(self, shop: Shop, logs: io.StringIO) -> None:
        headers = {"Idempotency-Key": "confidential-key", "Authorization": "token"}
        shop.ask("POST", "/things", {"name": "x", "data": {"confidential": "confidential"}}, headers=headers)
        shop.ask("POST", "/things", {"name": "x", "confidential": 1})
        shop.ask("GET", "/things/confidential")
        lines = [json.loads(line) for line in logs.getvalue().splitlines()]
        text = json.dumps(lines).lower()
        assert "confidential" not in text
        assert "token" not in text
        assert {line["correlation_id"] for line in lines} == {"gateway-request"}

    def test_metrics_of_a_request_are_written_beside_its_faults(self, shop: Shop, counted: Counted) -> None:
        assert shop.ask("POST", "/things", {"name": "x"}).status == 201
        (made,) = counted("ThingsMade")
        assert made["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Slipway"
        shop.store.failure = ValueError()
        shop.ask("GET", "/things/1")
        (error,) = counted("UnexpectedErrors")
        assert error["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]


class TestFaults:
    """Faults that a version counts for the alarms of its deployment."""

    @pytest.mark.requirement("safe deployments")
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize(
        ("failure", "status"),
        [(ValueError("no"), 500), (client_error("ThrottlingException", "GetItem"), 503)],
        ids=["a bug", "a dependency"],
    )
    def test_a_5xx_answer_is_a_fault(
        self, shop: Shop, counted: Counted, failure: Exception, status: int, method: str
    ) -> None:
        shop.store.failure = failure
        assert shop.ask(method, "/things/1").status == status
        (fault,) = counted("Faults")
        assert (fault["service"], fault["function_version"]) == ("service", "7")

    def test_a_client_error_is_not_a_fault(self, shop: Shop, counted: Counted) -> None:
        answers = [
            shop.ask("POST", "/things", "{"),
            shop.ask("GET", "/things/1"),
            shop.ask("POST", "/things", "{}", headers={"Content-Type": "text/plain"}),
            shop.ask("POST", "/things", '"' + "x" * 600_000 + '"'),
        ]
        assert [answer.status for answer in answers] == [400, 404, 415, 413]
        assert counted("Faults") == []

    def test_the_answer_is_sent_even_if_counting_fails(
        self, shop: Shop, counted: Counted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
        shop.store.failure = ValueError()
        assert shop.ask("GET", "/things/1").status == 500
        assert counted("Faults") == []


def deep(levels: int) -> str:
    """Return a thing whose data has this nesting depth."""
    return '{"name": "x", "data": ' + '{"a": ' * (levels - 1) + "{}" + "}" * (levels - 1) + "}"


class TestBodies:
    @pytest.mark.requirement("errors")
    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ("", "body"),
            ("{", "body"),
            ("null", "body"),
            ("7", "body"),
            ('"text"', "body"),
            ("[]", "body"),
            ('[{"name": "x"}]', "body"),
            ('{"name": "x"} trailing', "body"),
            ('{"name": "x", "name": "y"}', "body"),
            ('{"name": "x", "data": {"a": 1, "a": 2}}', "body"),
            ('{"name": "x", "data": ' + "[" * 9_000, "body"),
            ("{}", "/name"),
            ('{"name": null}', "/name"),
            ('{"name": 7}', "/name"),
            ('{"name": ""}', "/name"),
            ('{"name": "' + "x" * 257 + '"}', "/name"),
            ('{"name": "\\ud800"}', "/name"),
            ('{"name": "x", "data": []}', "/data"),
            ('{"name": "x", "data": "text"}', "/data"),
            ('{"name": "x", "id": "mine"}', "/id"),
            ('{"name": "x", "": 1}', "/"),
            ('{"name": "x", "data": {"a": NaN}}', "/data/a"),
            ('{"name": "x", "data": {"a": [0, -Infinity]}}', "/data/a/1"),
            ('{"name": "x", "data": {"a": 1e126}}', "/data/a"),
            ('{"name": "x", "data": {"a": 1e-131}}', "/data/a"),
            ('{"name": "x", "data": {"a": 1e99999999999999999999}}', "/data/a"),
            ('{"name": "x", "data": {"a": 123456789012345678901234567890123456789}}', "/data/a"),
            ('{"name": "x", "data": {"a": 0.' + "3" * 39 + "}}", "/data/a"),
            ('{"name": "x", "data": {"a": ' + "9" * 10_000 + "}}", "/data/a"),
            ('{"name": "x", "data": {"a": {"b": "\\udc00"}}}', "/data/a/b"),
            ('{"name": "x", "data": {"\\ud800": 1}}', "/data/?"),
            (deep(MAX_DEPTH + 1), "/data" + "/a" * MAX_DEPTH),
        ],
        ids=lambda value: value[:40],
    )
    def test_a_bad_body_is_refused_and_its_field_named(self, shop: Shop, body: str, field: str) -> None:
        answer = shop.ask("POST", "/things", body)
        assert (answer.status, answer.fields) == (400, [field])
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert not shop.store.things

    @pytest.mark.parametrize(
        "body",
        [
            deep(MAX_DEPTH),
            '{"name": "x", "data": {"a": 9.9999999999999999999999999999999999999e125, "b": -1e-130}}',
            '{"name": "x", "data": {"a": 1' + "0" * 125 + ', "b": 0.' + "0" * 60 + "1, " + '"c": 0e999, "d": -0.0}}',
            '{"name": "' + "💡" * 256 + '"}',
            '{"name": "' + chr(0x2028) + 'x"}',
            '{"name": "x", "data": {"": {"": 1}}}',
        ],
        ids=lambda value: value[:40],
    )
    def test_values_at_the_limit_are_kept(self, shop: Shop, body: str) -> None:
        answer = shop.ask("POST", "/things", body)
        assert answer.status == 201
        assert dumps(answer.json["data"]) == shop.store.things[answer.json["name"]]

    @pytest.mark.requirement("errors")
    def test_every_invalid_value_is_named_with_its_path(self, shop: Shop) -> None:
        # Given invalid values at several depths, and unknown members
        body = (
            '{"data": {"a": NaN, "b": [1, "\\ud800", {"c/d": -Infinity, "e~": 1e99999999999999999999}], "\\udfff": 0},'
            ' "more": 1}'
        )
        answer = shop.ask("POST", "/things", body)
        # Then each is named by its JSON pointer
        assert answer.status == 400
        of_data = ["/data/a", "/data/b/1", "/data/b/2/c~1d", "/data/b/2/e~0", "/data/?"]
        assert sorted(answer.fields) == sorted(["/name", *of_data, "/more"])

    @pytest.mark.parametrize(
        "body",
        [
            "{" + ",".join(f'"{number}": 1' for number in range(9_000)) + "}",
            '{"name": "x", "data": {"a": [' + ",".join(["NaN"] * 9_001) + "]}}",
        ],
        ids=["members", "values"],
    )
    def test_the_number_of_named_faults_is_limited(self, shop: Shop, body: str) -> None:
        answer = shop.ask("POST", "/things", body)
        assert (answer.status, len(answer.fields)) == (400, MAX_ERRORS + 1)
        assert answer.json["errors"][-1]["message"].startswith("has 9001 faults")

    def test_largest_is_accepted_and_one_byte_more_refused(self, shop: Shop) -> None:
        frame = '{"name": "x", "data": {"a": ""}}'
        fits = frame.replace('""', '"' + "x" * (DATA_LIMITS.size - len(frame)) + '"')
        assert shop.ask("POST", "/things", fits).status == 201
        for body, encoded in ((fits + " ", False), ("x" * 3 * DATA_LIMITS.size, True)):
            answer = shop.ask("POST", "/things", body, encoded=encoded)
            assert (answer.status, answer.fields) == (413, ["body"])

    def test_data_that_grows_when_written_out_is_too_large(self, shop: Shop) -> None:
        # Given numbers with few characters, but many digits when written out
        answer = shop.ask("POST", "/things", '{"name": "x", "data": {"a": [' + ",".join(["1e39"] * 9_000) + "]}}")
        assert (answer.status, answer.fields) == (413, ["/data"])
        assert not shop.store.things

    def test_a_base64_body_is_the_same(self, shop: Shop) -> None:
        assert shop.ask("POST", "/things", {"name": "x"}, encoded=True).status == 201
        for body in ("%%%", "/////w=="):
            answer = shop.send({**shop.event("POST", "/things", body=body), "isBase64Encoded": True})
            assert (answer.status, answer.fields) == (400, ["body"])


@pytest.mark.parametrize("limit", ["0", "101", "many", "1.5", "", "9" * 5000, "1_0", "+5", " 5", "5.0", "\u0665"])
def test_an_invalid_limit_is_refused(shop: Shop, limit: str) -> None:
    answer = shop.ask("GET", "/things", query={"limit": limit})
    assert (answer.status, answer.fields) == (400, ["limit"])


def test_a_parameter_given_twice_is_refused() -> None:
    shop = Shop("rest")
    event = {**rest("GET", "/things", query={"limit": "5"}), "multiValueQueryStringParameters": {"limit": ["5", "6"]}}
    answer = shop.send(event)
    assert (answer.status, answer.fields) == (400, ["limit"])


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "Ümlaut", "new\nline"])
def test_an_invalid_idempotency_key_is_refused(shop: Shop, key: str) -> None:
    answer = shop.ask("POST", "/things", {"name": "x"}, headers={"Idempotency-Key": key})
    assert (answer.status, answer.fields) == (400, ["Idempotency-Key"])


def test_an_id_of_any_length_is_not_an_error(shop: Shop) -> None:
    assert shop.ask("GET", "/things/" + "x" * 64).status == 404
    answer = shop.ask("GET", "/things/" + "x" * 3000)
    assert (answer.status, answer.fields) == (400, ["thing_id"])


def test_a_head_is_answered_like_a_get(shop: Shop) -> None:
    read, head = shop.ask("GET", "/things"), shop.ask("HEAD", "/things")
    # The length of a missing body cannot be counted for Content-Length
    assert (head.status, head.text, head.headers) == (read.status, read.text, read.headers)


# API Gateway passes header values and query strings as text without control characters
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40)
# Any text, including lone surrogates, which JSON's escapes can contain
TEXT = st.text(st.characters(), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)
ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.requirement("errors")
@ANY_SPEED
@given(
    kind=st.sampled_from(list(EVENTS)),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]),
    path=st.sampled_from(["/things", "/health", "/", "//", "/things/"]) | TEXT.map("/things/{}".format),
    parts=st.fixed_dictionaries(
        {
            "headers": st.dictionaries(
                st.sampled_from(["Content-Type", "Idempotency-Key", "Origin", "Accept-Encoding", "Content-Encoding"]),
                LINES | st.sampled_from(["application/json", "gzip", "multipart/form-data; boundary="]),
            ),
            "query": st.dictionaries(st.just("limit") | LINES, LINES | st.sampled_from(["1", "-1", "1,2"]), max_size=4),
        }
    ),
    body=st.none()
    | TEXT
    | JSON.map(json.dumps)
    | st.fixed_dictionaries({"name": JSON}, optional={"data": JSON, "other": JSON}).map(json.dumps),
    encoded=st.booleans(),
)
def test_no_request_causes_a_server_error(
    *, kind: str, method: str, path: str, parts: dict[str, dict[str, str]], body: str | None, encoded: bool
) -> None:
    # Given any request that API Gateway would forward
    shop = Shop(kind)
    event = shop.event(method, path, **parts)
    event |= {"isBase64Encoded": encoded} | ({} if body is None else {"body": body})
    # When it is answered
    answer = shop.send(event)
    # Then any error is a client error, with a valid document
    assert answer.status < 500
    answer.text.encode()
    if answer.status >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["status"] == answer.status
        assert answer.fields


@given(value=EXACT)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert dumps(loads(dumps(value))) == dumps(value)
    # Other parsers can read it too
    json.loads(dumps(value))


@ANY_SPEED
@given(data=JSON)
def test_a_fault_is_named_by_its_path(data: Any) -> None:
    # Given any JSON value as Python writes it, including NaN and lone surrogates
    parsed = loads(json.dumps({"data": {"member": data}}))["data"]
    # When its faults are named, then each path is valid text that starts at the data
    for path, _ in faults(parsed, "data"):
        path.encode()
        assert path.startswith("/data")
    # And data without faults can be written, and read by other parsers
    if not faults(parsed, "data"):
        json.loads(dumps(parsed).encode())
