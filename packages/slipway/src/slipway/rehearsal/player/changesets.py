"""CloudFormation actions: create and execute change sets under the roles that the pipeline names."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from slipway.emulator.server import Credentials, Emulator
from slipway.emulator.stages import EmulatedStack
from slipway.errors import RehearsalError
from slipway.rehearsal.player.records import PlayedChange
from slipway.rehearsal.player.stack_policies import denials

POLL_SECONDS = 0.1
"""Interval at which a stack is polled, seconds."""
IDLE_POLL_SECONDS = 0.5
"""Maximum interval while nothing happens, seconds: a canary takes long, and frequent polling slows the emulator."""
LONGEST_SECONDS = 1_800.0
"""Time-out of a stack here, seconds; a deployment in virtual time is shorter."""

_NO_CHANGES = re.compile(r"didn't contain changes|No updates are to be performed", re.IGNORECASE)
_ENDED = re.compile(r"(COMPLETE|FAILED)$")
_KNOWN = frozenset(
    {
        *("ActionMode", "Capabilities", "ChangeSetName", "OutputFileName", "ParameterOverrides", "RoleArn"),
        *("StackName", "TemplatePath", "TemplateConfiguration"),
    }
)
_TAKES_CHANGE_SETS = frozenset(
    {
        *("REVIEW_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"),
        *("IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"),
    }
)
"""Stack statuses in which CloudFormation creates a change set. A stack whose creation was rolled back can only be
deleted (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html).
"""
_STAGING = "rehearsal"
"""Prefix of the templates in an account's bootstrap bucket; CodePipeline itself needs no bucket for them."""


class ChangeSetFailedError(RehearsalError):
    """A stack's change failed. The message contains the first reason."""


