"""Pipelines as CloudFormation hands them over, in the words of the synthesised template, small enough to read.

The real one is played in `packages/slipway/tests/local/test_delivery.py`.
"""

from __future__ import annotations

from typing import Any

from unit.rehearsal.aws import DEV, TOOLS

Properties = dict[str, Any]

PIPELINE_ROLE = f"arn:aws:iam::{TOOLS}:role/pipeline"
BUCKET = "artifacts"


def deploy_role(account: str = DEV) -> str:
    """The role by which the pipeline deploys to an account."""
    return f"arn:aws:iam::{account}:role/cdk-hnb659fds-deploy-role-{account}-us-east-1"


def action(name: str, kind: str = "Build/CodeBuild", order: int = 1, **more: Any) -> Properties:
    """An action.

    Args:
        name: of the action.
        kind: category and provider.
        order: its run order.
        more: further properties.
    """
    category, _, provider = kind.partition("/")
    type_id = {"Category": category, "Owner": "AWS", "Provider": provider, "Version": "1"}
    return {"Name": name, "ActionTypeId": type_id, "RunOrder": order, "Configuration": {}, **more}


def source(**more: Any) -> Properties:
    """The source action."""
    return action(
        "repository",
        "Source/CodeStarSourceConnection",
        Namespace="Source@repository",
        OutputArtifacts=[{"Name": "Sources"}],
        **more,
    )


def build(name: str = "Synth", order: int = 1, **more: Any) -> Properties:
    """A build of the project of the same name."""
    settled = {"Configuration": {"ProjectName": name}, "InputArtifacts": [{"Name": "Sources"}], **more}
    return action(name, "Build/CodeBuild", order, **settled)


def prepare(stack: str, order: int = 1, *, account: str = DEV) -> Properties:
    """Makes the change set of a stack."""
    configuration = {
        "StackName": stack,
        "ActionMode": "CHANGE_SET_REPLACE",
        "ChangeSetName": "PipelineChange",
        "Capabilities": "CAPABILITY_NAMED_IAM,CAPABILITY_AUTO_EXPAND",
        "RoleArn": f"arn:aws:iam::{account}:role/exec",
        "TemplatePath": f"Assembly::{stack}.template.json",
    }
    return action(
        f"{stack}.Prepare",
        "Deploy/CloudFormation",
        order,
        Configuration=configuration,
        InputArtifacts=[{"Name": "Assembly"}],
        RoleArn=deploy_role(account),
    )


def deploy(stack: str, order: int = 2, *, account: str = DEV) -> Properties:
    """Executes the change set of a stack."""
    configuration = {"StackName": stack, "ActionMode": "CHANGE_SET_EXECUTE", "ChangeSetName": "PipelineChange"}
    return action(
        f"{stack}.Deploy", "Deploy/CloudFormation", order, Configuration=configuration, RoleArn=deploy_role(account)
    )


def approval(**more: Any) -> Properties:
    """A manual approval."""
    return action("Approve", "Approval/Manual", **more)


def stage(name: str, *actions: Properties, **more: Any) -> Properties:
    """A stage."""
    return {"Name": name, "Actions": list(actions), **more}


def rule(name: str, provider: str, **configuration: str) -> Properties:
    """A rule of a condition."""
    type_id = {"Category": "Rule", "Owner": "AWS", "Provider": provider, "Version": "1"}
    return {"Name": name, "RuleTypeId": type_id, "Configuration": configuration}


def conditions(result: str, *rules: Properties) -> Properties:
    """The condition of a stage's entry or success."""
    return {"Conditions": [{"Result": result, "Rules": list(rules)}]}


def retry(mode: str = "ALL_ACTIONS") -> Properties:
    """What a failed stage that is tried again has for its failure."""
    return {"Result": "RETRY", "RetryConfiguration": {"RetryMode": mode}}


def pipeline(*stages: Properties, **more: Any) -> Properties:
    """A pipeline of some stages after the source."""
    return {
        "Name": "slipway",
        "RoleArn": PIPELINE_ROLE,
        "PipelineType": "V2",
        "ExecutionMode": "QUEUED",
        # CloudFormation hands booleans and numbers of custom resources over as texts.
        "RestartExecutionOnUpdate": "true",
        "ArtifactStore": {"Type": "S3", "Location": BUCKET},
        "Stages": [stage("Source", source()), *stages],
        **more,
    }
