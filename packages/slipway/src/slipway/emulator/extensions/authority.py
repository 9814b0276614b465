"""Authorise actions that AWS's services take on behalf of a role with IAM, and record refusals.

The evaluation is the emulator's own. A refusal becomes an event of the account's CloudTrail, as on AWS, where the role
is the event's identity and the service its `invokedBy`: `LookupEvents` shows it. AWS's own `LookupEvents` only shows
management events; data events, such as `GetRecords`, are in a trail's log there.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass

from ministack.core import iam_evaluator
from ministack.core.iam_actions import identity_denial_message
from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import cloudtrail, iam

REPEAT_SECONDS = 1.0
"""Period in which the same refusal is recorded only once, seconds: a poller tries twenty times per second."""


@dataclass(frozen=True)
class Refusal:
    """A refused action of a principal."""

    principal: str
    """ARN of the session."""
    action: str
    resource: str
    explicit: bool = False
    """True if a statement denies it; False if none allows it."""

    @property
    def message(self) -> str:
        """The message in AWS's wording."""
        return str(identity_denial_message(self.action, self.principal, self.resource, self.explicit))


@dataclass(frozen=True)
class Actor:
    """A service that acts on behalf of a role.

    Attributes:
        role: ARN of the role.
        session: Name of the role's session; for a function's role, the function's name.
        service: The service's principal, such as `lambda.amazonaws.com`.
    """

    role: str
    session: str
    service: str

    @property
    def arn(self) -> str:
        """ARN of the session."""
        account, name = self.role.split(":")[4], self.role.rpartition("/")[2]
        return f"arn:aws:sts::{account}:assumed-role/{name}/{self.session}"

    def refusal(self, action: str, resource: str, *, via: str = "") -> Refusal | None:
        """Return the refusal of an action, or None if the role's policies allow it.

        Args:
            action: Such as `sqs:ReceiveMessage`.
            resource: ARN, or `*` for an action without a resource.
            via: Service through which KMS is called, such as `sqs`. Default: none.
        """
        account, name = self.role.split(":")[4], self.role.rpartition("/")[2]
        region = get_region()
        context: dict[str, str] = {}
        if via:
            context = {"kms:viaservice": f"{via}.{region}.amazonaws.com", "kms:calleraccount": account}
        request = iam_evaluator.EvalContext(
            principal_arn=self.arn,
            principal_type="AssumedRole",
            principal_account=account,
            action=action,
            resource_arn=resource,
            region=region,
            secure_transport=True,
            service_context=context,
        )
        policies = iam_evaluator._gather_role_policies(name, account)
        limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
        result = iam_evaluator.evaluate(request, policies, *limits)
        service = action.partition(":")[0]
        if (found := iam_evaluator._resource_policy(service, resource)) is not None:
            result = iam_evaluator.combine_resource_policy(
                result, request, *found, required=service in iam_evaluator._POLICY_REQUIRED, limits=tuple(limits)
            )
        if result.decision == "Allow":
            return None
        refusal = Refusal(self.arn, action, resource, explicit=result.decision == "Deny")
        record(refusal, invoked_by=self.service)
        return refusal

    def first_refusal(self, *asked: tuple[str, str]) -> Refusal | None:
        """Return the first refusal among actions and their resources, or None if all are allowed."""
        return next((found for action, resource in asked if (found := self.refusal(action, resource))), None)


_recorded: dict[tuple[str, Refusal], float] = {}
_lock = threading.Lock()


def record(refusal: Refusal, *, invoked_by: str) -> None:
    """Record a refusal in the account's CloudTrail.

    Args:
        refusal: The refusal.
        invoked_by: The calling service, such as `lambda.amazonaws.com`.
    """
    key, now = (get_account_id(), refusal), time.monotonic()
    with _lock:
        if now - _recorded.get(key, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return
        _recorded[key] = now
        for old in [known for known, at in _recorded.items() if now - at > REPEAT_SECONDS]:
            del _recorded[old]
    prefix, _, name = refusal.action.partition(":")
    user, moment, event_id = refusal.principal.rpartition("/")[2], time.time(), new_uuid()
    event = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole" if ":assumed-role/" in refusal.principal else "AWSService",
            "arn": refusal.principal,
            "accountId": get_account_id(),
            "invokedBy": invoked_by,
        },
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)),
        "eventSource": f"{prefix}.amazonaws.com",
        "eventName": name,
        "awsRegion": get_region(),
        "sourceIPAddress": invoked_by,
        "userAgent": invoked_by,
        "errorCode": "AccessDenied",
        "errorMessage": refusal.message,
        "eventID": event_id,
        "eventType": "AwsApiCall",
        "recipientAccountId": get_account_id(),
    }
    cloudtrail._get_event_queue().append(
        {
            "EventId": event_id,
            "EventName": name,
            "EventSource": f"{prefix}.amazonaws.com",
            "EventTime": moment,
            "Username": user,
            "AccessKeyId": "",
            "ReadOnly": "false",
            "Resources": [{"ResourceName": refusal.resource, "ResourceType": ""}],
            "CloudTrailEvent": json.dumps(event),
        }
    )
