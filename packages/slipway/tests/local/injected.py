"""Functions of an empty account that an emulated AWS FIS delays or fails."""

from __future__ import annotations

import time
from typing import Any

from local.bare import Account, allow

CODE = "def handler(event, context):\n    print('worked')\n    return 'well'\n"
BUCKET = "arn:aws:s3:::faults"
READS = (allow(BUCKET, "s3:ListBucket"), allow(f"{BUCKET}/faults/*", "s3:GetObject"))
WRITES = (
    allow("*", "tag:GetResources", "lambda:GetFunction"),
    allow(f"{BUCKET}/faults/*", "s3:DeleteObject", "s3:PutObject"),
)
VARIABLES = {"AWS_FIS_CONFIGURATION_LOCATION": f"{BUCKET}/faults/"}
DELAY = ("aws:lambda:invocation-add-delay", {"startupDelayMilliseconds": "600"})
ERROR = "aws:lambda:invocation-error"


def template(
    account: Account,
    function: str,
    action: str,
    parameters: dict[str, str],
    *,
    role: str | None = None,
    duration: str = "PT30S",
    alarm: str = "quiet",
) -> str:
    """Create a stack with an experiment template, and return the template's id."""
    name = f"stack-{time.monotonic_ns()}"
    properties = {
        "Description": "-",
        "RoleArn": role or account.role(*WRITES),
        "StopConditions": [{"Source": "aws:cloudwatch:alarm", "Value": account.arn("cloudwatch", f"alarm:{alarm}")}],
        "Targets": {
            "all": {
                "ResourceType": "aws:lambda:function",
                "ResourceArns": [account.arn("lambda", f"function:{function}")],
                "SelectionMode": "ALL",
            }
        },
        "Actions": {
            "fault": {
                "ActionId": action,
                "Parameters": {"duration": duration, **parameters},
                "Targets": {"Functions": "all"},
            }
        },
    }
    resource = {"Type": "AWS::FIS::ExperimentTemplate", "Properties": properties}
    assert account.deploy(name, {"Template": resource}, {"Id": {"Value": {"Fn::GetAtt": ["Template", "Id"]}}}) is None
    (stack,) = account.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    found: str = stack["Outputs"][0]["OutputValue"]
    return found


def start(account: Account, name: str) -> dict[str, Any]:
    found: dict[str, Any] = account.client("fis").start_experiment(experimentTemplateId=name)["experiment"]
    return found


def state(account: Account, name: str) -> str:
    return str(account.client("fis").get_experiment(id=name)["experiment"]["state"]["status"])


def alarm(account: Account, name: str) -> None:
    account.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="things",
        MetricName="things",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
