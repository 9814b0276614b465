"""Statements as sets of permissions: which permissions one grants that others do not."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.review.iam.actions import has_resources, known_actions, matching_actions
from slipway.review.iam.statements import Permission, read_statements, uncovered


def _uncovered(after: Any, before: list[Any], *, denied: Any = None, identity: bool = True) -> list[Permission]:
    (statement,) = read_statements({"Statement": [after]}, identity=identity)
    by = read_statements({"Statement": before}, identity=identity)
    void = read_statements({"Statement": [denied]}, identity=identity) if denied else []
    return list(uncovered(statement, by, dead_by=void))


def _allow(action: Any, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def test_actions_are_compared_without_regard_to_capitals() -> None:
    assert not _uncovered(_allow("S3:getObject"), [_allow("s3:GetObject")])


def test_an_additional_action_is_named_as_written() -> None:
    (permission,) = _uncovered(_allow(["s3:GetObject", "s3:PutObject"]), [_allow("s3:GetObject")])

    assert (permission.action, permission.resource) == ("s3:PutObject", "*")


def test_a_wildcard_is_covered_only_by_a_wider_one() -> None:
    assert not _uncovered(_allow("s3:Get*"), [_allow("s3:*")])

    (permission,) = _uncovered(_allow("s3:*"), [_allow("s3:Get*")])
    # Then the added actions are known, and do not include existing ones
    assert permission.known > 50
    assert "s3:abortmultipartupload" in permission.examples
    assert not any(action.startswith("s3:get") for action in permission.examples)


def test_wildcard_over_listed_actions_adds_only_future_ones() -> None:
    listed = sorted(matching_actions("sqs:send*"))
    (permission,) = _uncovered(_allow("sqs:Send*"), [_allow(listed)])

    assert permission.known == 0


def test_statements_cover_together() -> None:
    before = [_allow("s3:GetObject", "arn:a/*"), _allow("s3:GetObject", "arn:b/*"), _allow("s3:PutObject", "*")]

    assert not _uncovered(_allow(["s3:GetObject", "s3:PutObject"], ["arn:a/x", "arn:b/y"]), before)
    assert _uncovered(_allow("s3:GetObject", "arn:c/x"), before)


def test_a_removed_condition_widens_access() -> None:
    condition = {"StringEquals": {"aws:SourceAccount": "1"}}

    assert _uncovered(_allow("s3:GetObject"), [_allow("s3:GetObject", Condition=condition)])
    assert not _uncovered(_allow("s3:GetObject", Condition=condition), [_allow("s3:GetObject")])


def test_not_action_grants_all_other_actions() -> None:
    but = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}

    (permission,) = _uncovered(but, [_allow("s3:*")])
    assert permission.known > 10_000
    assert not _uncovered(but, [_allow("*")])
    assert not _uncovered(_allow("s3:GetObject"), [but])
    assert _uncovered(_allow("iam:PassRole"), [but])
    assert not _uncovered({**but, "NotAction": ["iam:*", "kms:*"]}, [but])
    assert _uncovered(but, [{**but, "NotAction": ["iam:*", "kms:*"]}])


def test_not_resource_covers_all_other_resources() -> None:
    but = {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:secret/*"}

    assert not _uncovered(_allow("s3:GetObject", "arn:open/x"), [but])
    assert _uncovered(_allow("s3:GetObject", "arn:secret/x"), [but])
    assert _uncovered(but, [_allow("s3:GetObject", "arn:open/*")])
    assert not _uncovered(but, [_allow("s3:*", "*")])


def test_denied_actions_are_not_granted() -> None:
    denied = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}

    assert not _uncovered(_allow("iam:PassRole"), [], denied=denied)
    assert _uncovered(_allow("iam:PassRole"), [], denied={**denied, "Condition": {"Bool": {"a": "true"}}})


@pytest.mark.parametrize(
    ("after", "before", "more"),
    [
        ({"Service": "sns.amazonaws.com"}, {"Service": "sns.amazonaws.com"}, False),
        ({"Service": ["sns.amazonaws.com", "sqs.amazonaws.com"]}, {"Service": "sns.amazonaws.com"}, True),
        ({"AWS": "333333333333"}, {"AWS": "arn:aws:iam::333333333333:root"}, False),
        # A role by name needs no policy of its own, while the account's identities do
        ({"AWS": "arn:aws:iam::333333333333:role/a"}, {"AWS": "333333333333"}, True),
        ({"AWS": "arn:aws:iam::333333333333:role/a"}, "*", False),
        ("*", {"AWS": "333333333333"}, True),
        ({"AWS": "*"}, "*", False),
        ({"Federated": "a"}, {"AWS": "a"}, True),
    ],
)
def test_principals(after: Any, before: Any, more: bool) -> None:
    one, other = ({**_allow("sqs:SendMessage"), "Principal": principal} for principal in (after, before))

    assert bool(_uncovered(one, [other], identity=False)) is more


def test_not_principal_means_everyone_else() -> None:
    but = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*", "NotPrincipal": {"AWS": "333333333333"}}

    (permission,) = _uncovered(but, [{**_allow("sqs:*"), "Principal": {"AWS": "333333333333"}}], identity=False)
    assert permission.principal.startswith("everybody but")
    assert not _uncovered(but, [{**_allow("sqs:*"), "Principal": "*"}], identity=False)


@pytest.mark.parametrize("document", ["no JSON", 7, {"Statement": ["what"]}])
def test_what_cannot_be_read_is_reported_when_it_changes(document: Any) -> None:
    (statement,) = read_statements(document, identity=True)

    assert list(uncovered(statement, []))
    assert not list(uncovered(statement, [statement]))


def test_a_document_may_be_a_string() -> None:
    (statement,) = read_statements(
        '{"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}', identity=True
    )

    assert not statement.allow


def test_the_list_of_actions_is_complete() -> None:
    assert len(known_actions()) > 15_000
    assert {"s3:getobject", "dynamodb:query", "codepipeline:listpipelineexecutions"} <= known_actions()
    assert has_resources("s3:getobject")
    assert not has_resources("xray:puttracesegments")
