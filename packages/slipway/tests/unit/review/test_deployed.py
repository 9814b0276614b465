"""The most recently delivered revision is queried from CodePipeline."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from slipway.review.deployed import deployed_revision, pipeline_of_build
from slipway.review.errors import ReviewError


def _execution(status: str, revision: str | None, identifier: str = "e") -> dict[str, Any]:
    sources = [{"actionName": "repository", "revisionId": revision}] if revision else []
    return {"pipelineExecutionId": identifier, "status": status, "sourceRevisions": sources}


def _asked(*pages: list[dict[str, Any]]) -> str | None:
    client = boto3.client(
        "codepipeline", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    with Stubber(client) as stub:
        for number, page in enumerate(pages):
            answer: dict[str, Any] = {"pipelineExecutionSummaries": page}
            if number + 1 < len(pages):
                answer["nextToken"] = f"page-{number + 1}"
            expected = {"pipelineName": "slipway"} | ({"nextToken": f"page-{number}"} if number else {})
            stub.add_response("list_pipeline_executions", answer, expected)
        return deployed_revision("slipway", client)


def test_deployed_revision_is_the_newest_successful_one() -> None:
    found = _asked(
        [
            _execution("InProgress", "a"),
            _execution("Failed", "b"),
            _execution("Superseded", "c"),
            _execution("Succeeded", "d"),
            _execution("Succeeded", "e"),
        ]
    )

    assert found == "d"


def test_every_page_of_executions_is_searched() -> None:
    assert _asked([_execution("Failed", "a")], [_execution("Stopped", "b")], [_execution("Succeeded", "c")]) == "c"


@pytest.mark.parametrize("pages", [[[]], [[_execution("Failed", "a")], [_execution("InProgress", "b")]]])
def test_there_may_be_no_deployed_revision(pages: list[list[dict[str, Any]]]) -> None:
    assert _asked(*pages) is None


def test_a_success_without_a_revision_is_an_error() -> None:
    with pytest.raises(ReviewError, match="the execution one of slipway succeeded and names no source revision"):
        _asked([_execution("Succeeded", None, "one")])


def test_a_refusal_is_reported_in_one_line() -> None:
    client = boto3.client(
        "codepipeline", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    with Stubber(client) as stub:
        stub.add_client_error("list_pipeline_executions", "AccessDeniedException", "not you")
        with pytest.raises(ReviewError, match=r"the executions of slipway cannot be listed: .*not you") as caught:
            deployed_revision("slipway", client)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"CODEBUILD_INITIATOR": "codepipeline/slipway"}, "slipway"),
        ({"CODEBUILD_INITIATOR": "somebody"}, None),
        ({}, None),
    ],
)
def test_a_build_knows_its_pipeline(env: dict[str, str], expected: str | None) -> None:
    assert pipeline_of_build(env) == expected
