"""Two versions are compared with the same reads; changes over time are distinguished from those of the new version."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from itertools import count
from typing import Any

import pytest

from slipway_runtime.comparison import ROUNDS, Comparison, Intended, Read, compare, described

TODAY = date(2026, 5, 1)
PAGE: dict[str, Any] = {"items": [{"id": "a", "name": "kettle"}, {"id": "b", "name": "pot"}], "next": None}


def answer(body: Any, status: int = 200, content_type: str = "application/json") -> dict[str, Any]:
    return {"statusCode": status, "multiValueHeaders": {"Content-Type": [content_type]}, "body": json.dumps(body)}


def always(body: Any, **more: Any) -> Callable[[Mapping[str, Any]], Any]:
    return lambda _: answer(body, **more)


def compared(
    current: Callable[[Mapping[str, Any]], Any],
    new: Callable[[Mapping[str, Any]], Any],
    *,
    intended: tuple[Intended, ...] = (),
    **read: Any,
) -> Comparison:
    return compare([Read("a page", {}, **read)], current=current, new=new, intended=intended, today=TODAY)


def test_same_answers_are_the_same() -> None:
    found = compared(always(PAGE), always(PAGE))

    assert (found.same, found.differ) == (["a page"], {})


@pytest.mark.parametrize(
    ("wrong", "places"),
    [
        ({**PAGE, "items": [PAGE["items"][0], {"id": "b", "name": "pan"}]}, ["/items/1/name"]),
        ({**PAGE, "items": PAGE["items"][:1]}, ["/items/1/id", "/items/1/name"]),
        ({**PAGE, "next": 0}, ["/next"]),
        ({"items": PAGE["items"]}, ["/next"]),
        ({**PAGE, "owner": "x"}, ["/owner"]),
        ([], ["", "/items/0/id", "/items/0/name", "/items/1/id", "/items/1/name", "/next"]),
    ],
)
def test_wrong_answer_with_200_differs(wrong: Any, places: list[str]) -> None:
    assert compared(always(PAGE), always(wrong)).differ == {"a page": places}


def test_one_and_true_differ() -> None:
    assert compared(always({"n": 1}), always({"n": True})).differ == {"a page": ["/n"]}


def test_status_and_content_type_are_compared() -> None:
    found = compared(always(PAGE), always(PAGE, status=206, content_type="text/plain"))

    assert found.differ == {"a page": ["content-type", "status"]}


def test_declared_volatile_place_may_differ() -> None:
    old, new = ({**PAGE, "at": {"time": time}} for time in (1, 2))

    assert compared(always(old), always(new), volatile=("/at",)).same == ["a page"]
    assert compared(always(old), always(new), volatile=("/*/time",)).same == ["a page"]
    assert compared(always(old), always(new), volatile=("/a",)).differ


def _clock() -> Iterator[dict[str, Any]]:
    yield from ({**PAGE, "time": number} for number in count())


def test_self_moving_metrics_do_not_count_against_version() -> None:
    # Given an answer that contains the time
    clock = _clock()

    # Then differences at that place are ignored, but a wrong name is still found
    assert compared(lambda _: answer(next(clock)), lambda _: answer(next(clock))).same == ["a page"]
    wrong = compared(lambda _: answer(next(clock)), lambda _: answer({**next(clock), "items": []}))
    assert "/items/0/name" in wrong.differ["a page"]
    assert "/time" not in wrong.differ["a page"]


def test_write_between_the_reads_is_ignored() -> None:
    # Given an item that is written after the first answer
    states = iter([PAGE, {**PAGE, "items": []}, {**PAGE, "items": []}, *[{**PAGE, "items": []}] * 3])

    def ask(_: Mapping[str, Any]) -> Any:
        return answer(next(states))

    assert compared(ask, ask).same == ["a page"]


def test_data_that_changes_in_every_round_is_ignored() -> None:
    # Given another place that changes in every round
    numbers = count()

    def ask(_: Mapping[str, Any]) -> Any:
        number = next(numbers)
        return answer({f"key{number}": number})

    found = compared(ask, ask)

    assert (found.unstable, found.same, found.differ) == (["a page"], [], {})
    assert next(numbers) == 3 * ROUNDS


@pytest.mark.parametrize("status", [500, 502])
def test_failing_old_version_does_not_block_a_fix(status: int) -> None:
    found = compared(always({}, status=status), always(PAGE))

    assert str(status) in found.skipped["a page"]
    assert not found.differ


def test_shape_is_compared_if_values_differ() -> None:
    other = {"items": [{"id": "z", "name": "pan"}], "next": None}

    assert compared(always(PAGE), always(other), shape_only=True).same == ["a page"]
    assert compared(always(PAGE), always({"items": [], "next": None}), shape_only=True).same == ["a page"]
    found = compared(always(PAGE), always({"items": [{"id": 1}], "next": None}), shape_only=True)
    assert found.differ == {"a page": ["/items/*/id", "/items/*/name"]}


def test_intended_difference_is_accepted_until_its_day() -> None:
    # Given a read whose name comes from a file, so that it is an equal but not identical string
    meant = Intended("_a page_".strip("_"), "/items/*/owner", "shows the owner", date(2026, 5, 1))
    new = {**PAGE, "items": [{**item, "owner": "me"} for item in PAGE["items"]]}

    found = compared(always(PAGE), always(new), intended=(meant,))

    assert found.intended == {"a page": ["/items/0/owner", "/items/1/owner"]}
    assert not found.differ
    late = compare(
        [Read("a page", {})], current=always(PAGE), new=always(new), intended=(meant,), today=date(2026, 5, 2)
    )
    assert late.differ


def test_intended_difference_covers_only_its_own_read() -> None:
    meant = Intended("another page", "/items", "", date(2026, 5, 1))

    assert compared(always(PAGE), always({**PAGE, "items": []}), intended=(meant,)).differ


def test_event_with_a_secret_is_created_when_sent() -> None:
    sent: list[Mapping[str, Any]] = []

    def ask(event: Mapping[str, Any]) -> Any:
        sent.append(event)
        return answer(PAGE)

    compare([Read("a page", lambda: {"secret": 1})], current=ask, new=ask, today=TODAY)

    assert sent == [{"secret": 1}] * 3


def test_summary_names_its_sample_and_quotes_nothing() -> None:
    found = compared(always(PAGE), always({**PAGE, "items": [{"id": "a", "name": "secret"}]}))

    summary = found.summary(reads=1)

    assert (summary["reads"], summary["compared"]) == (1, 1)
    assert "secret" not in json.dumps(summary)


def test_many_places_are_cut_short() -> None:
    assert described([f"/{number}" for number in range(8)]) == "/0, /1, /2, /3, /4 and 3 more"
    assert described([f"/{number}" for number in range(13)]) == "/0, /1, /2, /3, /4 and 8 more"
    assert described([""]) == "the whole body"