class ChangeSets:
    """CloudFormation in one account, for one action.

    Args:
        emulator: Emulator of the account.
        credentials: Credentials of the action's role.
        bucket: The account's bootstrap bucket.
        stopping: Set when everything must stop.
    """

    def __init__(self, emulator: Emulator, credentials: Credentials, *, bucket: str, stopping: threading.Event) -> None:
        self._formation = emulator.session(credentials).client("cloudformation")
        self._root = emulator.session()
        self._region = emulator.region
        self._bucket, self._stopping = bucket, stopping

    def replace(self, configuration: Mapping[str, str], template: str) -> list[PlayedChange]:
        """Execute `CHANGE_SET_REPLACE`: return what the template would change.

        Args:
            configuration: Configuration of the action.
            template: The template that `TemplatePath` names.

        Returns:
            The changes; empty if the stack already matches the template.

        Raises:
            ChangeSetFailedError: CloudFormation refuses the template.
        """
        self._check(configuration)
        stack, name = configuration["StackName"], configuration["ChangeSetName"]
        body = self._marked(json.loads(template))
        key = f"{_STAGING}/{stack}-{hashlib.sha256(body.encode()).hexdigest()[:16]}.json"
        self._root.client("s3").put_object(Bucket=self._bucket, Key=key, Body=body.encode())
        overrides = json.loads(configuration.get("ParameterOverrides", "{}"))
        status = self._status(stack)
        if status is not None and status not in _TAKES_CHANGE_SETS:
            raise ChangeSetFailedError(f"{stack}: Stack:{stack} is in {status} state and can not be updated.")
        kind = "CREATE" if status in {None, "REVIEW_IN_PROGRESS"} else "UPDATE"
        try:
            self._formation.delete_change_set(StackName=stack, ChangeSetName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}:
                raise ChangeSetFailedError(f"{stack}: {error}") from error
        try:
            self._formation.create_change_set(
                StackName=stack,
                ChangeSetName=name,
                ChangeSetType=kind,  # type: ignore[arg-type]  # one of the two
                TemplateURL=f"https://s3.{self._region}.amazonaws.com/{self._bucket}/{key}",
                Capabilities=configuration.get("Capabilities", "").split(",")
                if configuration.get("Capabilities")
                else [],  # type: ignore[arg-type]
                RoleARN=configuration["RoleArn"],
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in overrides.items()],
            )
            described = self._described(stack, name)
        except ClientError as error:
            raise ChangeSetFailedError(f"{stack}: {error.response['Error'].get('Message', error)}") from error
        if described["Status"] == "FAILED" and not _NO_CHANGES.search(described.get("StatusReason", "")):
            raise ChangeSetFailedError(f"{stack}: {described.get('StatusReason', 'the change set failed')}")
        return _changes(described)

    def execute(
        self, configuration: Mapping[str, str], changes: list[PlayedChange], progress: Callable[[str], None]
    ) -> str:
        """Execute `CHANGE_SET_EXECUTE`: deploy the changes, and wait.

        Args:
            configuration: Configuration of the action.
            changes: Result of `replace`; each change gets its outcome.
            progress: Called with each event.

        Returns:
            A short description of what was done.

        Raises:
            ChangeSetFailedError: A resource failed, and the stack was rolled back.
        """
        self._check(configuration)
        stack, name = configuration["StackName"], configuration["ChangeSetName"]
        guarded: frozenset[str] = frozenset()
        try:
            described = self._described(stack, name)
            begun = self._newest(stack)
            if described["Status"] == "FAILED":
                if not self._update_outputs(stack, described):
                    return "no changes"
            else:
                self._refuse_denied(stack, described, changes)
                guarded = self._guarded(stack, name)
                self._formation.execute_change_set(StackName=stack, ChangeSetName=name)
        except ClientError as error:
            raise ChangeSetFailedError(f"{stack}: {error.response['Error'].get('Message', error)}") from error
        status, events = self._wait(stack, begun, progress)
        if status == "ROLLBACK_COMPLETE" and (kept := guarded & _made(events)):
            raise ChangeSetFailedError(
                f"{stack}: {_first_reason(events) or status}; the stack is ROLLBACK_FAILED: {', '.join(sorted(kept))}: "
                "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection "
                "first."
            )
        outcomes = _outcomes(events)
        for change in changes:
            change.outcome, change.reason = outcomes.get(change.logical_id, ("", ""))
        if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise ChangeSetFailedError(f"{stack}: {_first_reason(events) or status}; the stack is {status}")
        return f"{len(changes)} resources" if changes else "outputs"

    def _refuse_denied(self, stack: str, described: Any, changes: list[PlayedChange]) -> None:
        """Refuse changes that the stack's policy denies. Like CloudFormation, fail the update and roll it back.

        Raises:
            ChangeSetFailedError: The policy denies a change.
        """
        body = self._root.client("cloudformation").get_stack_policy(StackName=stack).get("StackPolicyBody")
        if not body:
            return
        denied = {change.logical_id: reason for change, reason in denials(json.loads(body), _changes(described))}
        for change in changes:
            if change.logical_id in denied:
                change.outcome, change.reason = "UPDATE_FAILED", denied[change.logical_id]
        for logical_id, reason in denied.items():
            raise ChangeSetFailedError(f"{stack}: {logical_id}: {reason}; the stack is UPDATE_ROLLBACK_COMPLETE")

    def _guarded(self, stack: str, name: str) -> frozenset[str]:
        """Return a change set's resources whose deletion protection would block a creation's rollback."""
        body = self._formation.get_template(StackName=stack, ChangeSetName=name)["TemplateBody"]
        return frozenset(
            logical_id
            for logical_id, resource in json.loads(_text(body)).get("Resources", {}).items()
            if resource.get("DeletionPolicy", "Delete") in {"Delete", "RetainExceptOnCreate"}
            and _is_guarded(resource.get("Properties", {}))
        )

    def _update_outputs(self, stack: str, described: Any) -> bool:
        """Apply a template that only changes outputs or values read from other stacks; return True if there was one.

        On AWS that is a change like any other. The emulator's change sets miss it, but its UpdateStack doesn't.
        """
        pending = self._formation.get_template(StackName=stack, ChangeSetName=described["ChangeSetName"])[
            "TemplateBody"
        ]
        present = self._formation.get_template(StackName=stack)["TemplateBody"]
        if _text(pending) == _text(present):
            return False
        body = _text(pending)
        key = f"{_STAGING}/{stack}-{hashlib.sha256(body.encode()).hexdigest()[:16]}.json"
        self._root.client("s3").put_object(Bucket=self._bucket, Key=key, Body=body.encode())
        url = f"https://s3.{self._region}.amazonaws.com/{self._bucket}/{key}"
        role = self._root.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0].get("RoleARN")
        # Without one, CloudFormation uses the stack's own role.
        as_role: Any = {"RoleARN": role} if role else {}
        try:
            self._formation.update_stack(
                StackName=stack,
                TemplateURL=url,
                Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
                **as_role,
            )
        except ClientError as error:
            if _NO_CHANGES.search(error.response["Error"].get("Message", "")):
                return False
            raise
        return True

    def _marked(self, template: dict[str, Any]) -> str:
        """Return the template with a digest of the values that it reads from other stacks.

        CloudFormation reads the outputs of other stacks when it updates a stack. A stack with an unchanged template is
        not updated, even if they have changed.
        """
        references = sorted(EmulatedStack("", template).references)
        if references:
            values = {stack: self.outputs(stack) for stack in {stack for stack, _ in references}}
            text = json.dumps([[stack, output, values[stack].get(output)] for stack, output in references])
            template.setdefault("Metadata", {})["References"] = hashlib.sha256(text.encode()).hexdigest()[:16]
        return json.dumps(template, separators=(",", ":"))

    def outputs(self, stack: str) -> dict[str, str]:
        """Return the outputs of a stack; empty if it does not exist."""
        try:
            described = self._root.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        except ClientError:
            return {}
        return {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}

    def _status(self, stack: str) -> str | None:
        try:
            return self._formation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                return None
            raise ChangeSetFailedError(f"{stack}: {error.response['Error'].get('Message', error)}") from error

    def _described(self, stack: str, name: str) -> Any:
        deadline = time.monotonic() + LONGEST_SECONDS
        while True:
            described = self._formation.describe_change_set(StackName=stack, ChangeSetName=name)
            if described["Status"] not in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}:
                break
            self._pause(deadline, stack, POLL_SECONDS)
        token = described.get("NextToken")
        while token:
            more = self._formation.describe_change_set(StackName=stack, ChangeSetName=name, NextToken=token)
            described["Changes"] += more["Changes"]
            token = more.get("NextToken")
        return described

    def _wait(self, stack: str, begun: str, progress: Callable[[str], None]) -> tuple[str, list[Any]]:
        """Wait for the end of a stack's operation; return its status and events, oldest first.

        Args:
            stack: Its name.
            begun: Id of its newest event before the operation.
            progress: Called with each event.
        """
        deadline = time.monotonic() + LONGEST_SECONDS
        events: list[Any] = []
        pause = POLL_SECONDS
        while True:
            # The stack's own status may not have changed yet at the first poll.
            started = bool(events)
            status = self._status(stack) or "DELETE_COMPLETE"
            new = self._events(stack, after=events[-1]["EventId"] if events else begun)
            for event in new:
                progress(f"{event['ResourceStatus']}  {event['ResourceType']}  {event['LogicalResourceId']}")
            events += new
            if started and _ENDED.search(status):
                return status, events
            pause = POLL_SECONDS if new else min(1.5 * pause, IDLE_POLL_SECONDS)
            self._pause(deadline, stack, pause)

    def _newest(self, stack: str) -> str:
        """Return the id of the stack's newest event, or an empty text."""
        newest = self._formation.describe_stack_events(StackName=stack)["StackEvents"][:1]
        return newest[0]["EventId"] if newest else ""

    def _events(self, stack: str, *, after: str) -> list[Any]:
        """Return the stack's events after a given one, oldest first; a stack keeps all of its events."""
        found: list[Any] = []
        for page in self._formation.get_paginator("describe_stack_events").paginate(StackName=stack):
            for event in page["StackEvents"]:
                if event["EventId"] == after:
                    return found[::-1]
                found.append(event)
        return found[::-1]

    def _pause(self, deadline: float, stack: str, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise RehearsalError(f"{stack}: interrupted")
        if time.monotonic() > deadline:
            raise ChangeSetFailedError(f"{stack}: still not done after {LONGEST_SECONDS:.0f} s")

    @staticmethod
    def _check(configuration: Mapping[str, str]) -> None:
        if strangers := sorted(configuration.keys() - _KNOWN):
            raise RehearsalError(f"the player does not support {', '.join(strangers)} in a CloudFormation action")


def settled(emulator: Emulator) -> Iterator[str]:
    """Yield an account's stacks with an operation in progress.

    Args:
        emulator: Emulator of the account.
    """
    formation = emulator.session().client("cloudformation")
    for page in formation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            if stack["StackStatus"].endswith("_IN_PROGRESS") and stack["StackStatus"] != "REVIEW_IN_PROGRESS":
                yield stack["StackName"]


def _change(change: Any) -> PlayedChange:
    return PlayedChange(
        logical_id=change["LogicalResourceId"],
        type=change["ResourceType"],
        action=change["Action"],
        replacement=change.get("Replacement", ""),
    )


def _changes(described: Any) -> list[PlayedChange]:
    return [_change(each["ResourceChange"]) for each in described.get("Changes", []) if "ResourceChange" in each]


def _made(events: list[Any]) -> set[str]:
    return {event["LogicalResourceId"] for event in events if event["ResourceStatus"] == "CREATE_COMPLETE"}


def _is_guarded(properties: Mapping[str, Any]) -> bool:
    """Return True if a resource is protected against deletion; tables and user pools have different property names."""
    return str(properties.get("DeletionProtectionEnabled", "")).lower() == "true" or (
        str(properties.get("DeletionProtection", "")).lower() in {"true", "active"}
    )


def _outcomes(events: list[Any]) -> dict[str, tuple[str, str]]:
    """Return the result for each resource: its last event, or the failure before its rollback."""
    found: dict[str, tuple[str, str]] = {}
    for event in events:
        if not found.get(event["LogicalResourceId"], ("", ""))[0].endswith("_FAILED"):
            found[event["LogicalResourceId"]] = (event["ResourceStatus"], event.get("ResourceStatusReason", ""))
    return found


def _first_reason(events: list[Any]) -> str | None:
    for event in events:
        reason = event.get("ResourceStatusReason", "")
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason.lower():
            return f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}"
    return None


def _text(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
