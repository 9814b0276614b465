"""Small pipelines, in the form in which CloudFormation passes the synthesised template's properties.

The real pipeline is played in `packages/slipway/tests/local/test_delivery.py`.
"""

from __future__ import annotations

from typing import Any

from unit.rehearsal.aws import DEV, TOOLS

Properties = dict[str, Any]

PIPELINE_ROLE = f"arn:aws:iam::{TOOLS}:role/pipeline"
BUCKET = "artifacts"


def deploy_role(account: str = DEV) -> str:
    """Return the role with which the pipeline deploys to an account."""
    return f"arn:aws:iam::{account}:role/cdk-hnb659fds-deploy-role-{account}-us-east-1"


def action(name: str, kind: str = "Build/CodeBuild", order: int = 1, **more: Any) -> Properties:
    """Return an action.

    Args:
        name: Name of the action.
        kind: Category and provider.
        order: Run order.
        more: Other properties.
    """
    category, _, provider = kind.partition("/")
    type_id = {"Category": category, "Owner": "AWS", "Provider": provider, "Version": "1"}
    return {"Name": name, "ActionTypeId": type_id, "RunOrder": order, "Configuration": {}, **more}


def source(**more: Any) -> Properties:
    """Return the source action."""
    return action(
        "repository",
        "Source/CodeStarSourceConnection",
        Namespace="Source@repository",
        OutputArtifacts=[{"Name": "Sources"}],
        **more,
    )


def build(name: str = "Synth", order: int = 1, **more: Any) -> Properties:
    """Return a build action for the project of the same name."""
    settled = {"Configuration": {"ProjectName": name}, "InputArtifacts": [{"Name": "Sources"}], **more}
    return action(name, "Build/CodeBuild", order, **settled)


def prepare(stack: str, order: int = 1, *, account: str = DEV) -> Properties:
    """Return the action that creates a stack's change set."""
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
    """Return the action that executes a stack's change set."""
    configuration = {"StackName": stack, "ActionMode": "CHANGE_SET_EXECUTE", "ChangeSetName": "PipelineChange"}
    return action(
        f"{stack}.Deploy", "Deploy/CloudFormation", order, Configuration=configuration, RoleArn=deploy_role(account)
    )


def approval(**more: Any) -> Properties:
    """Return a manual approval."""
    return action("Approve", "Approval/Manual", **more)


def stage(name: str, *actions: Properties, **more: Any) -> Properties:
    """Return a stage."""
    return {"Name": name, "Actions": list(actions), **more}


def rule(name: str, provider: str, **configuration: str) -> Properties:
    """Return a rule of a condition."""
    type_id = {"Category": "Rule", "Owner": "AWS", "Provider": provider, "Version": "1"}
    return {"Name": name, "RuleTypeId": type_id, "Configuration": configuration}


def conditions(result: str, *rules: Properties) -> Properties:
    """Return the condition of a stage's entry or success."""
    return {"Conditions": [{"Result": result, "Rules": list(rules)}]}


def retry(mode: str = "ALL_ACTIONS") -> Properties:
    """Return the failure configuration of a stage that is retried."""
    return {"Result": "RETRY", "RetryConfiguration": {"RetryMode": mode}}


def pipeline(*stages: Properties, **more: Any) -> Properties:
    """Return a pipeline with these stages after the source."""
    return {
        "Name": "slipway",
        "RoleArn": PIPELINE_ROLE,
        "PipelineType": "V2",
        "ExecutionMode": "QUEUED",
        # CloudFormation passes booleans and numbers of custom resources as strings
        "RestartExecutionOnUpdate": "true",
        "ArtifactStore": {"Type": "S3", "Location": BUCKET},
        "Stages": [stage("Source", source()), *stages],
        **more,
    }
