"""Change sets are created and executed under the roles of an action, and reported as by CloudFormation."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError
from slipway.rehearsal.player import changesets
from slipway.rehearsal.player.changesets import ChangeSetFailedError, ChangeSets, settled
from slipway.rehearsal.player.records import PlayedChange
from unit.rehearsal.aws import DEV, Stack, accounts_in

STACK = "dev-items-data"
DEPLOYS = tuple(
    f"cloudformation:{operation}"
    for operation in (
        *("DescribeStacks", "DescribeStackEvents", "DescribeChangeSet", "DeleteChangeSet", "CreateChangeSet"),
        *("ExecuteChangeSet", "GetTemplate", "UpdateStack"),
    )
)
TABLE = {"Type": "AWS::DynamoDB::Table", "Properties": {"BillingMode": "PAY_PER_REQUEST"}}
KEY = {"Type": "AWS::KMS::Key"}


class Formed:
    """An account, and an action that deploys to it."""

    def __init__(self, folder: Path) -> None:
        _, behind = accounts_in(folder)
        self.aws = behind[DEV]
        self.formation = self.aws.formation
        self.exec = self.aws.role("exec", "*")
        self.aws.role("deploy", *DEPLOYS, f"iam:PassRole {self.exec}")
        self.stopping = threading.Event()
        self.said: list[str] = []

    def sets(self, role: str = "deploy") -> ChangeSets:
        """Return the change sets as an action of a role uses them."""
        emulator = cast("Emulator", self.aws)
        return ChangeSets(emulator, self.aws.as_role(role), bucket="assets", stopping=self.stopping)

    def prepare(self, template: dict[str, Any] | str, *, stack: str = STACK, **more: str) -> list[PlayedChange]:
        """Create the change set."""
        text = template if isinstance(template, str) else json.dumps(template)
        return self.sets().replace({**self._configuration(stack), "RoleArn": self.exec, **more}, text)

    def execute(self, changes: list[PlayedChange], *, stack: str = STACK) -> str:
        """Execute the change set."""
        return self.sets().execute(self._configuration(stack), changes, self.said.append)

    def deploy(self, template: dict[str, Any], *, stack: str = STACK) -> str:
        """Create and execute a change set."""
        return self.execute(self.prepare(template, stack=stack), stack=stack)

    @property
    def stack(self) -> Stack:
        return self.formation.stacks[STACK]

    @staticmethod
    def _configuration(stack: str) -> dict[str, str]:
        return {"StackName": stack, "ChangeSetName": "PipelineChange"}


@pytest.fixture
def formed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Formed:
    monkeypatch.setattr(changesets, "POLL_SECONDS", 0.0)
    return Formed(tmp_path)


def _resources(**resources: Any) -> dict[str, Any]:
    return {"Resources": resources}


# --- Refused by CloudFormation ---

PROTECTED = {
    "Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": ["Update:Delete", "Update:Replace"], "Principal": "*", "Resource": "*"},
    ]
}


def test_what_the_stack_policy_denies_is_refused(formed: Formed) -> None:
    # Given a protected stack, and a template without its table, as in the rollback of a change that added it
    formed.deploy(_resources(Key=KEY, Table=TABLE))
    formed.stack.policy = PROTECTED
    changes = formed.prepare(_resources(Key=KEY))
    # When the change set is executed
    with pytest.raises(ChangeSetFailedError, match=r"Table: Action denied by stack policy: Statement \[#2\] .*Delete"):
        formed.execute(changes)
    # Then the stack is unchanged, and the change gives the reason
    assert set(formed.stack.template["Resources"]) == {"Key", "Table"}
    assert [(each.outcome, each.reason[:29]) for each in changes] == [
        ("UPDATE_FAILED", "Action denied by stack policy")
    ]


def test_a_protected_stack_takes_other_changes(formed: Formed) -> None:
    formed.deploy(_resources(Table=TABLE))
    formed.stack.policy = PROTECTED
    assert formed.deploy(_resources(Table=TABLE, Key=KEY)) == "1 resources"


@pytest.mark.parametrize(
    "status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_IN_PROGRESS"]
)
def test_a_stack_that_cannot_be_updated_takes_no_change_set(formed: Formed, status: str) -> None:
    formed.deploy(_resources(Key=KEY))
    formed.stack.status = status
    with pytest.raises(ChangeSetFailedError, match=f"is in {status} state and can not be updated"):
        formed.prepare(_resources(Key=KEY, Table=TABLE))


@pytest.mark.parametrize(
    ("protection", "policy", "status"),
    [
        ({"DeletionProtectionEnabled": True}, "RetainExceptOnCreate", "ROLLBACK_FAILED"),
        ({"DeletionProtectionEnabled": "true"}, "Delete", "ROLLBACK_FAILED"),
        ({"DeletionProtection": "ACTIVE"}, "RetainExceptOnCreate", "ROLLBACK_FAILED"),
        ({"DeletionProtectionEnabled": True}, "Retain", "ROLLBACK_COMPLETE"),
        ({"DeletionProtectionEnabled": False}, "RetainExceptOnCreate", "ROLLBACK_COMPLETE"),
    ],
)
def test_a_rollback_of_a_creation_keeps_protected_resources(
    formed: Formed, protection: dict[str, Any], policy: str, status: str
) -> None:
    # Given a new stack with a table, and a later resource that fails
    table = {**TABLE, "Properties": protection, "DeletionPolicy": policy}
    formed.formation.fails["Zone"] = "no"
    # Then the rollback fails if the table cannot be deleted
    with pytest.raises(ChangeSetFailedError, match=f"the stack is {status}"):
        formed.deploy(_resources(Table=table, Zone=KEY))


# --- Changes ---


def test_a_stack_that_is_not_there_is_created(formed: Formed) -> None:
    # Given a template with two resources
    changes = formed.prepare(_resources(Key=KEY, Table=TABLE))
    # Then the change set adds both, and has not been executed
    assert changes == [
        PlayedChange("Key", "AWS::KMS::Key", "Add"),
        PlayedChange("Table", "AWS::DynamoDB::Table", "Add"),
    ]
    assert formed.stack.status == "REVIEW_IN_PROGRESS"
    # When it is executed
    assert formed.execute(changes) == "2 resources"
    # Then both exist, and each change has its outcome
    assert (formed.stack.status, formed.stack.template) == ("CREATE_COMPLETE", _resources(Key=KEY, Table=TABLE))
    assert [change.outcome for change in changes] == ["CREATE_COMPLETE", "CREATE_COMPLETE"]


def test_a_stack_that_is_there_is_updated(formed: Formed) -> None:
    formed.deploy(_resources(Key=KEY, Table=TABLE, Old=KEY))
    changed = {**TABLE, "Properties": {"TableName": "t"}, "Replacement": "True"}
    changes = formed.prepare(_resources(Key=KEY, Table=changed, New=KEY))
    assert changes == [
        PlayedChange("New", "AWS::KMS::Key", "Add"),
        PlayedChange("Old", "AWS::KMS::Key", "Remove"),
        PlayedChange("Table", "AWS::DynamoDB::Table", "Modify", replacement="True"),
    ]
    assert formed.execute(changes) == "3 resources"
    assert formed.stack.status == "UPDATE_COMPLETE"
    assert set(formed.stack.template["Resources"]) == {"Key", "Table", "New"}


def test_each_event_is_shown_once_and_in_order(formed: Formed) -> None:
    formed.deploy(_resources(Key=KEY))
    formed.said.clear()
    formed.deploy(_resources(Key=KEY, Table=TABLE))
    assert formed.said == [
        f"UPDATE_IN_PROGRESS  AWS::CloudFormation::Stack  {STACK}",
        "UPDATE_COMPLETE  AWS::DynamoDB::Table  Table",
        f"UPDATE_COMPLETE  AWS::CloudFormation::Stack  {STACK}",
    ]


def test_earlier_events_of_a_stack_are_not_read_again(formed: Formed) -> None:
    # Given a stack with many pages of events
    formed.formation.page = 4
    for number in range(20):
        formed.deploy(_resources(**dict.fromkeys((f"Key{number}", "Key"), KEY)))
    assert len(formed.stack.events) > 10 * formed.formation.page
    formed.formation.older_pages = 0
    # When it is updated once more
    formed.deploy(_resources(Key=KEY))
    # Then only the newest page is read
    assert formed.formation.older_pages == 0


def test_stack_is_reported_from_first_to_last_event(formed: Formed) -> None:
    # Given an update with more events than fit on a page
    formed.formation.page = 2
    names = [f"Key{number}" for number in range(5)]
    changes = formed.prepare(_resources(**dict.fromkeys(names, KEY)))
    formed.execute(changes)
    told = [line.split()[-1] for line in formed.said]
    assert told == [STACK, *names, STACK]
    assert {change.outcome for change in changes} == {"CREATE_COMPLETE"}


def test_unchanged_stack_is_left_alone(formed: Formed) -> None:
    formed.deploy({**_resources(Key=KEY), "Outputs": {"Id": {"Value": "k"}}})
    before = list(formed.stack.events)
    # When the same template is deployed again, with other outputs
    changes = formed.prepare({**_resources(Key=KEY), "Outputs": {"Id": {"Value": "k"}}})
    # Then there are no changes, and the stack is not updated
    assert changes == []
    assert formed.execute(changes) == "no changes"
    assert formed.stack.events == before
    assert not [action for _, action in formed.aws.asked if action == "cloudformation:UpdateStack"]


def test_outputs_alone_are_changed_too(formed: Formed) -> None:
    formed.deploy({**_resources(Key=KEY), "Outputs": {"Id": {"Value": "old"}}})
    assert formed.deploy({**_resources(Key=KEY), "Outputs": {"Id": {"Value": "new"}}}) == "outputs"
    assert formed.stack.outputs == {"Id": "new"}
    # With the role that the stack already has
    assert formed.stack.role == formed.exec


def test_outputs_are_changed_if_the_stack_names_no_role(formed: Formed) -> None:
    formed.deploy({**_resources(Key=KEY), "Outputs": {"Id": {"Value": "old"}}})
    formed.stack.role = ""
    assert formed.deploy({**_resources(Key=KEY), "Outputs": {"Id": {"Value": "new"}}}) == "outputs"
    assert formed.stack.outputs == {"Id": "new"}


@pytest.mark.parametrize(("output", "said"), [("other", "outputs"), ("same", "no changes")])
def test_a_stack_follows_the_outputs_that_it_reads(formed: Formed, output: str, said: str) -> None:
    # Given a stack that reads an output of another one
    reader = _resources(
        Key={"Type": "AWS::KMS::Key", "Properties": {"Description": {"Fn::GetStackOutput": _reference("dev-base")}}}
    )
    base = {**_resources(Key=KEY), "Outputs": {"Name": {"Value": "same"}}}
    formed.deploy(base, stack="dev-base")
    formed.deploy(reader)
    # When that output changes or stays the same, and the reader's template stays the same
    formed.deploy({**base, "Outputs": {"Name": {"Value": output}}}, stack="dev-base")
    # Then the reader is updated only if it changed
    assert formed.deploy(reader) == said


def _reference(stack: str) -> dict[str, str]:
    return {"StackName": stack, "OutputName": "Name"}


def test_a_stack_may_read_one_that_is_not_there_yet(formed: Formed) -> None:
    reader = _resources(Key={"Type": "AWS::KMS::Key", "Reads": {"Fn::GetStackOutput": _reference("later")}})
    assert formed.deploy(reader) == "1 resources"


def test_changes_are_read_to_the_last_page(formed: Formed) -> None:
    formed.formation.page = 2
    names = [f"Key{number}" for number in range(5)]
    changes = formed.prepare(_resources(**dict.fromkeys(names, KEY)))
    assert [change.logical_id for change in changes] == names


def test_change_set_replaces_one_of_the_same_name(formed: Formed) -> None:
    # Given a change set that was never executed
    formed.prepare(_resources(Old=KEY))
    # When one of the same name is created and executed
    formed.deploy(_resources(New=KEY))
    # Then only the new one is deployed
    assert set(formed.stack.template["Resources"]) == {"New"}
    assert formed.stack.status == "CREATE_COMPLETE"


def test_settings_of_an_action_reach_cloudformation(formed: Formed) -> None:
    formed.prepare(
        _resources(Key=KEY),
        Capabilities="CAPABILITY_NAMED_IAM,CAPABILITY_AUTO_EXPAND",
        ParameterOverrides='{"Size": "3"}',
        ActionMode="CHANGE_SET_REPLACE",
    )
    made = formed.stack.sets["PipelineChange"]
    assert made["capabilities"] == ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    assert made["parameters"] == [{"ParameterKey": "Size", "ParameterValue": "3"}]
    assert made["role"] == formed.exec


def test_without_capabilities_none_are_given(formed: Formed) -> None:
    formed.prepare(_resources(Key=KEY))
    assert formed.stack.sets["PipelineChange"]["capabilities"] == []


# --- Failures ---


def test_a_rejected_template_is_reported_with_its_stack(formed: Formed) -> None:
    broken = _resources(Key={**KEY, "Of": {"Ref": "Nothing"}})
    with pytest.raises(ChangeSetFailedError, match=rf"^{STACK}: .*Unresolved resource dependencies \[Nothing\] in Key"):
        formed.prepare(broken)


def test_failed_resource_is_reported_and_its_stack_rolled_back(formed: Formed) -> None:
    # Given a stack, and a change set with one resource that fails
    formed.deploy(_resources(Key=KEY))
    formed.formation.fails["Table"] = "No, said the service"
    changes = formed.prepare(_resources(Key=KEY, Alias=KEY, Table=TABLE))
    # When it is executed
    with pytest.raises(ChangeSetFailedError) as error:
        formed.execute(changes)
    # Then the error has the resource's reason, and the stack is rolled back
    assert str(error.value) == (
        f"{STACK}: Table (AWS::DynamoDB::Table): No, said the service; the stack is UPDATE_ROLLBACK_COMPLETE"
    )
    assert formed.stack.template == _resources(Key=KEY)
    # And the failed resource keeps its outcome, though it was rolled back afterwards
    failed = next(change for change in changes if change.logical_id == "Table")
    assert (failed.outcome, failed.reason) == ("UPDATE_FAILED", "No, said the service")
    assert next(change for change in changes if change.logical_id == "Alias").outcome == "UPDATE_COMPLETE"


def test_a_stack_that_cannot_be_created_fails(formed: Formed) -> None:
    formed.formation.fails["Key"] = "Limit exceeded"
    with pytest.raises(ChangeSetFailedError, match=r"Limit exceeded; the stack is ROLLBACK_COMPLETE"):
        formed.deploy(_resources(Key=KEY))


def test_first_request_and_one_after_failure_are_cold(formed: Formed) -> None:
    formed.deploy(_resources(Key=KEY))
    formed.formation.cancels.add("Alias")
    formed.formation.fails["Table"] = "No"
    with pytest.raises(ChangeSetFailedError, match=r"Table \(AWS::DynamoDB::Table\): No;"):
        formed.deploy(_resources(Key=KEY, Alias=KEY, Table=TABLE))


def test_a_valid_change_succeeds_after_a_failed_one(formed: Formed) -> None:
    formed.deploy(_resources(Key=KEY))
    formed.formation.fails["Table"] = "No"
    with pytest.raises(ChangeSetFailedError):
        formed.deploy(_resources(Key=KEY, Table=TABLE))
    formed.formation.fails.clear()
    assert formed.deploy(_resources(Key=KEY, Table=TABLE)) == "1 resources"
    assert formed.stack.status == "UPDATE_COMPLETE"


@pytest.mark.parametrize("missing", [*("DescribeStacks", "DeleteChangeSet", "CreateChangeSet", "DescribeChangeSet")])
def test_a_denied_change_set_is_reported(formed: Formed, missing: str) -> None:
    may = [each for each in DEPLOYS if not each.endswith(f":{missing}")]
    formed.aws.role("deploy", *may, f"iam:PassRole {formed.exec}")
    with pytest.raises(ChangeSetFailedError, match=rf"^{STACK}: .*deploy.* is not authorized .*:{missing}"):
        formed.prepare(_resources(Key=KEY))


@pytest.mark.parametrize("missing", ["ExecuteChangeSet", "DescribeStackEvents"])
def test_a_denied_execution_of_a_change_set_is_reported(formed: Formed, missing: str) -> None:
    changes = formed.prepare(_resources(Key=KEY))
    formed.aws.role("deploy", *(each for each in DEPLOYS if not each.endswith(f":{missing}")))
    with pytest.raises(ChangeSetFailedError, match=rf"^{STACK}: .*is not authorized .*:{missing}"):
        formed.execute(changes)
    assert formed.stack.status == "REVIEW_IN_PROGRESS"


def test_role_may_not_pass_roles_without_permission(formed: Formed) -> None:
    formed.aws.role("other", "*")
    with pytest.raises(ChangeSetFailedError, match=r"is not authorized .*iam:PassRole"):
        formed.prepare(_resources(Key=KEY), RoleArn=f"arn:aws:iam::{DEV}:role/other")


def test_a_change_set_that_was_never_made_cannot_be_executed(formed: Formed) -> None:
    with pytest.raises(ChangeSetFailedError, match=rf"{STACK}: Stack with id {STACK} does not exist"):
        formed.execute([])
    formed.deploy(_resources(Key=KEY))
    with pytest.raises(ChangeSetFailedError, match=r"ChangeSet \[PipelineChange\] does not exist"):
        formed.execute([])


@pytest.mark.parametrize("mode", ["prepare", "execute"])
def test_a_setting_that_the_player_does_not_know_is_named(formed: Formed, mode: str) -> None:
    configuration = {"StackName": STACK, "ChangeSetName": "PipelineChange", "RoleArn": formed.exec, "Deploy": "yes"}
    does: Callable[[], object] = {
        "prepare": lambda: formed.sets().replace(configuration, "{}"),
        "execute": lambda: formed.sets().execute(configuration, [], formed.said.append),
    }[mode]
    with pytest.raises(RehearsalError, match="the player does not support Deploy in a CloudFormation action"):
        does()
    assert not formed.formation.stacks


def test_a_stopped_run_stops_waiting_for_a_stack(formed: Formed) -> None:
    changes = formed.prepare(_resources(Key=KEY))
    formed.stopping.set()
    with pytest.raises(RehearsalError, match=f"{STACK}: interrupted"):
        formed.execute(changes)


def test_a_stack_that_takes_too_long_fails(formed: Formed, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = formed.prepare(_resources(Key=KEY))
    monkeypatch.setattr(changesets, "LONGEST_SECONDS", -1.0)
    with pytest.raises(ChangeSetFailedError, match=f"{STACK}: still not done after"):
        formed.execute(changes)


def test_stacks_with_an_operation_in_progress_are_found(formed: Formed) -> None:
    states = {
        "a": "UPDATE_IN_PROGRESS",
        "b": "UPDATE_COMPLETE",
        "c": "REVIEW_IN_PROGRESS",
        "d": "UPDATE_ROLLBACK_IN_PROGRESS",
        "e": "ROLLBACK_FAILED",
    }
    formed.formation.stacks.update({name: Stack(status) for name, status in states.items()})
    assert list(settled(cast("Emulator", formed.aws))) == ["a", "d"]
