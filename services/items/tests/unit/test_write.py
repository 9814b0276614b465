"""`PUT` and `DELETE` only replace the version that the writer has read."""

import pytest

from services.items.tests.unit.fakes import ORIGIN, Harness, proxy_event
from slipway.testing.functions import Counted


@pytest.fixture
def path(api: Harness) -> str:
    item = {"name": "Lamp", "description": "Warm", "data": {"a": 1}, "status": "draft"}
    return api.post(item).location


def test_a_replacement_is_complete_and_increments_the_version(api: Harness, path: str) -> None:
    before = api.get(path).json
    answer = api.put(path, {"name": "Chair"}, If_Match='"1"')
    assert (answer.status, answer.headers["ETag"]) == (200, '"2"')
    after = answer.json
    assert (after["name"], after["description"], after["data"], after["status"]) == ("Chair", "", {}, "active")
    assert (after["id"], after["created_at"], after["version"]) == (before["id"], before["created_at"], 2)
    assert after["updated_at"] > before["updated_at"]
    assert api.get(path).text == answer.text


@pytest.mark.requirement("items: no duplicate, no lost update")
def test_the_second_of_two_writers_must_read_again(api: Harness, path: str) -> None:
    # Given two writers who have read version 1, and one who has replaced it
    assert api.put(path, {"name": "Ann's"}, If_Match='"1"').status == 200
    # When the other one writes
    answer = api.put(path, {"name": "Bob's"}, If_Match='"1"')
    # Then it is refused, and nothing is lost
    assert (answer.status, answer.fields) == (412, ["If-Match"])
    assert api.get(path).json["name"] == "Ann's"
    assert api.delete(path, If_Match='"1"').status == 412
    assert api.get(path).status == 200


@pytest.mark.requirement("items: routes")
def test_a_deleted_item_is_not_found(api: Harness, path: str) -> None:
    answer = api.delete(path, If_Match='"1"')
    assert (answer.status, answer.text) == (204, "")
    assert api.get(path).status == 404


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', ' "1" '])
def test_the_tag_of_a_read_is_accepted(api: Harness, path: str, tag: str) -> None:
    assert api.put(path, {"name": "Chair"}, If_Match=tag).status == 200


@pytest.mark.requirement("items: no duplicate, no lost update")
def test_without_a_version_nothing_is_written(api: Harness, path: str) -> None:
    for answer in (api.put(path, {"name": "Chair"}), api.delete(path)):
        assert (answer.status, answer.fields) == (428, ["If-Match"])
    assert api.get(path).json["version"] == 1


def test_missing_version_and_bad_body_are_both_named(api: Harness, path: str) -> None:
    answer = api.put(path, {"name": ""})
    assert (answer.status, sorted(answer.fields)) == (400, ["/name", "If-Match"])


@pytest.mark.parametrize("tag", ["*", "1", '"1" "2"', '"1",', ', "1"', '"1", *', "", '"', "W/1"])
def test_an_invalid_tag_or_list_of_tags_is_refused(api: Harness, path: str, tag: str) -> None:
    for answer in (api.put(path, {"name": "Chair"}, If_Match=tag), api.delete(path, If_Match=tag)):
        assert (answer.status, answer.fields) == (400, ["If-Match"])


@pytest.mark.parametrize("tags", ['"7", "1"', '"1","2"', 'W/"1" , "x"', '"1", "1"'])
def test_one_tag_of_a_list_is_enough(api: Harness, path: str, tags: str) -> None:
    assert api.put(path, {"name": "Chair"}, If_Match=tags).headers["ETag"] == '"2"'
    assert api.delete(path, If_Match=tags.replace("1", "2")).status == 204


def test_several_header_lines_are_one_list(api: Harness, path: str) -> None:
    for name, status in (("If-Match", 200), ("If-None-Match", 304)):
        method, origin = ("PUT", {}) if status == 200 else ("GET", {"X-Origin-Verify": ORIGIN})
        event = proxy_event(method, path, body={"name": "Chair"}, headers=origin)
        event["multiValueHeaders"][name] = ['"9"', '"1", "2"']
        assert api.call(event).status == status


def test_a_list_of_too_many_versions_is_refused(api: Harness, path: str) -> None:
    tags = [f'"{version}"' for version in range(1, 102)]
    answer = api.delete(path, If_Match=",".join(tags))
    assert (answer.status, answer.fields) == (400, ["If-Match"])
    assert api.delete(path, If_Match=",".join(tags[:-1])).status == 204


@pytest.mark.parametrize("tag", ['"2"', '"0"', '"-1"', '"abc"', '"abc", "2"', '""', f'"{"9" * 50}"', '"\u0661"'])
def test_a_tag_of_another_version_does_not_match(api: Harness, path: str, tag: str) -> None:
    assert api.put(path, {"name": "Chair"}, If_Match=tag).status == 412


def test_a_missing_item_cannot_be_written(api: Harness) -> None:
    assert api.put("/items/none", {"name": "Chair"}, If_Match='"1"').status == 404
    assert api.delete("/items/none", If_Match='"1"').status == 404


def test_metrics_count_what_was_written(api: Harness, counted: Counted) -> None:
    path = api.post({"name": "Lamp"}).location
    assert len(counted("ItemsCreated")) == 1
    api.put(path, {"name": "Chair"}, If_Match='"1"')
    assert len(counted("ItemsReplaced")) == 1
    api.delete(path, If_Match='"2"')
    assert len(counted("ItemsDeleted")) == 1
