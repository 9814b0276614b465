"""Rules on CloudWatch Logs: the region of log deliveries."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Templates, text

_EDGE_REGION = "us-east-1"


def _edge_logs_elsewhere(templates: Templates) -> Iterator[Found]:
    for source in templates.of_type("AWS::Logs::DeliverySource"):
        resource = source.get("ResourceArn")
        referred = {found.type for found in templates.referred(source.stack, resource)}
        of_edge = "AWS::CloudFront::Distribution" in referred or ":cloudfront:" in text(resource)
        if of_edge and source.stack.region != _EDGE_REGION:
            yield Found(source.stack, source.logical_id)


RULES = (
    AwsRule(
        name="EdgeLogsInUsEast1",
        does="CloudFront's standard logging is set up in us-east-1 only, wherever the logs go.",
        says="The delivery of a distribution's logs is in another region, where AWS rejects it.",
        fix="Create source, destination and delivery in a stack in us-east-1.",
        source="https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging.html",
        check=_edge_logs_elsewhere,
        planted={
            "Source": {
                "Type": "AWS::Logs::DeliverySource",
                "Properties": {
                    "LogType": "ACCESS_LOGS",
                    "ResourceArn": {
                        "Fn::Join": ["", ["arn:aws:cloudfront::123456789012:distribution/", {"Ref": "Edge"}]]
                    },
                },
            }
        },
    ),
)
