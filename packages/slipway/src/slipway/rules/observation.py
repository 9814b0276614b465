"""Rules on monitoring and logs: alarms must notify somebody, and logs must expire and be encrypted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.rules.model import Found, Resource, Rule, Templates, text

_ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")

# Readers of alarms that act automatically: a canary rolls back, a stage's condition stops the pipeline, a composite
# alarm notifies people. An alarm that one of these reads needs no action of its own; people are notified of the
# reader's action.
_READERS = {
    "AWS::AppConfig::Environment": ("Monitors",),
    "AWS::CodeDeploy::DeploymentGroup": ("AlarmConfiguration",),
    "AWS::CodePipeline::Pipeline": ("Stages",),
    "AWS::CloudWatch::CompositeAlarm": ("AlarmRule",),
}

_RUNBOOK = re.compile(r"Runbook: https://\S+/(?P<page>[a-z0-9-]+)\.md$")

# Properties without which AWS creates a log group itself, unencrypted and without expiry.
_WRITERS = {
    "AWS::CodeBuild::Project": ("LogsConfig", "CloudWatchLogs", "GroupName"),
    "AWS::Lambda::Function": ("LoggingConfig", "LogGroup"),
}


def _silent(templates: Templates) -> Iterator[Found]:
    read = {
        (alarm.stack.path, alarm.logical_id)
        for reader in templates.of_type(*_READERS)
        for alarm in templates.referred(reader.stack, reader.get(*_READERS[reader.type]))
    }
    for alarm in templates.of_type(*_ALARMS):
        acts = bool(alarm.get("AlarmActions")) and alarm.get("ActionsEnabled") is not False
        if not acts and (alarm.stack.path, alarm.logical_id) not in read:
            yield Found(alarm.stack, alarm.logical_id)


def _without_runbook(templates: Templates) -> Iterator[Found]:
    for alarm in templates.of_type(*_ALARMS):
        match = _RUNBOOK.search(text(alarm.get("AlarmDescription")))
        if match is None or match["page"] not in templates.runbooks:
            yield Found(alarm.stack, alarm.logical_id)


def _not_kept(templates: Templates) -> Iterator[Found]:
    for group in templates.of_type("AWS::Logs::LogGroup"):
        if group.get("RetentionInDays") is None or group.get("KmsKeyId") is None:
            yield Found(group.stack, group.logical_id)
    for writer in templates.of_type(*_WRITERS):
        if not _names_a_group(templates, writer):
            yield Found(writer.stack, writer.logical_id)


def _names_a_group(templates: Templates, writer: Resource) -> bool:
    named = templates.referred(writer.stack, writer.get(*_WRITERS[writer.type]))
    return any(resource.type == "AWS::Logs::LogGroup" for resource in named)


RULES = (
    Rule(
        name="AlarmActs",
        says="An alarm notifies nobody: it has no action, and neither a canary nor a stage reads it.",
        fix="Create it with ServiceAlarms (slipway.blocks.alarms), or let a deployment group read it.",
        check=_silent,
    ),
    Rule(
        name="AlarmHasRunbook",
        says="An alarm does not name its runbook, or the runbook does not exist.",
        fix="End its description with runbook_link(…), and write the page in docs/runbooks.",
        check=_without_runbook,
    ),
    Rule(
        name="LogGroupKept",
        says="A log group has no retention or no key, or a resource writes to a group that no template creates.",
        fix="Create a ServiceLogGroup (slipway.blocks.logs), and use it.",
        check=_not_kept,
    ),
)
