"""Reads: through the edge, single items and pages."""

import base64
import json

import pytest

from services.items.runtime import logic
from services.items.tests.unit.fakes import ORIGIN, Harness, proxy_event
from slipway.testing.functions import client_error


class TestOneItem:
    def test_item_has_its_version_and_may_be_cached_briefly(self, api: Harness) -> None:
        created = api.post({"name": "Lamp"})
        answer = api.get(created.location)
        assert (answer.status, answer.json["name"]) == (200, "Lamp")
        assert answer.headers["ETag"] == '"1"'
        assert answer.headers["Cache-Control"] == "public, max-age=10"
        assert answer.headers["Content-Type"] == "application/json"

    @pytest.mark.requirement("items: the edge")
    @pytest.mark.parametrize("tags", ['"1"', 'W/"1"', '"0", "1"', '"0",W/"1"', "*"])
    def test_matching_tag_gets_no_body(self, api: Harness, tags: str) -> None:
        created = api.post({"name": "Lamp"})
        answer = api.get(created.location, If_None_Match=tags)
        assert (answer.status, answer.text) == (304, "")
        assert answer.headers["ETag"] == '"1"'
        assert answer.headers["Cache-Control"] == "public, max-age=10"

    @pytest.mark.parametrize("tags", ['"2"', '"11"', "1", "garbage", ""])
    def test_other_tag_gets_the_item(self, api: Harness, tags: str) -> None:
        created = api.post({"name": "Lamp"})
        assert api.get(created.location, If_None_Match=tags).status == 200

    @pytest.mark.requirement("items: routes")
    def test_missing_item_is_not_found(self, api: Harness) -> None:
        answer = api.get("/items/none")
        assert (answer.status, answer.fields) == (404, ["id"])
        assert answer.headers["Cache-Control"] == "no-store"


class TestPages:
    @pytest.mark.requirement("items: routes")
    def test_items_are_listed_newest_first(self, api: Harness) -> None:
        for number in range(3):
            api.post({"name": str(number)})
        answer = api.get("/items")
        assert [item["name"] for item in answer.json["items"]] == ["2", "1", "0"]
        assert answer.json["next_cursor"] is None

    @pytest.mark.requirement("items: routes")
    def test_cursors_return_every_item_once(self, api: Harness) -> None:
        for number in range(7):
            api.post({"name": str(number)})
        pages = list(api.pages(limit="3"))
        assert [[item["name"] for item in page] for page in pages] == [["6", "5", "4"], ["3", "2", "1"], ["0"]]

    def test_page_that_ends_with_last_item_has_no_cursor(self, api: Harness) -> None:
        for number in range(4):
            api.post({"name": str(number)})
        assert len(list(api.pages(limit="2"))) == 2

    @pytest.mark.requirement("items: routes")
    def test_a_page_has_twenty_items_by_default(self, api: Harness) -> None:
        for number in range(21):
            api.post({"name": str(number)})
        assert len(api.get("/items").json["items"]) == 20

    @pytest.mark.requirement("items: routes")
    def test_a_status_filters_on_every_page(self, api: Harness) -> None:
        for number in range(6):
            api.post({"name": str(number), "status": "even" if number % 2 == 0 else "odd"})
        pages = list(api.pages(limit="2", status="even"))
        assert [item["name"] for page in pages for item in page] == ["4", "2", "0"]

    def test_a_new_item_does_not_shift_the_next_page(self, api: Harness) -> None:
        for number in range(4):
            api.post({"name": str(number)})
        pages = api.pages(limit="2")
        next(pages)
        api.post({"name": "new"})
        assert [item["name"] for item in next(pages)] == ["1", "0"]

    def test_a_page_is_no_larger_than_lambda_can_answer(self, api: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logic, "PAGE_BYTES", 1200)
        for number in range(5):
            api.post({"name": str(number), "data": {"text": "x" * 300}})
        pages = list(api.pages())
        assert [len(page) for page in pages] == [2, 2, 1]
        assert [item["name"] for page in pages for item in page] == ["4", "3", "2", "1", "0"]

    def test_an_item_larger_than_a_page_has_its_own_page(self, api: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logic, "PAGE_BYTES", 10)
        api.post({"name": "a"})
        api.post({"name": "b"})
        assert [len(page) for page in api.pages()] == [1, 1]

    def test_matching_tag_of_a_page_gets_no_body(self, api: Harness) -> None:
        api.post({"name": "Lamp"})
        etag = api.get("/items").headers["ETag"]
        assert api.get("/items", If_None_Match=etag).status == 304
        api.post({"name": "Chair"})
        assert api.get("/items", If_None_Match=etag).status == 200


