"""`make bootstrap` writes policies and prints commands; `tests/local` shows that they suffice to deploy the stacks."""

from __future__ import annotations

import json
import shlex
import shutil
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ministack.core.iam_evaluator import (
    EvalContext,
    evaluate,
    parse_policy_document,
)

import specimen
from slipway import settings as config
from slipway.accounts.bootstrap import commands, coverage, plan, policies
from slipway.accounts.bootstrap.assembly import UNREADABLE_ROLE, NamedResource
from slipway.accounts.bootstrap.plan import Account
from slipway.delivery import names
from slipway.errors import SlipwayError
from slipway.settings import Settings
from unit.typed import typed

SETTINGS = specimen.SETTINGS
ACCOUNTS = {account.label: account for account in plan.accounts(SETTINGS)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the configuration into a folder that tests change."""
    copy = tmp_path / "config"
    shutil.copytree(specimen.FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    return copy


def _change(folder: Path, file: str, old: str, new: str) -> Settings:
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return config.load(folder)


def _words(settings: Settings, label: str) -> list[list[str]]:
    printed = {account.label: lines for account, lines in commands.commands(settings, Path("build/bootstrap")).items()}
    return [shlex.split(str(command)) for command in printed[label]]


def test_tools_account_comes_first() -> None:
    assert list(ACCOUNTS) == ["tools", "dev", "staging", "prod"]


def test_policies_come_before_the_bootstrap_that_names_them() -> None:
    for label in ACCOUNTS:
        first, *others = _words(SETTINGS, label)
        assert first[:3] == ["aws", "cloudformation", "deploy"]
        assert others
        assert all(words[1] == "bootstrap" for words in others)


@pytest.mark.parametrize("label", ["dev", "staging", "prod"])
def test_environments_trust_only_the_tools_account(label: str) -> None:
    # When the bootstrap command of an environment is printed
    _, words = _words(SETTINGS, label)
    options = dict(pairwise(words))
    # Then it trusts the tools account only, with this project's policies and boundary
    tools = SETTINGS.pipeline.account
    assert options["--trust"] == options["--trust-for-lookup"] == tools
    assert words.count("--trust") == 1
    assert "AdministratorAccess" not in options["--cloudformation-execution-policies"]
    assert options["--custom-permissions-boundary"] == names.execution_boundary("slipway")
    assert options["--qualifier"] == SETTINGS.pipeline.qualifier


def test_the_tools_account_trusts_no_other_account() -> None:
    _, words = _words(SETTINGS, "tools")
    assert "--trust" not in words


def test_every_policy_that_a_command_names_is_written(tmp_path: Path) -> None:
    commands.write(SETTINGS, tmp_path)
    for label, account in ACCOUNTS.items():
        template = json.loads((tmp_path / account.account / commands.TEMPLATE_FILE).read_text())
        made = {resource["Properties"]["ManagedPolicyName"] for resource in template["Resources"].values()}
        for words in _words(SETTINGS, label)[1:]:
            options = dict(pairwise(words))
            named = {arn.rpartition("/")[2] for arn in options["--cloudformation-execution-policies"].split(",")}
            assert named | {options["--custom-permissions-boundary"]} <= made
        assert SETTINGS.pipeline.permissions_boundary in made
        for policy in policies.policies(account, SETTINGS):
            assert json.loads((tmp_path / account.account / f"{policy.name}.json").read_text()) == policy.document


@pytest.mark.parametrize("label", ACCOUNTS)
def test_policies_fit_the_limits_of_iam(label: str) -> None:
    account = ACCOUNTS[label]
    for policy in policies.policies(account, SETTINGS):
        assert policy.characters <= policies.MAX_CHARACTERS, policy.name
        sids = [statement["Sid"] for statement in policy.document["Statement"]]
        assert len(sids) == len(set(sids))
    assert len(policies.execution_policies(account, SETTINGS)) <= policies.MAX_ATTACHED
    # CloudFormation takes a template of this size from a file.
    assert len(policies.template(account, SETTINGS).encode()) <= 51_200


def test_policies_fit_where_production_has_two_regions() -> None:
    # Given two environments in one account, whose names and regions appear in most of its policies
    prod = SETTINGS.environment("prod")
    twin = prod.model_copy(update={"name": "prod-eu", "region": "eu-central-1"})
    pipeline = SETTINGS.pipeline.model_copy(update={"environments": (*SETTINGS.pipeline.environments, "prod-eu")})
    settings = Settings(pipeline=pipeline, environments=(*SETTINGS.environments, twin))
    (account,) = (each for each in plan.accounts(settings) if "prod-eu" in each.environments)
    # When the policies are written, then they stay within the limits of IAM and CloudFormation
    for policy in policies.policies(account, settings):
        assert policy.characters <= policies.MAX_CHARACTERS, policy.name
    assert len(policies.template(account, settings).encode()) <= 51_200


def test_policies_that_aws_refuses_are_not_written(tmp_path: Path) -> None:
    # Given thirty environments in one account
    dev = SETTINGS.environments[0]
    names = [f"development-of-team-{number}" for number in range(30)]
    environments = tuple(dev.model_copy(update={"name": name}) for name in names)
    pipeline = SETTINGS.pipeline.model_copy(update={"environments": tuple(names)})

    with pytest.raises(
        SlipwayError, match=r"the policy slipway-\S+ has \d+,\d+ characters, and AWS accepts 6,144; give"
    ):
        commands.write(Settings(pipeline=pipeline, environments=environments), tmp_path)

    assert not (tmp_path / dev.account).exists()


def test_policies_fit_with_thirty_environments(folder: Path) -> None:
    # Given thirty environments, each in its own account
    dev = (folder / "dev.toml").read_text(encoding="utf-8")
    names = ["dev", *(f"dev{index}" for index in range(29))]
    for index, name in enumerate(names[1:]):
        text = dev.replace('account = "111122223333"', f'account = "1{index:011d}"')
        (folder / f"{name}.toml").write_text(_strict(text), encoding="utf-8")
    listed = ", ".join(f'"{name}"' for name in names)
    settings = _change(folder, "pipeline.toml", '["dev", "staging", "prod"]', f'[{listed}, "staging", "prod"]')
    # When the policies are written, then all of them stay within the limit
    for account in plan.accounts(settings):
        for policy in policies.policies(account, settings):
            assert policy.characters <= policies.MAX_CHARACTERS, policy.name


def _strict(text: str) -> str:
    """Adapt dev's settings so that they are valid under another name."""
    return (
        text.replace('origins = ["*"]', 'origins = ["https://dev.example.com"]')
        .replace("[waf]\nenabled = false", "[waf]\nenabled = true")
        .replace("self_sign_up = true", "self_sign_up = false")
        .replace("password_flow = true", "password_flow = false")
        .replace("test_user = true", "test_user = false")
    )


def test_same_configuration_gives_the_same_bytes(tmp_path: Path) -> None:
    first = [file.read_bytes() for file in commands.write(SETTINGS, tmp_path / "one")]
    second = [file.read_bytes() for file in commands.write(specimen.SETTINGS, tmp_path / "two")]
    assert first == second


def test_a_policy_that_is_no_longer_named_is_deleted(tmp_path: Path) -> None:
    stale = tmp_path / SETTINGS.pipeline.account / "slipway-bootstrap-gone.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    commands.write(SETTINGS, tmp_path)
    assert not stale.exists()


def test_tools_account_is_bootstrapped_in_every_region(folder: Path) -> None:
    # Given an environment in another region than the pipeline
    settings = _change(folder, "staging.toml", 'region = "us-east-1"', 'region = "eu-west-1"')
    # When the commands are printed
    places = [words[2] for words in _words(settings, "tools")[1:]]
    # Then the tools account is bootstrapped there too, for the pipeline's artifact bucket of that region
    assert places == ["aws://101112131415/us-east-1", "aws://101112131415/eu-west-1"]


def test_environments_of_one_account_share_its_policies(folder: Path) -> None:
    # Given dev and staging in one account
    _ = (folder / "pipeline.toml").write_text(
        (folder / "pipeline.toml").read_text().replace("share_accounts = false", "share_accounts = true")
    )
    settings = _change(folder, "staging.toml", "444455556666", "111122223333")
    # When the account's policies are written
    account = plan.accounts(settings)[1]
    assert account.label == "dev+staging"
    data = next(policy for policy in policies.execution_policies(account, settings) if policy.family == "data")
    tables = next(statement for statement in data.document["Statement"] if statement["Sid"] == "Tables")
    # Then they name the tables of both
    assert [arn.rpartition("/")[2] for arn in tables["Resource"]] == ["dev-*", "staging-*"]


def test_another_qualifier_gets_its_own_stack(folder: Path) -> None:
    settings = _change(folder, "pipeline.toml", 'qualifier = "hnb659fds"', 'qualifier = "slipway"')
    _, words = _words(settings, "dev")
    assert words[words.index("--toolkit-stack-name") + 1] == "CDKToolkit-slipway"


def test_other_partitions_are_named(folder: Path) -> None:
    settings = _change(folder, "dev.toml", 'region = "us-east-1"', 'region = "cn-north-1"')
    account = next(each for each in plan.accounts(settings) if "dev" in each.environments)
    assert "arn:aws:" not in policies.template(account, settings).replace("arn:aws:iam::aws:policy", "")


@pytest.mark.parametrize("label", ACCOUNTS)
def test_no_execution_policy_has_a_wildcard_action(label: str) -> None:
    for policy in policies.execution_policies(ACCOUNTS[label], SETTINGS):
        for statement in policy.document["Statement"]:
            actions = statement["Action"]
            assert not any("*" in action for action in ([actions] if isinstance(actions, str) else actions)), policy


@pytest.mark.parametrize("label", ACCOUNTS)
def test_any_resource_is_for_actions_without_resource_level_only(label: str) -> None:
    # Given a statement on any resource
    for policy in policies.execution_policies(ACCOUNTS[label], SETTINGS):
        for statement in policy.document["Statement"]:
            if statement["Resource"] == "*":
                # Then its name gives the reason, or a condition narrows it
                assert "Condition" in statement or statement["Sid"].endswith(
                    ("WithoutResourceLevel", "WithoutName", "AccessLogsOfHttpApis")
                ), statement


@pytest.mark.parametrize("label", ACCOUNTS)
def test_actions_without_resource_level_are_on_any_resource(label: str) -> None:
    # Given a statement on specific resources
    for policy in policies.execution_policies(ACCOUNTS[label], SETTINGS):
        for statement in policy.document["Statement"]:
            if statement["Resource"] != "*":
                # Then each of its actions supports resource-level permissions; IAM would ignore the others
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    assert coverage.has_resource_level(action), (policy.family, statement["Sid"], action)


def _decide(account: Account, action: str, resource: str, **context: str) -> str:
    request = EvalContext(
        principal_arn=f"arn:aws:sts::{account.account}:assumed-role/x/y",
        principal_type="AssumedRole",
        principal_account=account.account,
        action=action,
        resource_arn=resource,
        region=account.regions[0],
        service_context={key.replace("__", ":"): value for key, value in context.items()},
    )
    documents = [policy.document for policy in policies.execution_policies(account, SETTINGS)]
    limit = policies.execution_boundary(account, SETTINGS).document
    allowed = [parse_policy_document(document) for document in documents]
    return str(evaluate(request, allowed, [parse_policy_document(limit)]).decision)


@pytest.mark.parametrize("label", ACCOUNTS)
def test_roles_are_made_with_the_boundary_only(label: str) -> None:
    account = ACCOUNTS[label]
    name = "slipway-pipeline-x" if label == "tools" else f"{label}-x"
    role = f"arn:aws:iam::{account.account}:role/{name}"
    boundary = account.policy_arn(SETTINGS.pipeline.permissions_boundary)
    assert _decide(account, "iam:CreateRole", role, iam__permissionsboundary=boundary) == "Allow"
    assert _decide(account, "iam:CreateRole", role) == "Deny"
    other = account.policy_arn("AdministratorAccess")
    assert _decide(account, "iam:CreateRole", role, iam__permissionsboundary=other) == "Deny"


FORBIDDEN: list[tuple[str, str]] = [
    ("iam:CreateUser", "arn:aws:iam::{account}:user/x"),
    ("iam:CreateAccessKey", "arn:aws:iam::{account}:user/x"),
    ("iam:DeleteRolePermissionsBoundary", "arn:aws:iam::{account}:role/{name}x"),
    ("iam:CreatePolicyVersion", "arn:aws:iam::{account}:policy/slipway-bootstrap-iam"),
    ("iam:UpdateAssumeRolePolicy", "arn:aws:iam::{account}:role/cdk-hnb659fds-cfn-exec-role-{account}-us-east-1"),
    ("iam:UpdateAssumeRolePolicy", "arn:aws:iam::{account}:role/Administrator"),
    ("iam:PassRole", "arn:aws:iam::{account}:role/Administrator"),
    ("organizations:LeaveOrganization", "*"),
    ("sts:AssumeRole", "arn:aws:iam::{account}:role/Administrator"),
    ("cloudformation:DeleteStack", "arn:aws:cloudformation:us-east-1:{account}:stack/CDKToolkit/1"),
    ("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:{account}:table/{name}x"),
    ("dynamodb:DeleteTable", "arn:aws:dynamodb:us-east-1:{account}:table/payroll"),
    ("events:DeleteEventBus", "arn:aws:events:us-east-1:{account}:event-bus/payroll"),
    ("events:PutEvents", "arn:aws:events:us-east-1:{account}:event-bus/default"),
    ("events:PutTargets", "arn:aws:events:us-east-1:{account}:rule/payroll"),
    ("kms:DeleteAlias", "arn:aws:kms:us-east-1:{account}:alias/payroll"),
    ("lambda:UpdateFunctionCode", "arn:aws:lambda:us-east-1:{account}:function:payroll"),
    ("s3:GetObject", "arn:aws:s3:::cf-serverless-0a1b2c3d/x"),
    ("ec2:RunInstances", "*"),
]


@pytest.mark.parametrize("label", ACCOUNTS)
@pytest.mark.parametrize(("action", "resource"), FORBIDDEN)
def test_deployments_cannot(label: str, action: str, resource: str) -> None:
    account = ACCOUNTS[label]
    name = "slipway-pipeline-" if label == "tools" else f"{label}-"
    assert _decide(account, action, resource.format(account=account.account, name=name)) != "Allow"


@pytest.mark.parametrize("label", ACCOUNTS)
def test_roles_of_the_stacks_cannot_change_identities(label: str) -> None:
    account = ACCOUNTS[label]
    document = policies.boundary(account, SETTINGS).document
    allowed: list[dict[str, Any]] = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    for action in ("iam:CreateRole", "iam:PassRole", "organizations:ListAccounts", "ec2:RunInstances"):
        wanted = [{**allowed[0], "Action": action}]
        assert coverage.beyond_boundary(wanted, document, account) == [f"{action} on *"]
    assert coverage.beyond_boundary(
        [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::444444444444:role/x"}],
        document,
        account,
    )


def test_roles_of_the_stacks_delete_only_stacks_that_expire() -> None:
    account = ACCOUNTS["dev"]
    document = policies.boundary(account, SETTINGS).document
    stack = f"arn:aws:cloudformation:us-east-1:{account.account}:stack/dev-anna-catalog-data/1"
    given = {"Effect": "Allow", "Action": "cloudformation:DeleteStack", "Resource": stack}
    tagged = {**given, "Condition": {"StringEquals": {"aws:ResourceTag/Expires": "2026-12-03T18:00:00Z"}}}
    assert coverage.beyond_boundary([tagged], document, account) == []
    assert coverage.beyond_boundary([given], document, account) == [f"cloudformation:DeleteStack on {stack}"]


def test_environments_roles_put_events_only_on_pipelines_bus() -> None:
    account = ACCOUNTS["dev"]
    document = policies.boundary(account, SETTINGS).document
    bus = "arn:aws:events:us-east-1:101112131415:event-bus/slipway-delivery"
    others = [bus.replace("slipway-delivery", "default"), bus.replace("101112131415", "444444444444")]
    given = [{"Effect": "Allow", "Action": "events:PutEvents", "Resource": [bus, *others]}]
    assert coverage.beyond_boundary(given, document, account) == sorted(f"events:PutEvents on {arn}" for arn in others)


@pytest.mark.parametrize(
    ("label", "properties", "refused"),
    [
        ("dev", {}, None),
        ("dev", {"Name": "payroll"}, "rule/payroll"),
        ("dev", {"EventBusName": "slipway-delivery"}, "rule/slipway-delivery/dev-x-Rule-1A2B3C4D5E6F"),
        ("tools", {"EventBusName": {"Ref": "Bus"}}, None),
        ("tools", {"EventBusName": "payroll"}, "rule/payroll/slipway-pipeline-Rule-1A2B3C4D5E6F"),
    ],
)
def test_rules_are_of_the_stacks_and_on_their_buses(
    label: str, properties: dict[str, Any], refused: str | None
) -> None:
    # Given the rule of a template
    account = ACCOUNTS[label]
    stack = "slipway-pipeline" if label == "tools" else f"{label}-x"
    rule = NamedResource(stack, "Rule", "AWS::Events::Rule", properties)
    # When the calls that create it are evaluated
    missing = coverage.missing(
        [rule],
        account,
        [policy.document for policy in policies.execution_policies(account, SETTINGS)],
        limit=policies.execution_boundary(account, SETTINGS).document,
        permissions_boundary=SETTINGS.pipeline.permissions_boundary,
        qualifier=SETTINGS.pipeline.qualifier,
    )
    # Then it is allowed on the bus where the pipeline has rules, and nowhere else
    assert {each.resource.rpartition(":")[2] for each in missing} == ({refused} if refused else set())


def _missing(resource: NamedResource, account: Account, *, without: str | None = None) -> set[tuple[str, str]]:
    """Return the refused actions for a resource, with the ARNs they are called on; `without` omits a statement."""
    documents = [policy.document for policy in policies.execution_policies(account, SETTINGS)]
    refused = coverage.missing(
        [resource],
        account,
        [
            {**each, "Statement": [statement for statement in each["Statement"] if statement["Sid"] != without]}
            for each in documents
        ],
        limit=policies.execution_boundary(account, SETTINGS).document,
        permissions_boundary=SETTINGS.pipeline.permissions_boundary,
        qualifier=SETTINGS.pipeline.qualifier,
    )
    return {(each.action, each.resource) for each in refused}


LINKED = "aws-service-role/dynamodb.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_X"


def _scalable_target(account: Account) -> NamedResource:
    role = f"arn:aws:iam::{account.account}:role/{LINKED}"
    return NamedResource("dev-x", "Target", "AWS::ApplicationAutoScaling::ScalableTarget", {}, passed=(role,))


def test_scaling_is_validated_without_a_name() -> None:
    # Given a scalable target
    account = ACCOUNTS["dev"]
    target = _scalable_target(account)
    assert _missing(target, account) == set()
    # When only alarms with matching names are allowed, then the calls that name no alarm are refused
    named = _missing(target, account, without="AlarmsOfScalingWithoutName")
    assert {("cloudwatch:PutMetricAlarm", "*"), ("cloudwatch:DeleteAlarms", "*")} <= named


def test_linked_role_of_scaling_is_passed() -> None:
    account = ACCOUNTS["dev"]
    target = _scalable_target(account)
    assert _missing(target, account, without="PassLinkedRolesOfScaling") == {("iam:PassRole", target.passed[0])}


@pytest.mark.parametrize("role", ["Administrator", LINKED, UNREADABLE_ROLE])
def test_other_roles_are_not_passed(role: str) -> None:
    # Given a function whose role does not belong to the stacks
    account = ACCOUNTS["dev"]
    arn = role if role == UNREADABLE_ROLE else f"arn:aws:iam::{account.account}:role/{role}"
    function = NamedResource("dev-x", "Function", "AWS::Lambda::Function", {}, passed=(arn,))
    # When the calls that create it are evaluated, then passing the role is refused
    assert _missing(function, account) == {("iam:PassRole", arn)}


def test_roles_are_not_passed_to_unknown_services() -> None:
    account = ACCOUNTS["dev"]
    own = f"arn:aws:iam::{account.account}:role/dev-x-Role"
    topic = NamedResource("dev-x", "Topic", "AWS::SNS::Topic", {}, passed=(own,))
    assert _missing(topic, account) == {("iam:PassRole", own)}


def test_every_exclusion_is_of_an_action_in_the_registry() -> None:
    # Given the table of actions that are not granted
    for type_name, patterns in coverage.NOT_GRANTED.items():
        if type_name == "*":
            continue
        listed = coverage.listed(type_name)
        # Then each pattern matches an action of its type: a stale row would hide the next one
        for pattern, reason in patterns.items():
            assert any(fnmatchcase(action, pattern) for action in listed), (type_name, pattern)
            assert reason


def test_command_prints_a_script_and_writes_the_policies(tmp_path: Path) -> None:
    result = typed("bootstrap", "--output", str(tmp_path))
    assert result.exit_code == 0
    assert result.stdout.count("\ncdk") == 0
    assert result.stdout.count("cdk bootstrap aws://") == 4
    assert len(list(tmp_path.iterdir())) == 4


def test_command_says_what_is_wrong_with_the_configuration(folder: Path, tmp_path: Path) -> None:
    (folder / "dev.toml").write_text("account = 1", encoding="utf-8")
    result = typed("bootstrap", "--output", str(tmp_path), "--config", str(folder))
    assert result.exit_code == 2
    assert "config/dev.toml: account" in result.stderr
    assert not list((tmp_path).glob("[0-9]*"))
