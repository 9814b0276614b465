"""A build's reports are stored where an approver can open them."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest
from boto3.exceptions import S3UploadFailedError

from slipway.tasks.publish import PublicationError, console_address, publish
from slipway.tasks.reports import ADDRESS_FILE, BUCKET, FOLDER, PAGES
from unit.typed import typed

pytestmark = pytest.mark.requirement("gates before any account")

ENV = {
    BUCKET: "a-bucket",
    "CODEBUILD_RESOLVED_SOURCE_VERSION": "abc123",
    "AWS_REGION": "eu-central-1",
    "CODEBUILD_BUILD_URL": "https://build",
}


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Create a root folder with the pages that the gates write."""
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    for name in ("nag.html", "review.html", "review.json"):
        (folder / name).write_text("x", encoding="utf-8")
    return tmp_path


def _published(root: Path, env: dict[str, str] = ENV, client: Mock | None = None) -> tuple[str | None, Mock]:
    client = client or Mock()
    return publish(root, env=env, client=client), client


def test_every_report_is_stored_under_the_commit(reports: Path) -> None:
    _, client = _published(reports)

    assert {call.args[1:] for call in client.upload_file.call_args_list} == {
        ("a-bucket", "reports/abc123/nag.html"),
        ("a-bucket", "reports/abc123/review.html"),
        ("a-bucket", "reports/abc123/review.json"),
    }


def test_pages_are_stored_as_html_that_browsers_display(reports: Path) -> None:
    _, client = _published(reports)

    kinds = {call.args[2].rpartition("/")[2]: call.kwargs["ExtraArgs"] for call in client.upload_file.call_args_list}
    assert kinds["review.html"] == {"ContentType": "text/html; charset=utf-8"}
    assert kinds["review.json"] == {"ContentType": "application/json"}


@pytest.mark.requirement("the approval")
def test_the_address_is_that_of_the_review_in_the_console(reports: Path) -> None:
    address, _ = _published(reports)

    assert address == (
        "https://eu-central-1.console.aws.amazon.com/s3/object/a-bucket"
        "?region=eu-central-1&prefix=reports/abc123/review.html"
    )
    assert (reports / ADDRESS_FILE).read_text(encoding="utf-8") == address


def test_address_prefers_the_page_of_all_gates(reports: Path) -> None:
    # Given the page that combines all gates
    (reports / FOLDER / "index.html").write_text("x", encoding="utf-8")

    address, _ = _published(reports)
    assert address
    assert address.endswith("/index.html")
    assert PAGES == ("index.html", "review.html")


def test_without_a_page_the_build_is_the_evidence(reports: Path) -> None:
    (reports / FOLDER / "review.html").unlink()

    assert _published(reports)[0] == "https://build"
    assert (reports / ADDRESS_FILE).read_text(encoding="utf-8") == "https://build"


def test_outside_the_pipeline_nothing_is_stored(reports: Path) -> None:
    # Given a leftover address of another build
    (reports / ADDRESS_FILE).write_text("https://old", encoding="utf-8")
    address, client = _published(reports, {})

    assert address is None
    client.upload_file.assert_not_called()
    assert not (reports / ADDRESS_FILE).exists()


def test_a_bucket_that_refuses_is_reported_in_one_line(reports: Path) -> None:
    with pytest.raises(PublicationError, match="the reports cannot be stored in a-bucket: no"):
        _published(reports, client=Mock(**{"upload_file.side_effect": S3UploadFailedError("no")}))
    assert not (reports / ADDRESS_FILE).exists()


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "us-east-1.console.aws.amazon.com"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
    ],
)
def test_the_console_is_that_of_the_partition(region: str, host: str) -> None:
    assert console_address("a", "b c", region).startswith(f"https://{host}/s3/object/a?region={region}&prefix=b%20c")


def test_the_verb_prints_the_address_of_the_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(BUCKET, raising=False)

    done = typed("publish")
    assert done.exit_code == 0
    assert "the reports stay in build/report" in done.stderr


def test_the_verb_fails_where_the_bucket_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.tasks.publish.publish", Mock(side_effect=PublicationError("no")))

    done = typed("publish")
    assert done.exit_code == 1
    assert "no" in done.stderr