class TestCursor:
    @pytest.fixture
    def cursor(self, api: Harness) -> str:
        for number in range(3):
            api.post({"name": str(number), "status": "draft"})
        return str(api.get("/items", {"limit": "1"}).json["next_cursor"])

    def test_a_modified_cursor_is_refused(self, api: Harness, cursor: str) -> None:
        payload, signature = cursor.split(".")
        fields = json.loads(base64.urlsafe_b64decode(payload + "=="))
        forged = base64.urlsafe_b64encode(json.dumps(fields | {"r": "9999"}).encode()).rstrip(b"=").decode()
        for tampered in (f"{forged}.{signature}", payload, f"{payload}.", f".{signature}", f"{cursor}.", f"{cursor}="):
            answer = api.get("/items", {"cursor": tampered})
            assert (answer.status, answer.fields) == (400, ["cursor"])

    def test_a_cursor_of_another_filter_is_refused(self, api: Harness, cursor: str) -> None:
        answer = api.get("/items", {"cursor": cursor, "status": "draft"})
        assert (answer.status, answer.fields) == (400, ["cursor"])

    @pytest.mark.requirement("secrets")
    def test_a_cursor_is_accepted_after_a_rotation(self, api: Harness, cursor: str) -> None:
        # Given a rotation that this container has not noticed
        old = api.cursor_secret.stages["AWSCURRENT"]
        api.cursor_secret.stages = {"AWSCURRENT": "new" * 30, "AWSPREVIOUS": old}
        # When an hour passes, and a new container reads the secret
        api.ticks.now += 3600
        fresh = Harness(aws=api.aws, cursor_secret=api.cursor_secret).bind()
        # Then the old cursor is accepted, and new ones are signed with the new key
        assert fresh.get("/items", {"cursor": cursor}).status == 200
        assert fresh.get("/items", {"limit": "1"}).json["next_cursor"] != cursor

    @pytest.mark.requirement("secrets")
    def test_only_cursors_need_the_secret(self, api: Harness) -> None:
        # Given that Secrets Manager does not return the cursor secret
        api.cursor_secret.away = True
        # Then everything that needs no cursor works
        created = api.post({"name": "Lamp"}, Idempotency_Key="1")
        path = created.location
        assert api.get("/items").status == 200
        assert api.get(path).status == 200
        assert api.put(path, {"name": "Lamp"}, If_Match='"1"').status == 200
        assert api.delete(path, If_Match='"2"').status == 204
        assert api.cursor_secret.calls == []

    def test_without_its_secret_a_page_that_needs_one_is_unavailable(self, api: Harness) -> None:
        api.cursor_secret.away = True
        for number in range(2):
            api.post({"name": str(number)})
        assert api.get("/items", {"limit": "1"}).status == 503
        assert api.get("/items", {"cursor": "AAAA.AAAA"}).status == 503


class TestEdge:
    @pytest.mark.requirement("items: access")
    @pytest.mark.parametrize("path", ["/items", "/items/1"])
    @pytest.mark.parametrize("headers", [{}, {"X-Origin-Verify": "wrong"}, {"X-Origin-Verify": "ö"}])
    def test_a_read_past_the_distribution_is_refused(self, api: Harness, path: str, headers: dict[str, str]) -> None:
        answer = api.call(proxy_event("GET", path, headers=headers))
        assert (answer.status, answer.fields) == (403, ["X-Origin-Verify"])
        assert ORIGIN not in answer.text

    def test_the_header_is_case_insensitive(self, api: Harness) -> None:
        assert api.call(proxy_event("GET", "/items", headers={"x-origin-verify": ORIGIN})).status == 200

    @pytest.mark.requirement("items: access")
    def test_writes_and_health_need_no_header(self, api: Harness) -> None:
        api.origin_secret.away = True
        created = api.post({"name": "Lamp"})
        assert api.call(proxy_event("GET", "/health")).status == 200
        assert api.delete(created.location, If_Match='"1"').status == 204

    def test_without_any_value_reads_are_unavailable(self, api: Harness) -> None:
        api.origin_secret.away = True
        answer = api.get("/items")
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"


def test_reads_without_table_are_unavailable(api: Harness) -> None:
    api.aws.fail(client_error("ProvisionedThroughputExceededException", "Query"))
    answer = api.get("/items")
    assert answer.status == 503
    assert "nobody" not in answer.text
    assert "detail" not in answer.json
