"""The pack of rules on AWS behaviour."""

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
    snapstart,
    sns,
    sqs,
    wafv2,
)
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Stack, Templates
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
    *snapstart.RULES,
    *sns.RULES,
    *sqs.RULES,
    *wafv2.RULES,
)
"""Every rule about AWS's behaviour, by service."""


class OnlyAwsRules:
    """The pack of rules on AWS behaviour, for `slipway.nag.packs.register`.

    Args:
        rules: The rules. Default: all of them.
    """

    def __init__(self, rules: Sequence[AwsRule] = RULES) -> None:
        self._rules = rules

    @property
    def name(self) -> str:
        """Return the prefix of the rules' ids."""
        return AWS_PACK

    def blind(self) -> Iterator[str]:
        """Yield the rules that don't see the fault planted for them."""
        return (identifier(rule) for rule in self._rules if rule.is_blind)

    def judge(self, stacks: Sequence[SynthesizedStack]) -> Iterator[Breach]:
        """Yield the breaches of the stacks, rule by rule."""
        templates = Templates(tuple(read_stacks(stacks)))
        for rule in self._rules:
            try:
                broken = list(dict.fromkeys(rule.check(templates)))
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                # CloudFormation would probably refuse the template; the other rules still run.
                yield _unread(rule, templates.stacks[0], error)
                continue
            for found in broken:
                yield breach(identifier(rule), found, says=f"{rule.says} {rule.does}", fix=rule.fix)


def _unread(rule: AwsRule, stack: Stack, error: Exception) -> Breach:
    """Return a breach for a rule that could not be evaluated, which is a finding of its own."""
    return breach(
        f"{AWS_PACK}-Unread",
        Found(stack, finding=rule.name),
        says=f"{rule.name} cannot read a template of the assembly: {type(error).__name__} {error}.",
        fix="Check the templates with cfn-lint: a required property of the type is missing, or has the wrong kind.",
    )


def identifier(rule: AwsRule) -> str:
    """Return the id of a rule, with the pack's name."""
    return f"{AWS_PACK}-{rule.name}"
