"""An in-memory CloudFormation."""

# ruff: noqa: N803

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from unit.rehearsal.aws.client import RefusedError
from unit.rehearsal.aws.identity import NOT_AUTHORIZED, REGION, Who

if TYPE_CHECKING:
    from unit.rehearsal.aws.account import Account


@dataclass
class Stack:
    """A stack."""

    status: str
    template: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    """Oldest first."""
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    role: str = ""
    resources: list[dict[str, Any]] = field(default_factory=list)
    policy: dict[str, Any] | None = None


class Formation:
    """CloudFormation; like the emulator's, its change sets miss changes of outputs, and `UpdateStack` applies them.

    An operation advances by one step each time the stack is described.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self.stacks: dict[str, Stack] = {}
        self.fails: dict[str, str] = {}
        """Resources that fail, with the reason, by logical id."""
        self.cancels: set[str] = set()
        """Logical ids of resources that are canceled because another one fails."""
        self.unknown_types: set[str] = set()
        self.page = 100
        """Maximum number of changes, or events, on a page."""
        self.older_pages = 0
        """How often an event page other than the newest was read."""
        self._steps: dict[str, Iterator[None]] = {}

    def _of(self, name: str) -> Stack:
        if name not in self.stacks:
            raise RefusedError("ValidationError", f"Stack with id {name} does not exist")
        return self.stacks[name]

    def _read(self, url: str) -> dict[str, Any]:
        bucket, _, key = url.partition(".amazonaws.com/")[2].partition("/")
        if (bucket, key) not in self._account.s3.objects:
            raise RefusedError("ValidationError", f"S3 error: there is no {key}")
        template: dict[str, Any] = json.loads(self._account.s3.objects[bucket, key])
        for name, resource in template.get("Resources", {}).items():
            for reference in re.findall(r'\{"Ref": "(\w+)"\}', json.dumps(resource)):
                if reference not in template["Resources"]:
                    message = f"Template format error: Unresolved resource dependencies [{reference}] in {name}"
                    raise RefusedError("ValidationError", message)
        return template

    def _pass(self, who: Who, role: str) -> None:
        account, name = role.split(":")[4], role.rpartition("/")[2]
        if (account, name) not in self._account.roles:
            raise RefusedError("ValidationError", f"Role {role} is invalid or cannot be assumed")
        if who.role is not None and not self._account.roles[who.account, who.role].allows("iam:PassRole", role):
            raise RefusedError("AccessDenied", NOT_AUTHORIZED.format(who=who.arn, action="iam:PassRole"))

    def create_change_set(
        self,
        who: Who,
        *,
        StackName: str,
        ChangeSetName: str,
        ChangeSetType: str,
        TemplateURL: str,
        Capabilities: list[str],
        RoleARN: str,
        Parameters: list[dict[str, str]],
    ) -> dict[str, Any]:
        self._pass(who, RoleARN)
        template = self._read(TemplateURL)
        exists = StackName in self.stacks and self.stacks[StackName].status != "REVIEW_IN_PROGRESS"
        if ChangeSetType == "CREATE":
            if exists:
                raise RefusedError("ValidationError", f"Stack [{StackName}] already exists and cannot be created again")
            stack = self.stacks.setdefault(StackName, Stack("REVIEW_IN_PROGRESS"))
        else:
            stack = self._of(StackName)
        before, after = stack.template.get("Resources", {}), template["Resources"]
        changes = [_change("Add", name, after[name]) for name in sorted(after.keys() - before.keys())]
        changes += [_change("Remove", name, before[name]) for name in sorted(before.keys() - after.keys())]
        changes += [
            _change("Modify", name, after[name])
            for name in sorted(after.keys() & before.keys())
            if before[name] != after[name]
        ]
        stack.sets[ChangeSetName] = {
            "status": "CREATE_COMPLETE" if changes else "FAILED",
            "reason": "" if changes else "The submitted information didn't contain changes.",
            "changes": changes,
            "template": template,
            "role": RoleARN,
            "parameters": Parameters,
            "capabilities": Capabilities,
            "asked": 0,
        }
        return {"Id": f"arn:aws:cloudformation:{REGION}:1:changeSet/{ChangeSetName}/1"}

    def delete_change_set(self, who: Who, *, StackName: str, ChangeSetName: str) -> None:
        self._of(StackName).sets.pop(ChangeSetName, None)

    def _set(self, stack: str, name: str) -> dict[str, Any]:
        found = self._of(stack).sets.get(name)
        if found is None:
            raise RefusedError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")
        return found

    def describe_change_set(
        self,
        who: Who,
        *,
        StackName: str,
        ChangeSetName: str,
        NextToken: str = "0",
    ) -> dict[str, Any]:
        found = self._set(StackName, ChangeSetName)
        found["asked"] += 1
        if found["asked"] == 1:
            return {"ChangeSetName": ChangeSetName, "Status": "CREATE_IN_PROGRESS"}
        start = int(NextToken)
        end = start + self.page
        return {
            "ChangeSetName": ChangeSetName,
            "Status": found["status"],
            "StatusReason": found["reason"],
            "Changes": [{"Type": "Resource", "ResourceChange": change} for change in found["changes"][start:end]],
            **({"NextToken": str(end)} if end < len(found["changes"]) else {}),
        }

    def execute_change_set(self, who: Who, *, StackName: str, ChangeSetName: str) -> None:
        stack, found = self._of(StackName), self._set(StackName, ChangeSetName)
        if found["status"] != "CREATE_COMPLETE":
            raise RefusedError("InvalidChangeSetStatus", f"ChangeSet [{ChangeSetName}] cannot be executed")
        del stack.sets[ChangeSetName]
        kind = "CREATE" if stack.status == "REVIEW_IN_PROGRESS" else "UPDATE"
        stack.role = found["role"]
        self._steps[StackName] = self._play(StackName, stack, kind, found["changes"], found["template"])

    def update_stack(
        self,
        who: Who,
        *,
        StackName: str,
        TemplateURL: str,
        Capabilities: list[str],
        RoleARN: str | None = None,
    ) -> dict[str, Any]:
        stack, template = self._of(StackName), self._read(TemplateURL)
        if RoleARN is not None:
            self._pass(who, RoleARN)
        if template == stack.template:
            raise RefusedError("ValidationError", "No updates are to be performed.")
        self._steps[StackName] = self._play(StackName, stack, "UPDATE", [], template)
        return {"StackId": self._id(StackName)}

    def _play(
        self, name: str, stack: Stack, kind: str, changes: list[dict[str, Any]], template: dict[str, Any]
    ) -> Iterator[None]:
        """Yield the steps of the stack's operation."""
        self._happens(name, stack, name, "AWS::CloudFormation::Stack", f"{kind}_IN_PROGRESS")
        stack.status = f"{kind}_IN_PROGRESS"
        yield
        for change in changes:
            logical_id, resource_type = change["LogicalResourceId"], change["ResourceType"]
            if logical_id in self.cancels and self.fails:
                self._happens(name, stack, logical_id, resource_type, f"{kind}_FAILED", "Resource update cancelled")
                continue
            if logical_id in self.fails:
                reason = self.fails[logical_id]
                self._happens(name, stack, logical_id, resource_type, f"{kind}_FAILED", reason)
                stack.status = "ROLLBACK_IN_PROGRESS" if kind == "CREATE" else "UPDATE_ROLLBACK_IN_PROGRESS"
                yield
                self._happens(name, stack, logical_id, resource_type, f"{kind}_COMPLETE")
                stack.status = stack.status.replace("IN_PROGRESS", "COMPLETE")
                self._happens(name, stack, name, "AWS::CloudFormation::Stack", stack.status)
                return
            self._happens(name, stack, logical_id, resource_type, f"{kind}_COMPLETE")
            yield
        stack.template = template
        stack.outputs = {key: str(each["Value"]) for key, each in template.get("Outputs", {}).items()}
        stack.status = f"{kind}_COMPLETE"
        self._happens(name, stack, name, "AWS::CloudFormation::Stack", stack.status)

    def _happens(  # noqa: PLR0917
        self, name: str, stack: Stack, logical_id: str, resource_type: str, status: str, reason: str = ""
    ) -> None:
        stack.events.append(
            {
                "StackId": self._id(name),
                "EventId": str(len(stack.events)),
                "StackName": name,
                "Timestamp": 0,
                "LogicalResourceId": logical_id,
                "ResourceType": resource_type,
                "ResourceStatus": status,
                **({"ResourceStatusReason": reason} if reason else {}),
            }
        )

    def _id(self, name: str) -> str:
        return f"arn:aws:cloudformation:{REGION}:{self._account.account}:stack/{name}/1"

    def describe_stacks(self, who: Who, *, StackName: str | None = None) -> dict[str, Any]:
        if StackName is not None:
            self._of(StackName)
            if StackName in self._steps:
                next(self._steps[StackName], None)
        return {
            "Stacks": [
                {
                    "StackName": name,
                    "StackId": self._id(name),
                    "CreationTime": 0,
                    "StackStatus": stack.status,
                    "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in stack.outputs.items()],
                    **({"RoleARN": stack.role} if stack.role else {}),
                }
                for name, stack in self.stacks.items()
                if StackName in {None, name}
            ]
        }

    def describe_stack_events(self, who: Who, *, StackName: str, NextToken: str = "") -> dict[str, Any]:
        start = int(NextToken or 0)
        if NextToken:
            self.older_pages += 1
        events = self._of(StackName).events[::-1]
        end = start + self.page
        return {"StackEvents": events[start:end], **({"NextToken": str(end)} if end < len(events) else {})}

    def describe_stack_resources(self, who: Who, *, StackName: str) -> dict[str, Any]:
        resources = self._of(StackName).resources
        return {"StackResources": [{"Timestamp": 0, "ResourceStatus": "CREATE_COMPLETE", **each} for each in resources]}

    def get_template(self, who: Who, *, StackName: str, ChangeSetName: str | None = None) -> dict[str, Any]:
        stack = self._of(StackName)
        template = stack.template if ChangeSetName is None else self._set(StackName, ChangeSetName)["template"]
        return {"TemplateBody": json.dumps(template)}

    def get_stack_policy(self, who: Who, *, StackName: str) -> dict[str, Any]:
        policy = self._of(StackName).policy
        return {} if policy is None else {"StackPolicyBody": json.dumps(policy)}

    def validate_template(self, who: Who, *, TemplateBody: str) -> None:
        types = {resource["Type"] for resource in json.loads(TemplateBody)["Resources"].values()}
        if unknown := sorted(types & self.unknown_types):
            message = f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]"
            raise RefusedError("ValidationError", message)


def _change(action: str, name: str, resource: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Action": action,
        "LogicalResourceId": name,
        "ResourceType": resource["Type"],
        **({"Replacement": resource.get("Replacement", "False")} if action == "Modify" else {}),
    }
