"""Rules about DynamoDB."""

from __future__ import annotations

from typing import Any

import pytest

from unit.rules.aws.judging import broken

DIMENSIONS = [{"Name": "TableName", "Value": {"Ref": "Table"}}]


def _alarm(**properties: Any) -> dict[str, Any]:
    return {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}}


def _math(**metric: Any) -> dict[str, Any]:
    return _alarm(Metrics=[{"Id": "all", "Expression": "a"}, {"Id": "a", "MetricStat": {"Metric": metric}}])


@pytest.mark.parametrize("alarm", [_alarm, _math])
def test_user_errors_have_no_table_dimension(alarm: Any) -> None:
    of_table = alarm(Namespace="AWS/DynamoDB", MetricName="UserErrors", Dimensions=DIMENSIONS)
    of_account = alarm(Namespace="AWS/DynamoDB", MetricName="UserErrors")
    other = alarm(Namespace="AWS/DynamoDB", MetricName="SystemErrors", Dimensions=DIMENSIONS)

    assert broken("UserErrorsOfAccount", of_table) == ["Alarm"]
    assert broken("UserErrorsOfAccount", of_account) == []
    assert broken("UserErrorsOfAccount", other) == []
