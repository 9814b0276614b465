"""Permissions are read from an assembly, removed from policies, and reported by the verb."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from slipway.cli import main
from slipway.emulator.environment import LocalEnvironment
from slipway.errors import RehearsalError
from slipway.permissions import run
from slipway.permissions.plan import UNPROVEN_HERE, Grant, functions, listed, without
from slipway.permissions.worker import Assignment, PermissionRow, plan_of

TABLE, INDEX = {"Fn::GetAtt": ["Table", "Arn"]}, {"Fn::Join": ["", ["table", "/index"]]}


def statement(actions: Any, resources: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """Write a stage of one stack: a function whose role has a policy, and an unrelated role."""
    folder = tmp_path / "assembly-Pipeline-dev-items"
    folder.mkdir()
    policy = {
        "Roles": [{"Ref": "Role"}],
        "PolicyDocument": {
            "Statement": [
                statement("kms:Decrypt", {"Fn::GetAtt": ["Key", "Arn"]}),
                statement(["dynamodb:GetItem", "dynamodb:Query"], [TABLE, INDEX]),
            ]
        },
    }
    template = {
        "Resources": {
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {"Role": {"Fn::GetAtt": ["Role", "Arn"]}},
            },
            "Policy": {"Type": "AWS::IAM::ManagedPolicy", "Properties": policy},
            "Another": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {**policy, "Roles": [{"Ref": "Deployer"}]}},
        }
    }

    def named(logical_id: str) -> list[dict[str, Any]]:
        return [{"type": "aws:cdk:logicalId", "data": logical_id}]

    reason = {"actions": ["kms:Decrypt"], "resources": [{"Fn::GetAtt": ["Key", "Arn"]}], "reason": "nobody asks"}
    metadata = {
        "/Pipeline/dev-items/Compute/Api/Hook/Function/Resource": named("Function"),
        "/Pipeline/dev-items/Compute/Api/Hook/Policy/Resource": named("Policy"),
        "/Pipeline/dev-items/Compute/Api/Hook/Policy": [{"type": UNPROVEN_HERE, "data": reason}],
    }
    artifact = {
        "type": "aws:cloudformation:stack",
        "properties": {"stackName": "dev-items-compute", "templateFile": "Compute.template.json"},
        "additionalMetadataFile": "Compute.metadata.json",
    }
    manifest = {"artifacts": {"Compute": artifact, "Compute.assets": {"type": "cdk:asset-manifest"}}}
    for name, content in (
        ("manifest.json", manifest),
        ("Compute.template.json", template),
        ("Compute.metadata.json", metadata),
    ):
        (folder / name).write_text(json.dumps(content))
    return folder


def test_function_has_constructs_name_and_roles_permissions(stage: Path) -> None:
    (function,) = functions(stage)
    assert (function.name, function.stack, function.logical_id) == (
        "items/Api/Hook",
        "dev-items-compute",
        "Function",
    )
    assert set(function.grants) == {
        Grant("Policy", 0, "kms:Decrypt", 0, unproven="nobody asks"),
        Grant("Policy", 1, "dynamodb:GetItem", 0),
        Grant("Policy", 1, "dynamodb:GetItem", 1),
        Grant("Policy", 1, "dynamodb:Query", 0),
        Grant("Policy", 1, "dynamodb:Query", 1),
    }


ACTIONS, RESOURCES = ("a:A", "b:B", "c:C"), ("x", "y", "z")
Pairs = set[tuple[int, str, int]]

documents = st.lists(
    st.builds(
        statement,
        st.lists(st.sampled_from(ACTIONS), min_size=1, unique=True) | st.sampled_from(ACTIONS),
        st.lists(st.sampled_from(RESOURCES), min_size=1, unique=True) | st.sampled_from(RESOURCES),
    ),
    min_size=1,
    max_size=4,
).map(lambda statements: {"Version": "2012-10-17", "Statement": statements})


def allowed(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return every permission that a document grants, including duplicates."""
    return sorted(
        (action, resource)
        for entry in document["Statement"]
        if entry["Effect"] == "Allow"
        for action in listed(entry["Action"])
        for resource in listed(entry["Resource"])
    )


