"""AWS WAF in front of a regional API (P11)."""

from __future__ import annotations

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from blocks.key import ServiceKey
from blocks.logs import ServiceLogGroup
from config import Environment

MANAGED_RULES = (
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesAmazonIpReputationList",
)
"""AWS's managed rule groups, in the order in which they are asked."""

# A JSON API takes bodies of more than 8 KiB, which this rule of the common set refuses: it counts instead.
_COUNTED = {"AWSManagedRulesCommonRuleSet": ("SizeRestrictions_BODY",)}

_READS = ("GET", "HEAD")

CREDENTIALS = ("authorization", "cookie", "x-amz-security-token", "x-api-key", "x-origin-verify")
"""Headers that stand in no log."""


class RegionalWebAcl(Construct):
    """Managed rules and a rate limit.

    The limit counts by the address that connects, and for reads, which come through the edge, by the viewer's
    address that CloudFront forwards: by the connection's address all the edge's viewers would be one.

    What it blocks or counts is logged, with credentials taken out; what it lets through stands in the access log.

    Args:
        scope: what it protects.
        construct_id: id in it.
        service: the service's name, part of the log group's.
        environment: settings; `waf.requests_per_5_minutes` is how many requests of one address in five minutes are let
            through, and `logs` applies.
        key: the service's key.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, service: str, environment: Environment, key: ServiceKey
    ) -> None:
        super().__init__(scope, construct_id)
        requests_per_5_minutes = environment.waf.requests_per_5_minutes
        rules = [_managed(priority, name) for priority, name in enumerate(MANAGED_RULES)]
        rate = wafv2.CfnWebACL.RateBasedStatementProperty
        is_read = wafv2.CfnWebACL.StatementProperty(
            or_statement=wafv2.CfnWebACL.OrStatementProperty(statements=[_method_is(method) for method in _READS])
        )
        is_write = wafv2.CfnWebACL.StatementProperty(
            not_statement=wafv2.CfnWebACL.NotStatementProperty(statement=is_read)
        )
        rules += [
            _rate_rule(
                len(rules),
                "RateOfWrites",
                rate(aggregate_key_type="IP", limit=requests_per_5_minutes, scope_down_statement=is_write),
            ),
            _rate_rule(
                len(rules) + 1,
                "RateOfReads",
                rate(
                    aggregate_key_type="FORWARDED_IP",
                    limit=requests_per_5_minutes,
                    forwarded_ip_config=wafv2.CfnWebACL.ForwardedIPConfigurationProperty(
                        header_name="X-Forwarded-For", fallback_behavior="MATCH"
                    ),
                    scope_down_statement=is_read,
                ),
            ),
        ]
        acl = wafv2.CfnWebACL(
            self,
            "Acl",
            scope="REGIONAL",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            rules=rules,
            visibility_config=_visibility("WebAcl"),
        )
        self.arn = acl.attr_arn
        """ARN of the web ACL."""
        self._log(f"aws-waf-logs-{environment.name}-{service}", environment, key)

    def _log(self, name: str, environment: Environment, key: ServiceKey) -> None:
        # WAF writes to groups whose names begin so alone:
        # https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
        group = ServiceLogGroup(self, "Log", environment=environment, key=key, name=name)
        wafv2.CfnLoggingConfiguration(
            self,
            "Logging",
            resource_arn=self.arn,
            # Without the `:*` that CloudWatch Logs puts at the end of the ARN.
            log_destination_configs=[
                Stack.of(self).format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=group.log_group_name,
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            logging_filter={
                "DefaultBehavior": "DROP",
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [{"ActionCondition": {"Action": action}} for action in ("BLOCK", "COUNT")],
                    }
                ],
            },
            redacted_fields=[
                wafv2.CfnLoggingConfiguration.FieldToMatchProperty(single_header={"Name": header})
                for header in CREDENTIALS
            ],
        )


def _managed(priority: int, name: str) -> wafv2.CfnWebACL.RuleProperty:
    overrides = [
        wafv2.CfnWebACL.RuleActionOverrideProperty(
            name=rule, action_to_use=wafv2.CfnWebACL.RuleActionProperty(count={})
        )
        for rule in _COUNTED.get(name, ())
    ]
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
        statement=wafv2.CfnWebACL.StatementProperty(
            managed_rule_group_statement=wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
                vendor_name="AWS", name=name, rule_action_overrides=overrides or None
            )
        ),
        visibility_config=_visibility(name),
    )


def _rate_rule(
    priority: int, name: str, statement: wafv2.CfnWebACL.RateBasedStatementProperty
) -> wafv2.CfnWebACL.RuleProperty:
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        action=wafv2.CfnWebACL.RuleActionProperty(block={}),
        statement=wafv2.CfnWebACL.StatementProperty(rate_based_statement=statement),
        visibility_config=_visibility(name),
    )


def _method_is(method: str) -> wafv2.CfnWebACL.StatementProperty:
    return wafv2.CfnWebACL.StatementProperty(
        byte_match_statement=wafv2.CfnWebACL.ByteMatchStatementProperty(
            field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(method={}),
            positional_constraint="EXACTLY",
            search_string=method,
            text_transformations=[wafv2.CfnWebACL.TextTransformationProperty(priority=0, type="NONE")],
        )
    )


def _visibility(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
    )
