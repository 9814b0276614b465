"""Aliases are moved back to the version that CodeDeploy deployed before."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from slipway.rehearsal.player.deployment_history import DeploymentHistory, PastDeployment
from slipway.rollback.aliases import AliasMove, move, plan_moves
from slipway.rollback.errors import RollbackError

ACCOUNT = "123456789012"
STACK = "prod-items-compute"
FUNCTION = f"{STACK}-Api-1A2B"
ALIAS_ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{FUNCTION}:live"


def _past(identifier: str, old: str, new: str, *, ended: float, succeeded: bool = True) -> PastDeployment:
    return PastDeployment(
        identifier, ACCOUNT, "app", "group", FUNCTION, "live", old, new, succeeded, started=ended - 60, ended=ended
    )


_MODELS = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b")
"""Reads AWS's models once for all tests."""


class Session:
    """Clients that answer according to AWS's model; CodeDeploy's answers come from the player's history."""

    def __init__(
        self, folder: Path, alias: dict[str, Any], *past: PastDeployment, gone: bool = False, is_there: bool = True
    ) -> None:
        self.history = DeploymentHistory(folder / "codedeploy.json")
        for each in past:
            self.history.add(each)
        self._made: dict[str, Any] = {}
        self.stubs: dict[str, Stubber] = {}
        for name in ("cloudformation", "codedeploy", "lambda"):
            client = _MODELS.client(name, "us-east-1")
            self._made[name], self.stubs[name] = client, Stubber(client)
            self.stubs[name].activate()
        self._formation(is_there=is_there)
        self._deployments()
        self.stubs["lambda"].add_response("get_alias", alias, {"FunctionName": FUNCTION, "Name": "live"})
        if gone:
            self.stubs["lambda"].add_client_error("get_function_configuration", "ResourceNotFoundException")
        else:
            self.stubs["lambda"].add_response("get_function_configuration", {"FunctionName": FUNCTION})

    def client(self, name: str) -> Any:
        return self._made[name]

    def _formation(self, *, is_there: bool) -> None:
        summary = {
            "LogicalResourceId": "Live",
            "ResourceStatus": "CREATE_COMPLETE",
            "LastUpdatedTimestamp": datetime(2026, 1, 1, tzinfo=UTC),
        }
        others = ("AWS::Lambda::Function", FUNCTION), ("AWS::Lambda::Alias", f"{ALIAS_ARN[:-4]}staging")
        listed = [
            {**summary, "ResourceType": kind, "PhysicalResourceId": identifier}
            for kind, identifier in (*others, *([("AWS::Lambda::Alias", ALIAS_ARN)] if is_there else []))
        ]
        self.stubs["cloudformation"].add_response("list_stack_resources", {"StackResourceSummaries": listed})

    def _deployments(self) -> None:
        listed = self.history.ask("ListDeployments", {"includeOnlyStatuses": ["Succeeded"]}, ACCOUNT)
        self.stubs["codedeploy"].add_response("list_deployments", listed)
        if listed["deployments"]:
            found = self.history.ask("BatchGetDeployments", {"deploymentIds": listed["deployments"]}, ACCOUNT)
            for each in found["deploymentsInfo"]:
                for name in ("createTime", "completeTime"):
                    each[name] = datetime.fromtimestamp(each[name], UTC)
            self.stubs["codedeploy"].add_response("batch_get_deployments", found)


def _alias(version: str, **more: Any) -> dict[str, Any]:
    return {"FunctionVersion": version, "RevisionId": "r-1", **more}


def _moves(session: Session, **options: bool) -> AliasMove:
    (found,) = plan_moves(session, STACK, **options)  # type: ignore[arg-type]  # the clients are boto3's own
    return found


def test_a_version_that_failed_its_canary_is_skipped(tmp_path: Path) -> None:
    # Given version 2, whose deployment was stopped, and version 3, which replaced 1
    past = (
        _past("d-1", "1", "2", ended=100, succeeded=False),
        _past("d-2", "1", "3", ended=200),
    )
    # When the alias is moved back from 3, then its target is 1
    assert _moves(Session(tmp_path, _alias("3"), *past)) == AliasMove(FUNCTION, "3", "1", revision="r-1")


def test_the_newest_deployment_of_a_version_counts(tmp_path: Path) -> None:
    past = (_past("d-1", "1", "3", ended=100), _past("d-2", "2", "3", ended=200))
    assert _moves(Session(tmp_path, _alias("3"), *past)).wanted == "2"


def test_an_alias_without_a_history_is_not_moved(tmp_path: Path) -> None:
    found = _moves(Session(tmp_path, _alias("1")))
    assert found.wanted is None
    assert "no successful deployment of version 1 found" in found.reason


def test_an_alias_in_a_running_canary_is_not_moved(tmp_path: Path) -> None:
    weights = {"RoutingConfig": {"AdditionalVersionWeights": {"4": 0.1}}}
    found = _moves(Session(tmp_path, _alias("3", **weights), _past("d-1", "1", "3", ended=100)))
    assert (found.wanted, "stop-deployment" in found.reason) == (None, True)


def test_a_deleted_version_is_named(tmp_path: Path) -> None:
    found = _moves(Session(tmp_path, _alias("3"), _past("d-1", "1", "3", ended=100), gone=True))
    assert found.reason == "the previous version, 1, was deleted"


def test_undo_restores_the_last_deployed_version(tmp_path: Path) -> None:
    past = (_past("d-1", "0", "1", ended=100), _past("d-2", "1", "3", ended=200))
    assert _moves(Session(tmp_path, _alias("1"), *past), undo=True).wanted == "3"
    assert _moves(Session(tmp_path / "new", _alias("3"), *past), undo=True).wanted is None


def test_a_move_overwrites_no_other_change(tmp_path: Path) -> None:
    # Given an alias as it was read
    session = Session(tmp_path, _alias("3"))
    stub = Stubber(session.client("lambda"))
    stub.add_response(
        "update_alias",
        {},
        {
            "FunctionName": FUNCTION,
            "Name": "live",
            "FunctionVersion": "1",
            "RoutingConfig": {"AdditionalVersionWeights": {}},
            "RevisionId": "r-1",
        },
    )
    # When it is moved, and another is not, then the call names the revision that was read
    session.stubs["lambda"].deactivate()
    with stub:
        moves = [AliasMove(FUNCTION, "3", "1", revision="r-1"), AliasMove("other", "3", None)]
        move(session, moves)  # type: ignore[arg-type]  # as above
        stub.assert_no_pending_responses()


def test_a_stack_without_the_alias_is_refused(tmp_path: Path) -> None:
    session = Session(tmp_path, _alias("3"), is_there=False)
    with pytest.raises(RollbackError, match="no function with the alias live"):
        plan_moves(session, STACK)  # type: ignore[arg-type]  # as above


def test_the_history_outlives_its_process(tmp_path: Path) -> None:
    file = tmp_path / "codedeploy.json"
    DeploymentHistory(file).add(_past("d-1", "1", "2", ended=100))
    found = DeploymentHistory(file).ask("BatchGetDeployments", {"deploymentIds": ["d-1"]}, ACCOUNT)
    (content,) = [each["revision"]["appSpecContent"]["content"] for each in found["deploymentsInfo"]]
    properties = json.loads(content)["Resources"][0][FUNCTION]["Properties"]
    assert properties == {"Name": FUNCTION, "Alias": "live", "CurrentVersion": "1", "TargetVersion": "2"}
    assert DeploymentHistory(file).ask("ListDeployments", {}, "210987654321") == {"deployments": []}
