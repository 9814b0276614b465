"""IAM policies for the operator who rolls a delivery back.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodepipeline.html,
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html and
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodedeploy.html name the resources.
"""

from __future__ import annotations

from typing import Any

from slipway.delivery.names import COMPUTE, pipeline_name, service_stack
from slipway.settings import Settings
from slipway.settings.model import Environment


def stage_policy(settings: Settings, environment: Environment, *, partition: str = "aws") -> dict[str, Any]:
    """Return the operator's policy in the tools account for rolling back an environment's stages.

    Args:
        settings: All of `config/`.
        environment: Settings of the environment.
        partition: The AWS partition.
    """
    place = settings.pipeline
    pipeline = f"arn:{partition}:codepipeline:{place.region}:{place.account}:{pipeline_name(place.app)}"
    looks = ("GetPipelineExecution", "GetPipelineState", "ListActionExecutions", "ListPipelineExecutions")
    return _policy(
        _allow([f"codepipeline:{action}" for action in looks], pipeline),
        _allow(["codepipeline:RollbackStage"], f"{pipeline}/{settings.leader(environment.name)}-*"),
    )


def alias_policy(environment: Environment, service: str, *, partition: str = "aws") -> dict[str, Any]:
    """Return the operator's policy in the environment's account for moving a service's aliases.

    Args:
        environment: Settings of the environment.
        service: Name of the service.
        partition: The AWS partition.
    """
    place = f"{environment.region}:{environment.account}"
    stack = service_stack(environment.name, service, COMPUTE)
    return _policy(
        _allow(["cloudformation:ListStackResources"], f"arn:{partition}:cloudformation:{place}:stack/{stack}*/*"),
        _allow(
            ["lambda:GetAlias", "lambda:GetFunctionConfiguration", "lambda:UpdateAlias"],
            f"arn:{partition}:lambda:{place}:function:{stack}-*",
        ),
        # All of the account's deployments must be listed, because only a deployment's own details name the alias that
        # it moved.
        _allow(
            ["codedeploy:BatchGetDeployments", "codedeploy:ListDeployments"],
            f"arn:{partition}:codedeploy:{place}:deploymentgroup:*",
        ),
    )


def _allow(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
