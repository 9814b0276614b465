"""The verb `rollback`: the options it refuses, and the policies it prints."""

from __future__ import annotations

from typing import Any

import pytest

import specimen
from slipway.errors import SlipwayError
from slipway.rollback.command import _check_options
from slipway.rollback.operator_policy import alias_policy, stage_policy

ENVIRONMENT = specimen.SETTINGS.environments[0]
SERVICE = ENVIRONMENT.services.names[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"alias": True}, "name it with --service"),
        ({"alias": True, "service": "nobody"}, "unknown service 'nobody'"),
        ({"alias": True, "service": SERVICE, "to": "e-1"}, "--to names an execution"),
        ({"service": SERVICE}, "require --alias"),
        ({"undo": True}, "require --alias"),
    ],
)
def test_conflicting_options_are_refused(given: dict[str, Any], words: str) -> None:
    options: dict[str, Any] = {"to": None, "alias": False, "service": None, "undo": False, **given}
    with pytest.raises(SlipwayError, match=words) as refused:
        _check_options(ENVIRONMENT, **options)
    assert refused.value.exit_code == 2


def test_policies_name_their_resources() -> None:
    documents = (stage_policy(specimen.SETTINGS, ENVIRONMENT), alias_policy(ENVIRONMENT, SERVICE))
    statements = [statement for document in documents for statement in document["Statement"]]
    assert all("*" not in action for statement in statements for action in statement["Action"])
    assert all(statement["Resource"] != "*" for statement in statements)
    by_action = {action: statement["Resource"] for statement in statements for action in statement["Action"]}
    assert by_action["codepipeline:RollbackStage"].endswith(f"/{ENVIRONMENT.name}-*")
    assert f"function:{ENVIRONMENT.name}-{SERVICE}-compute-*" in by_action["lambda:UpdateAlias"]
