"""`POST /items`."""

from uuid import UUID

import pytest

from services.items.runtime.idempotency import RECORD_SECONDS
from services.items.tests.unit.fakes import Harness, proxy_event
from slipway.testing.functions import Context, client_error

ITEM = {"name": "Lamp", "description": "Warm", "data": {"watts": 7}, "status": "draft"}


@pytest.mark.requirement("items: routes")
def test_an_item_is_created_with_its_location_and_version(api: Harness) -> None:
    # When an item is posted
    answer = api.post(ITEM)
    # Then it is stored, and the answer has its location and version
    assert answer.status == 201
    created = answer.json
    assert {name: created[name] for name in ITEM} == ITEM
    assert created["version"] == 1
    assert created["created_at"] == created["updated_at"] == "2026-01-01T00:00:01.000000Z"
    assert UUID(created["id"]).version == 4
    assert answer.location == f"/items/{created['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert api.get(answer.location).text == answer.text


@pytest.mark.requirement("items: the item")
def test_omitted_fields_have_defaults(api: Harness) -> None:
    created = api.post({"name": "Lamp"}).json
    assert (created["description"], created["data"], created["status"]) == ("", {}, "active")


def test_without_a_key_the_same_item_twice_is_two_items(api: Harness) -> None:
    assert api.post(ITEM).json["id"] != api.post(ITEM).json["id"]
    assert len(api.items) == 2


class TestIdempotencyKey:
    @pytest.mark.requirement("items: no duplicate, no lost update")
    def test_the_same_request_again_gets_the_same_answer(self, api: Harness) -> None:
        # Given an item created with a key
        first = api.post(ITEM, Idempotency_Key="order-1")
        # When the request is repeated, with its members in another order
        again = api.post(dict(reversed(ITEM.items())), Idempotency_Key="order-1")
        # Then there is one item, and the answers are equal
        assert (again.status, again.text) == (201, first.text)
        assert again.location == first.location
        assert len(api.items) == 1

    def test_the_first_answer_is_repeated_after_a_change(self, api: Harness) -> None:
        first = api.post(ITEM, Idempotency_Key="order-1")
        api.put(first.location, {"name": "Other"}, If_Match='"1"')
        assert api.post(ITEM, Idempotency_Key="order-1").text == first.text

    @pytest.mark.requirement("items: no duplicate, no lost update")
    def test_another_request_under_the_key_is_refused(self, api: Harness) -> None:
        api.post(ITEM, Idempotency_Key="order-1")
        answer = api.post(ITEM | {"name": "Other"}, Idempotency_Key="order-1")
        assert (answer.status, answer.fields) == (422, ["Idempotency-Key"])
        assert len(api.items) == 1

    def test_a_key_belongs_to_its_caller(self, api: Harness) -> None:
        # Given two callers with the same key
        for caller in ("arn:aws:iam::111111111111:user/ann", "arn:aws:iam::111111111111:user/bob"):
            event = proxy_event("POST", "/items", body=ITEM, headers={"Idempotency-Key": "1"}, caller=caller)
            assert api.call(event).status == 201
        # Then each has an item
        assert len(api.items) == 2

    def test_two_sessions_of_a_role_are_one_caller(self, api: Harness) -> None:
        # When another container of the same service repeats the request
        for session in ("task-1", "task-2"):
            caller = f"arn:aws:sts::111111111111:assumed-role/Writer/{session}"
            event = proxy_event("POST", "/items", body=ITEM, headers={"Idempotency-Key": "1"}, caller=caller)
            assert api.call(event).status == 201
        assert len(api.items) == 1

    @pytest.mark.requirement("items: no duplicate, no lost update")
    def test_concurrent_requests_with_a_key_must_wait(self, api: Harness) -> None:
        # Given a second request during the first
        during = []

        def meanwhile() -> None:
            api.persistence.meanwhile = None
            during.append(api.post(ITEM, Idempotency_Key="order-1"))

        api.persistence.meanwhile = meanwhile
        # When the first ends
        first = api.post(ITEM, Idempotency_Key="order-1")
        # Then it created the only item, and the second is told when to retry
        assert first.status == 201
        assert (during[0].status, during[0].fields) == (409, ["Idempotency-Key"])
        assert during[0].headers["Retry-After"] == "1"
        assert len(api.items) == 1

    @pytest.mark.requirement("items: no duplicate, no lost update")
    def test_a_crash_between_item_and_record_makes_no_second_item(self, api: Harness) -> None:
        # Given a request that crashed after writing its item, without a record of it
        first = api.post(ITEM, Idempotency_Key="order-1")
        api.persistence.records.clear()
        # When the client retries
        again = api.post(ITEM, Idempotency_Key="order-1")
        # Then it gets the existing item
        assert (again.status, again.text) == (201, first.text)
        assert len(api.items) == 1

    def test_killed_request_holds_its_key_for_its_longest_run(self, api: Harness) -> None:
        # Given an invocation that is killed while it runs, with no time left
        api.context = Context(remaining=-1)
        api.persistence.meanwhile = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            api.post(ITEM, Idempotency_Key="order-1")
        # When the client retries
        api.persistence.meanwhile = None
        # Then the request is carried out
        assert api.post(ITEM, Idempotency_Key="order-1").status == 201

    def test_old_key_with_another_body_is_refused(self, api: Harness) -> None:
        api.post(ITEM, Idempotency_Key="order-1")
        api.persistence.records.clear()
        answer = api.post(ITEM | {"name": "Other"}, Idempotency_Key="order-1")
        assert (answer.status, answer.fields) == (422, ["Idempotency-Key"])

    def test_a_failed_request_leaves_the_key_free(self, api: Harness) -> None:
        api.aws.fail(client_error("InternalServerError", "PutItem"))
        assert api.post(ITEM, Idempotency_Key="order-1").status == 503
        api.aws.fail(None)
        assert api.post(ITEM, Idempotency_Key="order-1").status == 201

    @pytest.mark.requirement("the table")
    def test_records_are_kept_for_a_day(self, api: Harness) -> None:
        api.post(ITEM, Idempotency_Key="order-1")
        assert RECORD_SECONDS == 86_400
        assert [record.status for record in api.persistence.records.values()] == ["COMPLETED"]

    def test_nothing_is_created_if_records_cannot_be_stored(self, api: Harness) -> None:
        api.persistence.failure = client_error("AccessDeniedException", "PutItem")
        answer = api.post(ITEM, Idempotency_Key="order-1")
        assert answer.status == 503
        assert not api.items
        assert "nobody" not in answer.text
        # A request without a key still succeeds
        assert api.post(ITEM).status == 201
