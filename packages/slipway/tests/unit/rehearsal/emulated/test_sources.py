"""How a function's response decides which items of a batch failed."""

from typing import Any

import pytest

from slipway.emulator.extensions.sources import failed_items

MAPPING = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
HANDED = ["1", "2", "3"]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, ""])
def test_a_batch_without_failures_is_done(answer: Any) -> None:
    assert list(failed_items(MAPPING, answer, HANDED)) == []


def test_reported_items_have_failed() -> None:
    answer = {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert list(failed_items(MAPPING, answer, HANDED)) == ["2"]


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "2"}]},
        {"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "unknown"}]},
        {"batchItemFailures": ["2"]},
        "done",
        ["2"],
    ],
)
def test_an_invalid_report_fails_the_whole_batch(answer: Any) -> None:
    assert list(failed_items(MAPPING, answer, HANDED)) == HANDED


def test_reports_count_only_if_configured() -> None:
    assert list(failed_items({}, {"batchItemFailures": [{"itemIdentifier": "2"}]}, HANDED)) == []
