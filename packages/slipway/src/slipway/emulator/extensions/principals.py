"""Check resource policies before an AWS service publishes, sends or invokes under its own principal.

CloudWatch and EventBridge act without a role: the topic, queue or function must allow the service, and so must the key
that encrypts the topic or queue.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch, eventbridge, kms, lambda_svc, sns, sqs

from slipway.emulator.extensions.authority import Refusal, record
from slipway.emulator.extensions.keys import NEEDED, key_of
from slipway.emulator.extensions.patches import wrap

logger = logging.getLogger("ministack")

_ACTIONS = {"sns": "sns:Publish", "sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction"}
_POLICIES: dict[str, Callable[[str], tuple[Any, str] | None]] = {
    "sns": sns.topic_policy_for_arn,
    "sqs": sqs.queue_policy_for_arn,
    "lambda": lambda_svc.function_policy_for_arn,
    "kms": kms.key_policy_for_arn,
}

_OWNED = frozenset({"cloudwatch.amazonaws.com"})
"""Principals that send `aws:SourceOwner`, which a topic's default policy requires. EventBridge doesn't:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html."""


def allowed(principal: str, action: str, resource: str, *, source: str) -> bool:
    """Return True if a resource's own policy lets a service act on it; refusals are recorded in CloudTrail.

    Args:
        principal: The service, such as `events.amazonaws.com`.
        action: Such as `sns:Publish`.
        resource: ARN of a topic, queue, function or key.
        source: ARN of the resource that the service acts for, such as a rule or an alarm.
    """
    found = _POLICIES[action.partition(":")[0]](resource)
    if found is None:
        return False
    context = {"aws:sourcearn": source, "aws:sourceaccount": get_account_id()}
    if principal in _OWNED:
        context["aws:sourceowner"] = get_account_id()
    request = iam_evaluator.EvalContext(
        # Only the service itself, not a principal of the account, so that a statement for the account doesn't count.
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=get_region(),
        secure_transport=True,
        service_context=context,
    )
    if iam_evaluator.evaluate_resource_policy(found[0], request, service=principal).decision == "Allow":
        return True
    record(Refusal(principal, action, resource), invoked_by=principal)
    return False


def refusal(principal: str, target: str, *, source: str) -> str | None:
    """Return why a service may not deliver to a topic, queue or function; None if it may.

    Args:
        principal: The service.
        target: ARN of the topic, queue or function.
        source: ARN of the resource that the service acts for.
    """
    service = target.split(":")[2]
    action = _ACTIONS[service]
    if not allowed(principal, action, target, source=source):
        name = f"{service.upper()}:{action.partition(':')[2]}"
        return (
            f"not authorized to perform: {name} on resource: {target} because no resource-based policy allows the "
            f"{name} action"
        )
    key = key_of(target)
    if key and not all(allowed(principal, needed, key, source=source) for needed in NEEDED.get(action, ())):
        return f"does not have authorization to access the {service.upper()} topic encryption key {key}"
    return None


def _alarm_actions(
    original: Callable[..., Any], alarm: dict[str, Any], old_state: str, new_state: str, reason: str
) -> None:
    """Publish an alarm's change of state to the topics that allow it, and record the result of each action.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions.html
    """
    name = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}.get(
        new_state, ""
    )
    actions = [action for action in alarm.get(name) or [] if cloudwatch._is_sns_action_arn(action)]
    if not alarm.get("ActionsEnabled", True) or not actions:
        return
    refused = {
        topic: why
        for topic in actions
        if (why := refusal("cloudwatch.amazonaws.com", topic, source=alarm.get("AlarmArn", ""))) is not None
    }
    original({**alarm, name: [topic for topic in actions if topic not in refused]}, old_state, new_state, reason)
    for topic in actions:
        why = refused.get(topic)
        _write_history(alarm, topic, new_state, f"CloudWatch Alarms is {why}" if why else None)


def _write_history(alarm: dict[str, Any], action: str, state: str, error: str | None) -> None:
    summary = (
        f'Failed to execute action {action}. Received error: "{error}"'
        if error
        else f"Successfully executed action {action}"
    )
    data = {
        "actionState": "Failed" if error else "Succeeded",
        "stateUpdateTimestamp": int(time.time() * 1000),
        "notificationResource": action,
        "publishedMessage": None,
        "error": error,
        "newState": state,
    }
    if error:
        logger.warning("alarm %s: %s", alarm.get("AlarmName"), summary)
    cloudwatch._history_entries().append(
        {
            "AlarmName": alarm.get("AlarmName", ""),
            "AlarmType": "CompositeAlarm" if "AlarmRule" in alarm else "MetricAlarm",
            "Timestamp": cloudwatch._ts_iso(time.time()),
            "HistoryItemType": "Action",
            "HistorySummary": summary,
            "HistoryData": json.dumps(data),
        }
    )


def _invoke_target(
    original: Callable[..., Any], target: dict[str, Any], event: Any, rule: dict[str, Any], view: Any = None
) -> None:
    """Deliver an event if its target allows EventBridge; for a target with a role, use the role instead."""
    arn = target.get("Arn", "")
    service = arn.split(":")[2] if arn.startswith("arn:") else ""
    if service in _ACTIONS and not target.get("RoleArn"):
        why = refusal("events.amazonaws.com", arn, source=rule.get("Arn", ""))
        if why is not None:
            logger.warning("rule %s: EventBridge is %s", rule.get("Name"), why)
            cloudwatch.record_metric("AWS/Events", "FailedInvocations", 1, "Count", {"RuleName": rule.get("Name", "")})
            return
    original(target, event, rule, view)


def install() -> None:
    """Make the emulator check the policies.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(cloudwatch, "_dispatch_alarm_actions", _alarm_actions, "alarm", "old_state", "new_state", "reason")
    wrap(eventbridge, "_invoke_target", _invoke_target, "target", "event", "rule", "view")
