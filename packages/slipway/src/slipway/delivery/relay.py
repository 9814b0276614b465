"""Relay an environment's events to the pipeline's account."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.alarms import SET_OFF_BY_CALLERS
from slipway.blocks.messaging import DEAD_LETTERS_STAY
from slipway.delivery.names import delivery_bus, service_stacks
from slipway.settings import Environment

PATTERN_CHARACTERS = 2_048
"""Maximum length of a rule's event pattern (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html)."""

_PATTERN_FRAME = 512
"""Characters reserved for the rest of a pattern."""


class EventRelay(Construct):
    """A relay of the state changes of the environment's deployments and alarms to the pipeline's bus.

    Only events whose names begin with a stack of its services are sent, which covers everything in those stacks: auto
    scaling's own alarms become active by design, and another environment, or another app, may share the account. Alarms
    that callers can trigger are not sent, nor those that say nothing about a release: an alarm that is relayed counts
    against the release that bakes.

    Args:
        scope: The foundation stack.
        construct_id: Id in it.
        environment: Settings of the environment.
        services: Names of the services that are deployed there.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: Environment, services: Sequence[str]
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        arn = stack.format_arn(
            service="events",
            region=environment.tools_region,
            account=environment.tools_account,
            resource="event-bus",
            resource_name=delivery_bus(environment.app),
        )
        # Without a customer key: the environment's keys belong to its services, and these are only names and states.
        undelivered = sqs.Queue(
            self,
            "Undelivered",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=DEAD_LETTERS_STAY,
        )
        accept(
            undelivered,
            "AwsSolutions-SQS3",
            "Serverless-SQSRedrivePolicy",
            reason="This queue is the dead-letter queue: a second one behind it would hide what failed.",
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "events.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
            description="Puts events on the pipeline's bus",
        )
        iam.ManagedPolicy(
            self,
            "Policy",
            roles=[role],
            description="Puts events on the pipeline's bus",
            statements=[iam.PolicyStatement(actions=["events:PutEvents"], resources=[arn])],
        )
        bus = events.EventBus.from_event_bus_arn(self, "Bus", arn)
        stacks = [name for service in services for name in service_stacks(environment.name, service)]
        for number, mine in enumerate(_by_pattern(stacks), start=1):
            for name, pattern in _patterns(mine).items():
                events.Rule(
                    self,
                    name if number == 1 else f"{name}{number}",
                    description="Relays to the pipeline's bus",
                    event_pattern=pattern,
                    targets=[targets.EventBus(bus, role=role.without_policy_updates(), dead_letter_queue=undelivered)],
                )


def _by_pattern(stacks: Sequence[str]) -> Iterator[list[dict[str, str]]]:
    """Group the name prefixes of resources, as many as fit into one pattern."""
    group: list[dict[str, str]] = []
    for stack in stacks:
        more = [*group, {"prefix": f"{stack}-"}]
        if group and len(json.dumps(more)) > PATTERN_CHARACTERS - _PATTERN_FRAME:
            yield group
            more = more[-1:]
        group = more
    if group:
        yield group


def _patterns(mine: Sequence[dict[str, str]]) -> dict[str, events.EventPattern]:
    """Return the rules' patterns by their ids."""
    return {
        "Deployments": events.EventPattern(
            source=["aws.codedeploy"],
            detail_type=["CodeDeploy Deployment State-change Notification"],
            detail={"application": mine, "state": ["FAILURE", "STOP"]},
        ),
        "Alarms": events.EventPattern(
            source=["aws.cloudwatch"],
            detail_type=["CloudWatch Alarm State Change"],
            # A field matches any of its values, so the two conditions use two fields that contain the name.
            # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
            resources=events.Match.anything_but_wildcard(f"*{SET_OFF_BY_CALLERS}*"),
            detail={"alarmName": mine},
        ),
        "DeletedAlarms": events.EventPattern(
            source=["aws.cloudwatch"],
            detail_type=["CloudWatch Alarm Configuration Change"],
            detail={"alarmName": mine, "operation": ["delete"]},
        ),
    }
