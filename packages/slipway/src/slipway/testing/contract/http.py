"""Contract of every HTTP API, on the emulator, through HTTPS and with IAM enforced.

The suite reads each service's own `openapi.json`: its routes, who may call them, the schemas of bodies and parameters.
The app subclasses `HttpContract` in its own tests; a service without an API has no case here.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import boto3
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.blocks.edge import ORIGIN_HEADER
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.emulator.routes import KEPT_PATHS, Route, routes, target
from slipway.files import read_json
from slipway.project import ROOT
from slipway.testing.contract.callers import Callers, Header, key_holders, signers, token_holders
from slipway.testing.emulated import until
from slipway.testing.problems import PROBLEM, read_problem

NOBODY = "00000000-0000-4000-8000-000000000000"
ORIGIN = {"Origin": "https://shop.example"}
JSON = {"Content-Type": "application/json"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

TOO_LARGE = 7 * 1024 * 1024
"""More than an invocation of Lambda carries: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""

# Maximum time of a search for a wrong answer; a busy machine tries fewer requests.
_SEARCH_SECONDS = 20


@dataclass(frozen=True)
class Operation:
    """One operation of a service's API.

    Attributes:
        service: Its name.
        route: The operation, with its authorisation.
        document: The whole document.
    """

    service: str
    route: Route
    document: Mapping[str, Any]

    def __str__(self) -> str:
        """Return what a test's id says."""
        return f"{self.service} {self.route.method} {self.route.path}"

    @property
    def restricted(self) -> bool:
        """True if it requires a signature, a key or a token."""
        return self.route.signed or self.route.keyed or self.route.bearer

    @property
    def path(self) -> str:
        """The path with an unknown id."""
        return "/".join(NOBODY if part.startswith("{") else part for part in self.route.path.split("/"))

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the body."""
        content = self._described["requestBody"]["content"]["application/json"]
        return self._resolve(content["schema"])

    @property
    def operation_id(self) -> str:
        """Its name in the document."""
        return str(self._described["operationId"])

    @property
    def body_name(self) -> str:
        """Name of the schema of the body."""
        content = self._described["requestBody"]["content"]["application/json"]
        return str(content["schema"]["$ref"]).rpartition("/")[2]

    @property
    def statuses(self) -> set[int]:
        """Return its documented statuses."""
        return {int(status) for status in self._described["responses"]}

    def parameters(self, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each parameter of the query, the path or the headers with its schema."""
        for parameter in self._described.get("parameters", []):
            if parameter["in"] == place:
                yield parameter["name"], self._resolve(parameter["schema"])

    @property
    def _described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["paths"][self.route.path][self.route.method.lower()]
        return found

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema without its reference, and without the null that it may be as well."""
        if reference := schema.get("$ref"):
            return dict(self.document["components"]["schemas"][reference.rpartition("/")[2]])
        if alternatives := [each for each in schema.get("anyOf", []) if each.get("type") != "null"]:
            return self._resolve(alternatives[0])
        return schema


def _read_operations() -> list[Operation]:
    found = []
    for file in sorted((ROOT / "services").glob("*/openapi.json")):
        document = read_json(file)
        assert isinstance(document, dict), file
        found += [Operation(file.parent.name, route, document) for route in routes(file.parent.name)]
    return found


OPERATIONS = _read_operations()


def each(allowed: Callable[[Operation], object] = lambda _: True) -> pytest.MarkDecorator:
    """Parametrise a test over the existing operations, or over some of them."""
    return pytest.mark.parametrize("operation", [found for found in OPERATIONS if allowed(found)], ids=str)


with_a_body = each(lambda operation: operation.route.body is not None)


def _with(operation: Operation, **members: Any) -> bytes:
    return json.dumps({**json.loads(operation.route.body or "{}"), **members}).encode()


def _bodies(operation: Operation) -> Iterator[tuple[str, bytes, str]]:
    """Yield bodies that no JSON API accepts, with the field at fault; empty if the service decides."""
    good = (operation.route.body or "{}").encode()
    name = next(iter(operation.schema["properties"]))
    twice = b'{"%s": 1, "%s": 2}' % (name.encode(), name.encode())
    yield from (
        ("empty", b"", "body"),
        ("half", b"{", "body"),
        ("no JSON", b"kettle", "body"),
        ("two documents", good + b" {}", "body"),
        ("a comma too much", good[:-1] + b",}", "body"),
        ("a control character", b'{"%s": "a\tb"}' % name.encode(), "body"),
        ("a list", b"[]", "body"),
        ("a list of bodies", b"[" + good + b"]", "body"),
        ("a string", b'"kettle"', "body"),
        ("null", b"null", "body"),
        ("a key twice", twice, "body"),
        ("no UTF-8", b'{"%s": "\xff"}' % name.encode(), "body"),
        ("another encoding", '{"ä": "é"}'.encode("utf-16"), ""),
        ("deeper than a parser goes", b'{"%s": ' % name.encode() + b"[" * 9_000 + b"]" * 9_000 + b"}", ""),
        ("an unknown field", _with(operation, colour="red"), "colour"),
        ("a field that no name is", _with(operation, **{"": 1}), ""),
    )
    for wanted in operation.schema.get("required", []):
        yield f"no {wanted}", json.dumps({n: v for n, v in json.loads(good).items() if n != wanted}).encode(), wanted
    for member, schema in operation.schema["properties"].items():
        for kind, value in (("null", None), ("a list", []), ("a number", 1), ("text", "x"), ("an object", {"x": 1})):
            if not _is_of(schema, kind):
                yield f"{kind} for {member}", _with(operation, **{member: value}), member
        if schema.get("type") == "string":
            yield f"half a character in {member}", _with(operation, **{member: "\ud800"}), member
        if "maxLength" in schema and schema.get("type") == "string":
            yield f"a long {member}", _with(operation, **{member: "k" * (schema["maxLength"] + 1)}), member
        if schema.get("type") == "object":
            for number in ("NaN", "Infinity", "-Infinity", "1e99999999999999999999"):
                text = _with(operation, **{member: {"a": "NUMBER"}}).replace(b'"NUMBER"', number.encode())
                yield f"{number} in {member}", text, member


def _is_of(schema: Mapping[str, Any], kind: str) -> bool:
    kinds = {"a list": "array", "a number": "integer", "text": "string", "an object": "object", "null": "null"}
    types = schema.get("type", [])
    return kinds[kind] in ([types] if isinstance(types, str) else types) or (kind == "a number" and types == "number")


def _wrong_values(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield values of a parameter that its schema excludes."""
    if schema.get("type") == "integer":
        yield from ("ten", "1.5", "1_0", "+5", "", "9" * 23)
        low, high = schema.get("minimum", schema.get("ge")), schema.get("maximum", schema.get("le"))
        yield from (str(value) for value in (low and low - 1, high and high + 1, low and -1) if value is not None)
    if "enum" in schema:
        yield from ("no-such-value", "")
    if schema.get("minLength"):
        yield ""
    if "maxLength" in schema:
        yield "a" * (schema["maxLength"] + 1)
    if "pattern" in schema:
        yield "On sale"


