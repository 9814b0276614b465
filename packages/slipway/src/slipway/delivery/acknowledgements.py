"""Acknowledge the rule packs' findings in the roles that CDK Pipelines creates, with reasons."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack, pipelines
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_s3 as s3
from constructs import IConstruct

from slipway.blocks.acknowledgements import accept
from slipway.delivery.names import approval_stage
from slipway.nag.acknowledge import resource_finding

_INEXACT = ("AwsSolutions-IAM5", "Slipway-ExactPermissions")
"""Rules against actions with a wildcard, and against `*` as a resource."""

_READ = ("s3:GetBucket*", "s3:GetObject*", "s3:List*")
_WRITE = (*_READ, "s3:Abort*", "s3:DeleteObject*")
_ENCRYPT = ("kms:GenerateDataKey*", "kms:ReEncrypt*")


def acknowledge_pipeline(
    stack: Stack,
    spine: codepipeline.Pipeline,
    artifacts: s3.Bucket,
    *,
    steps: Sequence[pipelines.CodeBuildStep],
    approvals: Sequence[str],
) -> None:
    """Acknowledge the findings of the constructs that CDK Pipelines creates; call it after `build_pipeline()`.

    Args:
        stack: The pipeline's stack.
        spine: Its pipeline.
        artifacts: Its artifact bucket.
        steps: Our own build steps besides the synth.
        approvals: Environments that require an approval.
    """
    _read_by_deployments(artifacts)
    _other_regions(spine)
    _events_of_pushes(stack)
    synth = _at(stack, "Pipeline", "Build", "Synth", "CdkBuildProject")
    mutation = _at(stack, "Delivery", "UpdatePipeline", "SelfMutation")
    publish = _at(stack, "Delivery", "Assets", "FileRole")
    sources = [_at(source, "CodePipelineActionRole") for source in _at(stack, "Pipeline", "Source").node.children]

    for role in (_at(stack, "Pipeline", "Role"), *sources, _at(synth, "Role")):
        _artifacts(role, artifacts, (*_WRITE, *_ENCRYPT))
    _artifacts(_at(mutation, "Role"), artifacts, (*_READ, *_ENCRYPT))
    _artifacts(publish, artifacts, _READ)

    for project in (synth, mutation, *(step.project for step in steps)):
        _project(project)
    # A role that several builds share is a single construct.
    builders = {builder.node.path: builder for step in steps if (builder := step.project.role)}
    for builder in builders.values():
        _artifacts(builder, artifacts, (*_READ, *_ENCRYPT))
    _approvals(spine, approvals)
    _publishes(publish, stack)
    _mutates(_at(mutation, "Role"), stack)


def _approvals(spine: codepipeline.Pipeline, names: Sequence[str]) -> None:
    for name in names:
        accept(
            _at(spine, approval_stage(name), f"Approve-{name}", "CodePipelineActionRole"),
            *_INEXACT,
            finding="Action::kms:GenerateDataKey*",
            reason="CDK grants a publisher of an encrypted topic the data key actions by a wildcard; the key serves "
            "only the pipeline, and only CodePipeline assumes the role.",
        )


def _publishes(publish: IConstruct, stack: Stack) -> None:
    accept(
        publish,
        "AwsSolutions-IAM5",
        finding=[
            f"Resource::arn:aws:{kind}/*"
            for kind in (
                f"logs:{stack.region}:{stack.account}:log-group:/aws/codebuild",
                f"codebuild:{stack.region}:{stack.account}:report-group",
            )
        ],
        reason="All asset projects share this role, and their logs and report groups are named after them; the "
        "account is the tools account, which contains only pipelines.",
    )
    accept(
        publish,
        *_INEXACT,
        finding="Resource::*",
        reason="CDK lets the publishing role start, stop and read any build, because the projects that it could name "
        "don't exist yet; the account is the tools account, whose builds are this pipeline's.",
    )


def _mutates(role: IConstruct, stack: Stack) -> None:
    accept(
        role,
        *_INEXACT,
        finding="Resource::*",
        reason="Self-mutation reads stacks, its own and the bootstrap's, and checks that the bootstrap's bucket "
        "exists; both actions only read.",
    )
    accept(
        role,
        "AwsSolutions-IAM5",
        finding=f"Resource::arn:*:iam::{stack.account}:role/*",
        reason="Self-mutation assumes the bootstrap roles of the tools account, under a condition on the tag "
        "aws-cdk:bootstrap-role that only those carry.",
    )


def _artifacts(role: IConstruct, artifacts: s3.Bucket, actions: Sequence[str]) -> None:
    reason = (
        "CodePipeline names its artifacts at run time, and CDK grants them as groups of read or write actions; the "
        "bucket and its key serve only this pipeline."
    )
    accept(role, *_INEXACT, finding=[f"Action::{action}" for action in actions], reason=reason)
    accept(role, "AwsSolutions-IAM5", finding=resource_finding(role, artifacts.arn_for_objects("*")), reason=reason)


def _read_by_deployments(bucket: s3.IBucket) -> None:
    accept(
        bucket,
        "Slipway-ExactPermissions",
        finding=[f"Action::{action}" for action in _READ],
        reason="CDK lets the deployment roles of the environments' accounts read artifacts as a group of actions; the "
        "roles are named, and the bucket serves only this pipeline.",
    )


def _events_of_pushes(stack: Stack) -> None:
    repository = stack.node.try_find_child("Repository")
    for rule in repository.node.children if repository else ():
        accept(
            rule,
            "Serverless-EventBusDLQ",
            reason="If an event is lost, its push starts nothing; the next push delivers its commits too, and the "
            "pipeline can be started by hand.",
        )


def _other_regions(spine: codepipeline.Pipeline) -> None:
    supports = spine.cross_region_support.values()
    for support in supports:
        accept(
            support.replication_bucket,
            "AwsSolutions-S1",
            reason="CodePipeline copies artifacts here for the actions of this region, and CDK creates the bucket; "
            "the artifact bucket logs access to the originals.",
        )
        _read_by_deployments(support.replication_bucket)
        accept(
            spine.role,
            "AwsSolutions-IAM5",
            finding=resource_finding(spine, support.replication_bucket.arn_for_objects("*")),
            reason="CodePipeline names its artifacts at run time; the bucket serves only this pipeline's actions in "
            "one region.",
        )
    if supports:
        accept(
            spine.role,
            *_INEXACT,
            finding="Resource::*",
            reason="Only the alias of another region's artifact key is available here, and a policy cannot name an "
            "alias as a resource; the five actions cover keys of the tools account, which contains only "
            "pipelines.",
        )


def _project(project: IConstruct) -> None:
    stack = Stack.of(project)
    if not isinstance(project, codebuild.PipelineProject | codebuild.Project):
        raise TypeError(f"{project.node.path} is not a build project")
    name = project.project_name
    role = project.role
    if role is None:
        raise TypeError(f"{project.node.path} has no role")
    accept(
        role,
        "AwsSolutions-IAM5",
        finding=[
            resource_finding(project, f"arn:aws:{service}:{stack.region}:{stack.account}:{resource}")
            for service, resource in (
                ("logs", f"log-group:/aws/codebuild/{name}:*"),
                ("codebuild", f"report-group/{name}-*"),
            )
        ],
        reason="CodeBuild names log streams and report groups after the project at run time; the resources belong to "
        "this project.",
    )


def _at(construct: IConstruct, *path: str) -> IConstruct:
    for part in path:
        construct = construct.node.find_child(part)
    return construct
