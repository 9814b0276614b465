"""The page shows what was collected, escapes text, and needs no other file."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

from slipway.evidence.page import write_page
from unit.evidence.repository import Repository, review, step, supply
from unit.gates.assembly import DATA

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
HOSTILE = "<script>alert('&')</script>"


def page(repository: Repository, *, commit: str = "0123456789ab Say it") -> str:
    path = repository.report / "index.html"
    write_page(repository.collect(), path, commit=commit, now=NOW)
    return path.read_text(encoding="utf-8")


def seen(html: str) -> str:
    """Return the text that a reader sees."""
    body = re.sub(r"(?s)<style>.*?</style>", "", html)
    return " ".join(unescape(re.sub(r"(?s)<[^>]+>", " ", body)).split())


def test_the_verdict_comes_first_and_then_every_part(repository: Repository) -> None:
    html = page(repository)

    body = html[html.index("<body>") :]
    assert body.startswith('<body>\n<h1 class="green">evidence green')
    for part in repository.collect().parts:
        assert f'<a href="#{part.anchor}">' in body
        assert f'<h2 id="{part.anchor}">' in body


def test_page_shows_the_content_of_each_part(repository: Repository) -> None:
    repository.assembly.violate("AwsSolutions-S2", f"{DATA}/Public")
    repository.accept()
    repository.write_json(
        "build/report/review.json",
        review(
            findings=[
                {
                    "id": "table-replaced:Table",
                    "severity": "critical",
                    "stage": "prod-items",
                    "stack": "prod-items-data",
                    "resource": "Pipeline/prod-items/Data/Table",
                    "what": "the table is replaced",
                    "details": ["TableName"],
                    "why": "its data is lost",
                    "do": "keep the name",
                    "waiver": {"reason": "It is empty.", "owner": "platform", "expires": "2027-02-01"},
                }
            ],
            stages=[
                {
                    "name": "prod-items",
                    "stacks": [
                        {
                            "name": "prod-items-data",
                            "account": "333333333333",
                            "region": "us-east-1",
                            "fate": None,
                            "changes": [
                                {
                                    "fate": "replaced",
                                    "resource": "Data/Table",
                                    "type": "AWS::DynamoDB::Table",
                                    "properties": ["TableName"],
                                    "causes": ["TableName is create-only"],
                                }
                            ],
                        }
                    ],
                }
            ],
        ),
    )
    accepted = {"place": "pkg:pypi/x@1", "rule": "MIT", "reason": "It is MIT.", "owner": "platform", "expires": None}
    repository.write_json("build/report/supply.json", supply(step(accepted=[accepted], notes=["no history"])))

    text = seen(page(repository))

    for said in (
        "AwsSolutions-S2 error resource",
        "Nobody but the platform writes here. platform 2027-06-30 blocks/bucket.py:70",
        "critical the table is replaced",
        "Waived by platform until 2027-02-01: It is empty.",
        "replaced Data/Table AWS::DynamoDB::Table TableName TableName is create-only",
        "pkg:pypi/x@1 MIT It is MIT. platform",
        "no history",
        "items.zip yes 1,000",
        "1 dev-services",
        "on failure: rollback",
        "its own KMS key",
        "Unit Tests required yes They run at every push.",
        "code: blocks/key.py:2 Key.rotate",
        "shown by: unit/test_key.py::test_it_rotates",
        "Performance Tests recommended no Nothing puts load on it.",
        "written at 2027-01-01 12:00 UTC",
        "0123456789ab Say it",
    ):
        assert said.replace("resource", "").strip() in text, said


def test_parts_that_did_not_run_are_named(repository: Repository) -> None:
    (repository.report / "review.json").unlink()
    (repository.report / "supply.json").unlink()

    html = page(repository)

    assert '<h1 class="incomplete">evidence incomplete: Change review incomplete, Supply chain incomplete' in html
    assert seen(html).count("not run") >= 4


def test_text_is_escaped(repository: Repository) -> None:
    # Given hostile text in every input that other people write
    repository.write_json("build/report/review.json", review(paragraph=HOSTILE, base=HOSTILE, notes=[HOSTILE]))
    repository.write_json("build/report/supply.json", supply(step(name=HOSTILE, summary=HOSTILE, notes=[HOSTILE])))
    hostile = f"{HOSTILE} It [rotates](javascript:alert(1))".replace('"', '\\"')
    repository.edit("docs/requirements.toml", "It rotates", hostile)
    repository.accept(reason=f"Nobody {HOSTILE} writes into it here.")
    repository.assembly.violate("AwsSolutions-S2", f"{DATA}/{HOSTILE}")
    repository.edit("cdk.out/Pipeline.template.json", "dev-services", HOSTILE)
    repository.assemble()

    html = page(repository, commit=HOSTILE)

    assert "<script" not in html
    assert 'href="javascript:' not in html
    assert seen(html).count(HOSTILE) >= 8


def test_page_loads_nothing_and_runs_no_scripts(repository: Repository) -> None:
    html = page(repository)

    assert not re.search(r"<(script|iframe|object|embed|img|audio|video|source|base)\b|@import|url\(", html)
    assert re.findall(r'<link [^>]*href="([^"]*)"', html) == ["data:,"]
    assert not re.search(r"\s(src|srcset|on\w+)=", html)


def test_links_into_the_repository_exist(repository: Repository) -> None:
    repository.write("docs/other.md", "# Other\n")
    repository.write("build/report/review.html", "<p>whole</p>")

    html = page(repository)

    links = {link for link in re.findall(r'<a href="([^"#][^"]*)"', html) if "://" not in link}
    assert {"review.html", "../../blocks/key.py", "../../docs/other.md", "../../tests/unit/test_key.py"} == links
    for link in links:
        assert (repository.report / unquote(link)).is_file(), link


def test_a_page_in_another_folder_links_to_the_same_files(repository: Repository, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "deep" / "page.html"

    write_page(repository.collect(), path, commit="", now=NOW)

    assert 'href="../../repository/blocks/key.py"' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light dark"])
def test_it_follows_the_readers_colours(repository: Repository, scheme: str) -> None:
    html = page(repository)

    assert f"color-scheme: {scheme}" in html
    assert "@media (prefers-color-scheme: dark)" in html
    assert "@media print" in html
