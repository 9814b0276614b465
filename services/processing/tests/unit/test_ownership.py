"""Callers see only their own data, through any route, id or cursor; and only signed-in users are callers."""

import base64
from typing import Any

import pytest

from services.processing.tests.unit.fakes import ALICE, BOB, Harness, proxy_event

ROUTES = [
    ("POST", "/validate", {"data": {}}),
    ("POST", "/process", {"data": {}}),
    ("POST", "/uploads", {"content_type": "text/plain"}),
    ("GET", "/process/x", None),
    ("GET", "/results", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
class TestSignedIn:
    def test_without_a_token_nothing_is_done(self, api: Harness, method: str, path: str, body: Any) -> None:
        answer = api.call(proxy_event(method, path, body=body, owner=None))
        assert (answer.status, answer.fields) == (401, ["Authorization"])
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert not api.kept

    @pytest.mark.requirement("processing: routes")
    @pytest.mark.parametrize("token_use", ["id", "refresh", ""])
    def test_only_an_access_token_counts(self, api: Harness, method: str, path: str, body: Any, token_use: str) -> None:
        assert api.call(proxy_event(method, path, body=body, token_use=token_use)).status == 401
        assert not api.kept

    def test_the_caller_is_checked_before_the_request(self, api: Harness, method: str, path: str, body: Any) -> None:
        answer = api.call(proxy_event(method, path, body="no JSON", headers={"content-type": "x"}, owner=None))
        assert answer.status == 401


@pytest.mark.requirement("processing: process")
def test_another_users_job_is_not_found(api: Harness) -> None:
    path = api.post("/process", {"data": {"a": "b"}}).location
    api.work()
    assert api.get(path).status == 200
    foreign, none = api.get(path, owner=BOB), api.get("/process/none", owner=BOB)
    assert (foreign.status, foreign.fields) == (none.status, none.fields) == (404, ["id"])


def test_a_validated_record_is_not_a_job(api: Harness) -> None:
    record_id = api.post("/validate", {"data": {}}).json["id"]
    assert api.get(f"/process/{record_id}").status == 404


def test_an_expired_job_is_not_found(api: Harness) -> None:
    path = api.post("/process", {"data": {}}).location
    api.work()
    api.clock.now = api.clock.now.replace(year=2027)
    assert api.get(path).status == 404
    assert api.get("/results").json == {"results": [], "next_cursor": None}


class TestResults:
    def test_users_see_their_own_records_newest_first(self, api: Harness) -> None:
        # Given records of two callers
        ids = [api.post("/validate", {"data": {}}).json["id"] for _ in range(7)]
        others = [api.post("/validate", {"data": {}}, owner=BOB).json["id"] for _ in range(3)]
        # When one of them reads all pages
        seen, cursor = [], None
        while True:
            query = {"status": "validated", "limit": "3"} | ({"cursor": cursor} if cursor else {})
            page = api.get("/results", **query).json
            seen += [record["id"] for record in page["results"]]
            if (cursor := page["next_cursor"]) is None:
                break
        # Then these are all of their records, and no others
        assert seen == ids[::-1]
        assert [record["id"] for record in api.get("/results", owner=BOB, status="validated").json["results"]] == (
            others[::-1]
        )

    def test_another_users_cursor_returns_ones_own_records(self, api: Harness) -> None:
        others = [api.post("/validate", {"data": {}}, owner=BOB).json["id"] for _ in range(2)]
        for _ in range(2):
            api.post("/validate", {"data": {}})
        cursor = api.get("/results", status="validated", limit="1").json["next_cursor"]
        seen = api.get("/results", owner=BOB, status="validated", cursor=cursor).json["results"]
        assert [record["id"] for record in seen] == others[::-1]

    def test_processed_records_are_listed_by_default(self, api: Harness) -> None:
        api.post("/validate", {"data": {}})
        api.post("/process", {"data": {}})
        job_id = api.post("/process", {"data": {}}, Idempotency_Key="k").json["id"]
        api.jobs.sent = api.jobs.sent[1:]
        api.work()
        assert [record["id"] for record in api.get("/results").json["results"]] == [job_id]
        assert len(api.get("/results", status="pending").json["results"]) == 1

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"status": "no"}, "status"),
            ({"limit": "0"}, "limit"),
            ({"limit": "101"}, "limit"),
            ({"limit": "x"}, "limit"),
            ({"limit": "1_0"}, "limit"),
            ({"limit": "+1"}, "limit"),
            ({"cursor": "!"}, "cursor"),
            ({"cursor": "YQ"}, "cursor"),
            ({"cursor": "é"}, "cursor"),
            ({"cursor": base64.urlsafe_b64encode(b"\xff\xfe").decode()}, "cursor"),
            ({"cursor": base64.urlsafe_b64encode(f"2026-01-01T00:00:00.000000Z#{ALICE}x".encode()).decode()}, "cursor"),
            ({"cursor": "a" * 129}, "cursor"),
        ],
    )
    def test_an_invalid_query_is_refused(self, api: Harness, query: dict[str, str], field: str) -> None:
        answer = api.get("/results", **query)
        assert (answer.status, answer.fields) == (400, [field])


class TestUploads:
    @pytest.mark.requirement("processing: uploads")
    def test_a_form_allows_one_object_under_the_users_prefix(self, api: Harness) -> None:
        form = api.post("/uploads", {"content_type": "text/plain"}).json
        assert form["key"] == f"uploads/{ALICE}/{form['id']}"
        assert form["fields"] == {"key": form["key"], "Content-Type": "text/plain"}
        assert (form["max_bytes"], form["expires_in_seconds"]) == (1000, 600)

    @pytest.mark.parametrize(
        "body", [{"content_type": "image/png"}, {"content_type": ""}, {"content_type": 1}, {}, {"content_type": None}]
    )
    def test_no_other_type_gets_a_form(self, api: Harness, body: dict[str, Any]) -> None:
        answer = api.post("/uploads", body)
        assert (answer.status, answer.fields) == (400, ["/content_type"])