HOSTILE_IDS = (
    *("x", "-", "null", "..%2F..%2Fetc", "%00", "%F0%9F%AB%96", "a%0Ab", "%25", "' OR 1=1", "a#b", "x" * 65),
    *("%2e%2e", "%ff", "{}", "*", "$.id", "x" * 2000),
)

CONTENT_TYPES = (
    *(None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
    *("application/octet-stream", "application/json-patch+json", "application/xml"),
)


class Sender:
    """Sends requests to every service, by default as its valid caller.

    Args:
        http: A client that trusts the emulator.
        outputs: Outputs of the services.
        callers: Returns the callers of a service.
    """

    def __init__(self, http: httpx.Client, outputs: Outputs, callers: Callable[[str], Callers]) -> None:
        self._http, self._outputs, self._callers = http, outputs, callers

    def __call__(self, operation: Operation, *, method: str = "", path: str = "", **content: Any) -> httpx.Response:
        """Send the document's example of an operation, with some of it changed.

        Args:
            operation: The operation.
            method: Method to use instead of the operation's.
            path: Path to use instead of the operation's, with its query.
            content: httpx's `content`, `json`, `headers`, `params`, `auth`; `past_the_edge` goes to the API itself.
        """
        route = operation.route
        past_the_edge = content.pop("past_the_edge", False)
        open_read = not operation.restricted and (method or route.method) in {"GET", "HEAD", "OPTIONS"}
        path = path or operation.path
        where = target(self._outputs[operation.service], path, edge=open_read and not past_the_edge)
        headers = {**dict(route.headers), **({"Host": where.host} if where.host else {})}
        if route.body is not None and not {"content", "json"} & content.keys():
            content["content"], headers = route.body.encode(), {**headers, **JSON}
        sent = {name: value for name, value in {**headers, **content.pop("headers", {})}.items() if value is not None}
        params = {**dict(route.query), **content.pop("params", {})} if "?" not in path else None
        auth = {"auth": self._callers(operation.service).good} if operation.restricted else {}
        return self._http.request(
            method or route.method, where.url, headers=sent, params=params or None, **{**auth, **content}
        )


def assert_refused(response: httpx.Response, status: int) -> None:
    """Fail unless an answer is a refusal that a client can read: a problem, or an HTTP API's own message."""
    assert response.status_code == status, response.text[:500]
    if response.headers["content-type"] != PROBLEM:
        assert response.json().keys() == {"message"}


def callers_of(local: LocalEnvironment, service: str, outputs: Mapping[str, str]) -> AbstractContextManager[Callers]:
    """Return the callers of a service, by the authorisation in its document."""
    kinds = [found.route for found in OPERATIONS if found.service == service]
    session, emulator = local.emulator.session(), local.emulator
    if any(route.signed for route in kinds):
        return signers(session, outputs, account=emulator.account, region=emulator.region)
    if any(route.keyed for route in kinds):
        return key_holders(session, outputs)
    return token_holders(session, outputs)


class OfOperations:
    """What tests of operations share: their callers, and how they send."""

    @pytest.fixture(scope="class")
    @classmethod
    def callers(cls, local: LocalEnvironment, outputs: Outputs) -> Iterator[Callable[[str], Callers]]:
        """Yield a function that returns the callers of a service, created at its first test."""
        made: dict[str, Callers] = {}
        with ExitStack() as stack:

            def of(service: str) -> Callers:
                if service not in made:
                    made[service] = stack.enter_context(callers_of(local, service, outputs[service]))
                return made[service]

            yield of

    @pytest.fixture(scope="class")
    @classmethod
    def send(cls, http: httpx.Client, outputs: Outputs, callers: Callable[[str], Callers]) -> Sender:
        """Send requests."""
        return Sender(http, outputs, callers)


class HttpContract(OfOperations):
    """The suite. Subclass it in a module of the app's local tests, under a name that pytest collects."""

    @pytest.fixture
    def stored(self, session: Callable[..., boto3.Session], outputs: Outputs) -> Callable[[str], list[Any]]:
        """Return a function that lists all stored data of a service, once earlier tests' writes have finished."""

        def look(service: str) -> list[Any]:
            root, found = session(), outputs[service]
            tables = [value for name, value in sorted(found.items()) if name.endswith("TableName")]
            buckets = [found["BucketName"]] if "BucketName" in found else []
            scans = (root.client("dynamodb").get_paginator("scan").paginate(TableName=name) for name in tables)
            items = [json.dumps(item, sort_keys=True) for pages in scans for page in pages for item in page["Items"]]
            lists = (root.client("s3").get_paginator("list_objects_v2").paginate(Bucket=name) for name in buckets)
            return sorted(items) + sorted(
                f"{entry['Key']} {entry['ETag']}"
                for pages in lists
                for page in pages
                for entry in page.get("Contents", [])
            )

        def settled(service: str) -> list[Any]:
            looks: list[list[Any]] = [look(service)]
            for _ in range(100):
                time.sleep(0.3)
                looks.append(look(service))
                if len(looks) > 3 and all(one == other for one, other in pairwise(looks[-3:])):
                    return looks[-1]
            raise AssertionError(f"{service} still writes")

        return settled

    @each()
    def test_the_good_caller_is_let_in(self, send: Sender, operation: Operation) -> None:
        # Then the refusals in the other tests have no other cause
        response = send(operation)
        assert response.status_code in operation.statuses, response.text
        assert response.is_success or response.status_code == 404, response.text

    @each(lambda operation: operation.restricted)
    def test_nobody_else_is_let_in_and_nothing_is_written(
        self,
        send: Sender,
        operation: Operation,
        callers: Callable[[str], Callers],
        stored: Callable[[str], list[Any]],
    ) -> None:
        # Given the stored data, and every kind of refused caller
        found = callers(operation.service)
        before = stored(operation.service)
        # When each sends a valid request
        answers = {kind: send(operation, auth=auth) for kind, auth in found.refused.items()}
        # Then it is refused with a readable message, and nothing has changed
        assert {kind: answer.status_code for kind, answer in answers.items()} == dict.fromkeys(answers, found.status)
        for answer in answers.values():
            assert_refused(answer, found.status)
        assert stored(operation.service) == before

    @each(lambda operation: not operation.restricted and operation.path not in KEPT_PATHS)
    def test_what_the_edge_serves_is_refused_past_it(
        self, send: Sender, operation: Operation, outputs: Outputs, callers: Callable[[str], Callers]
    ) -> None:
        if "DistributionDomain" not in outputs[operation.service]:
            return
        signed = callers(operation.service).good
        for auth in (None, signed, Header(ORIGIN_HEADER, ""), Header(ORIGIN_HEADER, "x" * 32)):
            read_problem(send(operation, past_the_edge=True, auth=auth), 403)
        # And a viewer's own header does not reach the origin
        assert send(operation, headers={ORIGIN_HEADER: "mine"}).status_code == send(operation).status_code

    @with_a_body
    def test_invalid_body_is_refused_with_the_field(self, send: Sender, operation: Operation) -> None:
        wrong = {}
        for kind, body, field in _bodies(operation):
            response = send(operation, content=body, headers=JSON)
            problem = read_problem(response, response.status_code)
            fields = [error["field"] for error in problem["errors"]]
            if response.status_code not in {400, 413} or not fields or not all(field in found for found in fields):
                wrong[kind] = (response.status_code, fields)
        assert wrong == {}

    @with_a_body
    def test_body_without_json_type_is_refused(self, send: Sender, operation: Operation) -> None:
        for kind in CONTENT_TYPES:
            problem = read_problem(send(operation, headers={"Content-Type": kind}), 415)
            assert [error["field"] for error in problem["errors"]] == ["Content-Type"], kind
        named = {"Content-Type": "Application/JSON; charset=utf-8"}
        assert send(operation, headers=named).status_code == send(operation).status_code

    @with_a_body
    def test_the_log_has_the_field_of_what_is_refused(
        self, send: Sender, operation: Operation, session: Callable[..., boto3.Session], outputs: Outputs
    ) -> None:
        root, began = session(), int(time.time() * 1000)
        name = outputs[operation.service]["ApiFunctionArn"].split(":")[6]
        group = root.client("lambda").get_function_configuration(FunctionName=name)["LoggingConfig"]["LogGroup"]
        # When a request is refused
        read_problem(send(operation, headers={"Content-Type": "text/plain"}), 415)

        def refusals() -> list[list[str]]:
            events = root.client("logs").filter_log_events(logGroupName=group, startTime=began)["events"]
            lines = [json.loads(event["message"]) for event in events if event["message"].startswith("{")]
            return [line["fields"] for line in lines if line.get("message") == "refused"]

        # Then its field is in the log, by its name
        assert ["Content-Type"] in until(refusals)

    @with_a_body
    def test_a_compressed_body_is_refused(self, send: Sender, operation: Operation) -> None:
        headers = {**JSON, "Content-Encoding": "gzip"}
        response = send(operation, content=gzip.compress((operation.route.body or "").encode()), headers=headers)
        assert [error["field"] for error in read_problem(response, 415)["errors"]] == ["Content-Encoding"]
        assert response.headers["accept-encoding"] == "identity"

    @with_a_body
    def test_a_body_larger_than_lambda_takes_is_refused(self, send: Sender, operation: Operation) -> None:
        body = (operation.route.body or "").encode().ljust(TOO_LARGE)
        read_problem(send(operation, content=body, headers=JSON), 413)

    @with_a_body
    def test_no_damaged_body_makes_it_fail(self, send: Sender, operation: Operation) -> None:
        good = (operation.route.body or "").encode()
        end = time.monotonic() + _SEARCH_SECONDS
        places = st.tuples(st.integers(0, len(good)), st.integers(0, 3), st.binary(max_size=4))

        @settings(
            max_examples=80, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(damages=st.lists(places, min_size=1, max_size=3))
        def search(damages: list[tuple[int, int, bytes]]) -> None:
            if time.monotonic() > end:
                return
            body = bytearray(good)
            for place, length, put_in in damages:
                body[place : place + length] = put_in
            response = send(operation, content=bytes(body), headers=JSON)
            assert response.status_code in operation.statuses - {500, 502, 503, 504}, (bytes(body), response.text)
            if response.is_client_error:
                read_problem(response, response.status_code)

        search()

    @each(lambda operation: any(operation.parameters("query")))
    def test_invalid_query_is_refused_with_the_parameter(self, send: Sender, operation: Operation) -> None:
        for name, schema in operation.parameters("query"):
            for value in _wrong_values(schema):
                problem = read_problem(send(operation, params={name: value}), 400)
                assert [error["field"] for error in problem["errors"]] == [name], value

    @each(lambda operation: "{" in operation.route.path)
    def test_no_id_makes_it_fail(self, send: Sender, operation: Operation) -> None:
        before = operation.route.path.partition("{")[0]
        for hostile in HOSTILE_IDS:
            response = send(operation, path=before + hostile)
            assert response.status_code in {400, 403, 404, 412}, (hostile, response.text)

    @each(lambda operation: any(name == "Idempotency-Key" for name, _ in operation.parameters("header")))
    def test_a_key_of_idempotency_that_can_be_none_is_refused(self, send: Sender, operation: Operation) -> None:
        for key in ("", "k" * 256, "a b"):
            problem = read_problem(send(operation, headers={"Idempotency-Key": key}), 400)
            assert [error["field"] for error in problem["errors"]] == ["Idempotency-Key"]

    @each()
    def test_a_method_that_is_not_documented_is_refused(self, send: Sender, operation: Operation) -> None:
        documented = {method.upper() for method in operation.document["paths"][operation.route.path]}
        for method in sorted(set(METHODS) - documented):
            response = send(operation, method=method, past_the_edge=True)
            assert response.status_code in {403, 404, 405}, (method, response.text)

    @each(lambda operation: operation.route.method == "GET" and not operation.restricted)
    def test_head_is_get_without_its_content(self, send: Sender, operation: Operation) -> None:
        read, head = send(operation), send(operation, method="HEAD")
        assert (head.status_code, head.content) == (read.status_code, b"")
        assert head.headers["content-type"] == read.headers["content-type"]

    @each()
    def test_pages_of_every_origin_may_read_each_answer(self, send: Sender, operation: Operation) -> None:
        answers = [send(operation, headers=ORIGIN)]
        # An HTTP API adds them to what its integration answers, not to its own refusals:
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html
        if operation.restricted and not operation.route.bearer:
            answers += [send(operation, headers=ORIGIN, auth=None)]
        if operation.route.body is not None:
            answers += [send(operation, headers={**ORIGIN, **JSON}, content=b"{")]
        for answer in answers:
            assert answer.headers["access-control-allow-origin"] in {"*", ORIGIN["Origin"]}, answer.status_code
            # Browsers refuse `*` with credentials.
            assert "access-control-allow-credentials" not in answer.headers

    @each()
    def test_a_page_may_ask_before_it_calls(self, send: Sender, operation: Operation) -> None:
        wanted = [name.lower() for name, _ in operation.parameters("header")]
        wanted += ["content-type"] if operation.route.body is not None else []
        wanted += ["authorization"] if operation.route.signed or operation.route.bearer else []
        wanted += ["x-api-key"] if operation.route.keyed else []
        asks = {
            "Access-Control-Request-Method": operation.route.method,
            "Access-Control-Request-Headers": ",".join(wanted) or None,
        }
        response = send(operation, method="OPTIONS", headers={**ORIGIN, **asks}, auth=None)
        assert response.is_success
        assert response.headers["access-control-allow-origin"] in {"*", ORIGIN["Origin"]}
        methods = {name.strip() for name in response.headers["access-control-allow-methods"].split(",")}
        assert operation.route.method in methods
        if wanted:
            allowed = {name.strip() for name in response.headers["access-control-allow-headers"].lower().split(",")}
            assert set(wanted) <= allowed
