"""The pack of rules about what only AWS would tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slipway.nag.names import AWS_PACK
from slipway.nag.own import Breach, SynthesizedStack
from slipway.rules.aws import (
    apigateway,
    backup,
    cloudformation,
    cloudfront,
    cloudwatch,
    codebuild,
    codedeploy,
    codepipeline,
    dynamodb,
    logs,
    nested,
    rollbacks,
    secretsmanager,
    sns,
    sqs,
    wafv2,
)
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Templates
from slipway.rules.reading import breach, read_stacks

RULES: Sequence[AwsRule] = (
    *apigateway.RULES,
    *backup.RULES,
    *cloudformation.RULES,
    *cloudfront.RULES,
    *cloudwatch.RULES,
    *codebuild.RULES,
    *codedeploy.RULES,
    *codepipeline.RULES,
    *dynamodb.RULES,
    *logs.RULES,
    *nested.RULES,
    *rollbacks.RULES,
    *secretsmanager.RULES,
    *sns.RULES,
    *sqs.RULES,
    *wafv2.RULES,
)
"""Every rule about AWS's behaviour, by service."""


class OnlyAwsRules:
    """Rules about what only AWS would tell, for `slipway.nag.packs.register`.

    Args:
        rules: the rules. Default: all of them.
    """

    def __init__(self, rules: Sequence[AwsRule] = RULES) -> None:
        self._rules = rules

    @property
    def name(self) -> str:
        """What the rules' ids begin with."""
        return AWS_PACK

    def blind(self) -> Iterator[str]:
        """Yield the rules that don't see the fault planted for them."""
        return (identifier(rule) for rule in self._rules if rule.is_blind)

    def judge(self, stacks: Sequence[SynthesizedStack]) -> Iterator[Breach]:
        """Yield what the stacks break, rule by rule."""
        templates = Templates(tuple(read_stacks(stacks)))
        for rule in self._rules:
            for found in dict.fromkeys(rule.check(templates)):
                yield breach(identifier(rule), found, says=f"{rule.says} {rule.does}", fix=rule.fix)


def identifier(rule: AwsRule) -> str:
    """Return the id of a rule, with the pack's name."""
    return f"{AWS_PACK}-{rule.name}"