@given(documents, st.data())
def test_only_the_removed_grants_are_missing_from_a_policy(document: dict[str, Any], data: st.DataObject) -> None:
    # Given a policy, and some of its grants
    grants = [
        (Grant("Policy", number, action, index), (action, resource))
        for number, entry in enumerate(document["Statement"])
        for action in listed(entry["Action"])
        for index, resource in enumerate(listed(entry["Resource"]))
    ]
    gone = data.draw(st.sets(st.integers(0, len(grants) - 1)))
    before = json.dumps(document)
    # When those are removed
    left = without(document, [grants[index][0] for index in gone])
    # Then the others remain, the policy is still valid, and the original is unchanged
    assert allowed(left) == sorted(pair for index, (_, pair) in enumerate(grants) if index not in gone)
    assert left["Statement"]
    assert json.dumps(document) == before


NEEDED = PermissionRow("items/Api", "a:A", "arn:aws:s3:::bucket/items/*", "needed", "test_it")
UNPROVEN = PermissionRow("items/Api", "b:B", "*", "unproven", "nobody asks")
NOT_NEEDED = PermissionRow("items/Api", "c:C", "arn:aws:sqs:r:1:queue", "NOT NEEDED", "no test fails")
FAULT = PermissionRow("items/Other", "", "", "FAULT", "no test is marked")


def test_the_table_lists_each_permission_once() -> None:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(run.table([NEEDED, UNPROVEN, NOT_NEEDED, FAULT]))
    lines = captured.get().splitlines()
    assert [" ".join(line.split()) for line in lines[2:]] == [
        "items/Api a:A bucket/items/* yes test_it",
        "b:B * unproven nobody asks",
        "c:C queue NOT NEEDED no test fails",
        "items/Other FAULT no test is marked",
    ]


def test_the_summary_counts() -> None:
    assert run.summary([NEEDED, UNPROVEN, NOT_NEEDED, FAULT]) == (
        "3 permissions of 2 functions: 1 needed, 1 unproven here, 1 not needed, 1 faults"
    )


@pytest.fixture
def unspoilt() -> Iterator[None]:
    """Restore the environment and the signal handlers that the command changes."""
    before = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    os.environ.clear()
    os.environ.update(before)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("rows", "code"), [([NEEDED, UNPROVEN], 0), ([NEEDED, NOT_NEEDED], 1), ([NEEDED, FAULT], 1)])
@pytest.mark.usefixtures("unspoilt")
def test_unneeded_permissions_fail_the_verb(
    monkeypatch: pytest.MonkeyPatch, rows: Sequence[PermissionRow], code: int
) -> None:
    monkeypatch.setattr(run, "examine", lambda *_, **__: list(rows))
    assert main(["permissions"]) == code


@pytest.mark.usefixtures("unspoilt")
def test_a_missing_service_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["permissions", "--service", "nope"]) == 2
    assert "unknown service 'nope' in dev" in capsys.readouterr().err


class Deployed:
    """An environment with one service, whose assembly is in the test's folder."""

    name = "dev"

    def __init__(self, assembly: Path) -> None:
        self.assembly = assembly

    def outputs(self) -> dict[str, dict[str, str]]:
        """Return the outputs of the service and the foundation."""
        return {"foundation": {}, "items": {}}


@pytest.mark.parametrize(
    ("assignment", "names"),
    [
        (Assignment(1, "dev"), ["items/Api/Hook"]),
        (Assignment(2, "dev", services=("items",)), ["items/Api/Hook"]),
        (Assignment(1, "dev", services=("ingest",)), []),
        (Assignment(1, "dev", functions=("items/Another",)), []),
    ],
)
def test_functions_are_those_of_the_deployed_assembly(stage: Path, assignment: Assignment, names: list[str]) -> None:
    deployed = cast("LocalEnvironment", Deployed(stage.parent))
    assert [function.name for function in plan_of(assignment, deployed)] == names


def test_the_workers_know_themselves_for_one_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[Assignment] = []

    class Process:
        name, exitcode, pid = "worker", 1, None

        def __init__(self, args: tuple[Assignment, object, object], **_: object) -> None:
            started.append(args[0])

        def start(self) -> None:
            """End immediately."""

        def is_alive(self) -> bool:
            return False

    context = multiprocessing.get_context("spawn")
    monkeypatch.setattr(type(context), "Process", Process)
    monkeypatch.setattr(run, "RESULT", tmp_path / "result.json")
    with pytest.raises(RehearsalError, match="the run is incomplete"):
        run.examine("dev", (), (), Console(quiet=True), workers=2)
    assert [assignment.number for assignment in started] == [1, 2]
    assert len({assignment.run for assignment in started} - {""}) == 1
