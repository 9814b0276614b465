"""The source of the pipeline's commits, and its triggers.

- *CodeConnections*: a push to the branch starts the pipeline, unless it only changes `ignored_paths`.
- *CodeCommit*: a push to the branch starts it, by an EventBridge rule. CodeCommit's events name no paths, so a push
  that only changes documentation is delivered too.
- *S3*: CodePipeline polls the bucket every minute. EventBridge would need a CloudTrail trail of the bucket or its
  notifications, but the bucket doesn't belong to this stack.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack, pipelines
from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from slipway.settings.groups import ignored_patterns
from slipway.settings.model import CodeCommitSource, CodeConnectionsSource, S3Source, Source


def source(stack: Stack, settings: Source) -> pipelines.CodePipelineSource:
    """Return the pipeline's configured source.

    Args:
        stack: The pipeline's stack.
        settings: `[source]` of `pipeline.toml`.
    """
    match settings:
        case CodeConnectionsSource():
            return pipelines.CodePipelineSource.connection(
                settings.repository,
                settings.branch,
                connection_arn=settings.connection_arn,
                # `start_on_push` starts it, with the ignored paths; otherwise CodePipeline would start twice.
                trigger_on_push=False,
                # The change review compares revisions, which an artifact of files does not have.
                code_build_clone_output=True,
            )
        case CodeCommitSource():
            repository = codecommit.Repository.from_repository_name(stack, "Repository", settings.repository)
            return pipelines.CodePipelineSource.code_commit(repository, settings.branch, code_build_clone_output=True)
        case S3Source():
            bucket = s3.Bucket.from_bucket_name(stack, "SourceBucket", settings.bucket)
            return pipelines.CodePipelineSource.s3(bucket, settings.key)


def change(commit: pipelines.CodePipelineSource, settings: Source) -> str:
    """Return a paragraph on what an execution delivers, with variables that CodePipeline fills in.

    A variable that the source does not provide fails the action that uses it, so each kind uses its own
    (https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html).

    Args:
        commit: The source.
        settings: `[source]` of `pipeline.toml`.
    """
    of = commit.source_attribute
    match settings:
        case CodeConnectionsSource() | CodeCommitSource():
            return (
                f"Commit {of('CommitId')} of {settings.repository}, branch {of('BranchName')}, "
                f"authored {of('AuthorDate')}: {of('CommitMessage')}"
            )
        case S3Source():
            return f"Version {of('VersionId')} of s3://{settings.bucket}/{settings.key}, ETag {of('ETag')}"


def start_on_push(spine: codepipeline.Pipeline, settings: Source, *, others: Sequence[str] = ()) -> None:
    """Start the pipeline on pushes to the branch that change more than the ignored paths.

    CDK Pipelines creates the source action itself, and the L2's trigger needs that object. Call this after the pipeline
    is built.

    Args:
        spine: The pipeline.
        settings: `[source]` of `pipeline.toml`; kinds other than CodeConnections are ignored.
        others: Services of other groups' pipelines: a push that only changes their folders doesn't start this one.
    """
    if not isinstance(settings, CodeConnectionsSource):
        return
    push: dict[str, object] = {"Branches": {"Includes": [settings.branch]}}
    if ignored := [*settings.ignored_paths, *ignored_patterns(others)]:
        push["FilePaths"] = {"Excludes": ignored}
    (action,) = spine.stages[0].actions
    resource = spine.node.default_child
    if not isinstance(resource, codepipeline.CfnPipeline):
        raise TypeError(f"{spine.node.path} has no CloudFormation resource")
    resource.add_property_override(
        "Triggers",
        [
            {
                "ProviderType": "CodeStarSourceConnection",
                "GitConfiguration": {"SourceActionName": action.action_properties.action_name, "Push": [push]},
            }
        ],
    )


def allow_connection(stack: Stack, settings: Source, builder: iam.IRole | None) -> None:
    """Let the source action and the synth use the connection for its repository only, by both names of the service.

    CDK grants `codestar-connections:UseConnection` for every repository of the connection, whatever the ARN's prefix; a
    connection created under the name CodeConnections is checked for `codeconnections:UseConnection`. The synth clones
    the repository itself, so it needs the same permission. Call this last: it finds statements by their number.

    Args:
        stack: The pipeline's stack.
        settings: `[source]` of `pipeline.toml`; other kinds are ignored.
        builder: Role of the build that takes the source.
    """
    if not isinstance(settings, CodeConnectionsSource):
        return
    (action,) = stack.node.find_child("Pipeline").node.find_child("Source").node.children
    for role in (action.node.find_child("CodePipelineActionRole"), builder):
        if not isinstance(role, iam.Role):
            raise TypeError(f"{role} is not a role of the stack")
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["codeconnections:UseConnection"],
                resources=[settings.connection_arn],
                conditions={"StringEquals": {"codeconnections:FullRepositoryId": settings.repository}},
            )
        )
        policy = role.node.find_child("DefaultPolicy").node.default_child
        if not isinstance(policy, iam.CfnPolicy):
            raise TypeError(f"{role.node.path} has no policy")
        statements = stack.resolve(policy.policy_document)["Statement"]
        position = [statement["Action"] for statement in statements].index("codestar-connections:UseConnection")
        policy.add_property_override(
            f"PolicyDocument.Statement.{position}.Condition",
            {"StringEquals": {"codestar-connections:FullRepositoryId": settings.repository}},
        )
