"""What an account and region has once (P11)."""

from __future__ import annotations

from tests.infrastructure.synthesis import Deployment


def test_api_gateways_logging_role_is_made_in_the_foundation_alone(deployment: Deployment) -> None:
    # Given that each API that makes one overwrites the last
    owners = [template.name for template in deployment if template.of_type("AWS::ApiGateway::Account")]

    assert owners == ["foundation"]


def test_api_gateway_may_write_its_logs_by_it(deployment: Deployment) -> None:
    # Given the account's role
    foundation = deployment["foundation"]
    ((_, account),) = foundation.of_type("AWS::ApiGateway::Account").items()
    role_id = account["Properties"]["CloudWatchRoleArn"]["Fn::GetAtt"][0]
    role = foundation.resources[role_id]["Properties"]

    # Then only API Gateway assumes it, with AWS's own policy for it, and it is there first
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "apigateway.amazonaws.com"}
    (policy,) = role["ManagedPolicyArns"]
    assert deployment.text("foundation", policy).endswith(
        ":iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    )
    assert role_id in account["DependsOn"]
    assert deployment.output("ApiGatewayLoggingRoleArn") == f"<foundation/{role_id}.Arn>"
