"""Find the last revision that the pipeline delivered: the base of a review in the pipeline's build."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from slipway.review.errors import ReviewError

if TYPE_CHECKING:
    from mypy_boto3_codepipeline import CodePipelineClient

_INITIATOR = "CODEBUILD_INITIATOR"
_PREFIX = "codepipeline/"


def pipeline_of_build(env: Mapping[str, str] = os.environ) -> str | None:
    """Return the pipeline whose build this is; None outside a build.

    CodeBuild names the initiator of the build
    (https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html).

    Args:
        env: The environment variables.
    """
    initiator = env.get(_INITIATOR, "")
    return initiator.removeprefix(_PREFIX) if initiator.startswith(_PREFIX) else None


def deployed_revision(pipeline: str, client: CodePipelineClient | None = None) -> str | None:
    """Return the source revision of the newest successful execution; None without one.

    Args:
        pipeline: The pipeline's name.
        client: Client of CodePipeline. Default: one for the build's own region and role.

    Raises:
        ReviewError: CodePipeline cannot be reached, or returns no revision.
    """
    try:
        client = client or boto3.client("codepipeline")
        pages = client.get_paginator("list_pipeline_executions").paginate(pipelineName=pipeline)
        for page in pages:
            # The newest comes first.
            for execution in page["pipelineExecutionSummaries"]:
                if execution.get("status") != "Succeeded":
                    continue
                revisions = [source.get("revisionId") for source in execution.get("sourceRevisions", ())]
                revision = revisions[0] if revisions else None
                if not revision:
                    identifier = execution.get("pipelineExecutionId")
                    raise ReviewError(
                        f"the execution {identifier} of {pipeline} succeeded and names no source revision"
                    )
                return revision
    except (BotoCoreError, ClientError) as error:
        raise ReviewError(f"the executions of {pipeline} cannot be listed: {error}") from None
    return None
