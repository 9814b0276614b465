"""AWS WAF in front of a regional API, and at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import ArnFormat, Aws, Fn, Stack
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.key import ServiceKey
from slipway.blocks.logs import ServiceLogGroup
from slipway.settings import Environment
from slipway.settings.model import BodyRules

MANAGED_RULES = (
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesAmazonIpReputationList",
)
"""AWS's managed rule groups, in order of evaluation."""

# A JSON API accepts bodies of more than 8 KiB, which this rule of the common set refuses, so it only counts.
_SIZE = {"AWSManagedRulesCommonRuleSet": ("SizeRestrictions_BODY",)}

FREE_TEXT = {
    "AWSManagedRulesCommonRuleSet": (
        "CrossSiteScripting_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
    ),
    "AWSManagedRulesKnownBadInputsRuleSet": ("JavaDeserializationRCE_BODY", "Log4JRCE_BODY"),
}
"""Rules that refuse a body for its text: HTML, a relative path, a URL with an address, `${jndi:…}`.
https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
"""

CREDENTIALS = ("authorization", "cookie", "x-amz-security-token", "x-api-key", "x-origin-verify")
"""Headers that must not appear in any log."""


@dataclass(frozen=True, kw_only=True)
class EdgeProof:
    """A secret header that proves that a request came through the distribution.

    Attributes:
        header: Name of the header.
        secret: Secret that holds the value.
        field: Its field.
    """

    header: str
    secret: secretsmanager.ISecret
    field: str


class RegionalWebAcl(Construct):
    """Managed rules and a rate limit per connecting address, in front of a regional API.

    Every request counts, whatever its method and headers, except those that prove to have come through the edge: there
    the connection is CloudFront's, and the edge's own web ACL has counted the viewer's. `X-Forwarded-For` decides
    nothing: without the header WAF does not apply such a rule, and the first address in it is whatever the caller wrote
    (https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-forwarded-ip-address.html).

    Blocked and counted requests are logged, with credentials redacted; allowed ones are in the access log.

    Args:
        scope: What it protects.
        construct_id: Id in it.
        service: The service's name, part of the log group's.
        environment: Settings; `waf` and `logs` apply.
        key: The service's key.
        edge: How a request proves that the edge's web ACL has counted it. Default: there is no edge.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        environment: Environment,
        key: ServiceKey,
        edge: EdgeProof | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        acl = _web_acl(
            self, "REGIONAL", _rules(environment, _not_through(edge) if edge is not None else None), "WebAcl"
        )
        self.arn = acl.attr_arn
        """ARN of the web ACL."""
        _log(self, acl, f"aws-waf-logs-{environment.name}-{service}", environment, key)


class EdgeWebAcl(Construct):
    """Managed rules and a rate limit per viewer address, in front of a distribution.

    Args:
        scope: In a stack in us-east-1, the only region of such a web ACL
            (https://docs.aws.amazon.com/waf/latest/developerguide/how-aws-waf-works-resources.html).
        construct_id: Id in it.
        service: The service's name, part of the log group's.
        environment: Settings; `waf` and `logs` apply.
        key: Key of the log, in the same region. Default: CloudWatch's own.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, service: str, environment: Environment, key: ServiceKey | None
    ) -> None:
        super().__init__(scope, construct_id)
        acl = _web_acl(self, "CLOUDFRONT", _rules(environment, None), "EdgeWebAcl")
        self.arn = acl.attr_arn
        """ARN of the web ACL."""
        _log(self, acl, f"aws-waf-logs-{environment.name}-{service}-edge", environment, key)


def _web_acl(
    scope: Construct, kind: str, rules: Sequence[wafv2.CfnWebACL.RuleProperty], metric: str
) -> wafv2.CfnWebACL:
    return wafv2.CfnWebACL(
        scope,
        "Acl",
        scope=kind,
        default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
        rules=list(rules),
        visibility_config=_visibility(metric),
    )


def _rules(
    environment: Environment, counted: wafv2.CfnWebACL.StatementProperty | None
) -> list[wafv2.CfnWebACL.RuleProperty]:
    free_text = environment.waf.body_rules is BodyRules.COUNT
    managed = [_managed(priority, name, free_text=free_text) for priority, name in enumerate(MANAGED_RULES)]
    rate = wafv2.CfnWebACL.RateBasedStatementProperty(
        aggregate_key_type="IP", limit=environment.waf.requests_per_5_minutes, scope_down_statement=counted
    )
    return [
        *managed,
        wafv2.CfnWebACL.RuleProperty(
            name="RateOfRequests",
            priority=len(managed),
            action=wafv2.CfnWebACL.RuleActionProperty(block={}),
            statement=wafv2.CfnWebACL.StatementProperty(rate_based_statement=rate),
            visibility_config=_visibility("RateOfRequests"),
        ),
    ]


def _managed(priority: int, name: str, *, free_text: bool) -> wafv2.CfnWebACL.RuleProperty:
    counted = (*_SIZE.get(name, ()), *(FREE_TEXT.get(name, ()) if free_text else ()))
    overrides = [
        wafv2.CfnWebACL.RuleActionOverrideProperty(
            name=rule, action_to_use=wafv2.CfnWebACL.RuleActionProperty(count={})
        )
        for rule in counted
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


def _not_through(edge: EdgeProof) -> wafv2.CfnWebACL.StatementProperty:
    """Return a statement that matches every request without the edge's secret."""
    carries_it = wafv2.CfnWebACL.StatementProperty(
        byte_match_statement=wafv2.CfnWebACL.ByteMatchStatementProperty(
            field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(single_header={"Name": edge.header.lower()}),
            positional_constraint="EXACTLY",
            # CloudFormation resolves this at deployment: the template contains the reference, not the value.
            search_string=edge.secret.secret_value_from_json(edge.field).unsafe_unwrap(),
            text_transformations=[wafv2.CfnWebACL.TextTransformationProperty(priority=0, type="NONE")],
        )
    )
    return wafv2.CfnWebACL.StatementProperty(not_statement=wafv2.CfnWebACL.NotStatementProperty(statement=carries_it))


def _log(scope: Construct, acl: wafv2.CfnWebACL, name: str, environment: Environment, key: ServiceKey | None) -> None:
    # WAF writes only to groups whose names begin like this
    # (https://docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html). The stack's id ends the name: a
    # deleted stack leaves its log behind, and the next one creates its own.
    stack_id = Fn.select(2, Fn.split("/", Aws.STACK_ID))
    group = ServiceLogGroup(scope, "Log", environment=environment, key=key, name=f"{name}-{stack_id}")
    if key is None:
        accept(
            group,
            "Slipway-LogGroupKept",
            "NIST.800.53.R5-CloudWatchLogGroupEncrypted",
            "HIPAA.Security-CloudWatchLogGroupEncrypted",
            "PCI.DSS.321-CloudWatchLogGroupEncrypted",
            reason="The web ACL of the edge logs in CloudFront's own region, where the service has no key: CloudWatch "
            "Logs encrypts the group with its own, and it only holds addresses and paths.",
        )
    wafv2.CfnLoggingConfiguration(
        scope,
        "Logging",
        resource_arn=acl.attr_arn,
        # Without the `:*` that CloudWatch Logs appends to the ARN.
        log_destination_configs=[
            Stack.of(scope).format_arn(
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
            wafv2.CfnLoggingConfiguration.FieldToMatchProperty(single_header={"Name": header}) for header in CREDENTIALS
        ],
    )


def _visibility(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
    )
