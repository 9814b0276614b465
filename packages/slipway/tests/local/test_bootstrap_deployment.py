"""The printed bootstrap commands run on an account of the emulator, and all of `dev` is deployed with them.

The emulator's CloudFormation accepts the execution role but does not evaluate its policies (a test below verifies this,
and fails once it changes). Therefore the deployment proves that the bootstrap is complete, and the policies are tested
separately: for each deployed resource, with its real name, every call that CloudFormation's registry lists
for its type is evaluated with the attached policies; and calls to the emulator itself, which are enforced,
are made with a role that has the same policies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import specimen
from slipway import project
from slipway.accounts.bootstrap import commands, coverage, plan, policies
from slipway.accounts.bootstrap.assembly import NamedResource, resources
from slipway.accounts.bootstrap.plan import Account
from slipway.accounts.doctor.account import check_account, check_accounts
from slipway.accounts.doctor.findings import CheckStatus
from slipway.delivery import names
from slipway.emulator.environment import LocalEnvironment, Outputs, choose
from slipway.emulator.routes import SigV4, target
from slipway.emulator.server import Credentials, isolate
from slipway.process import follow
from slipway.settings import Settings
from slipway.testing.emulated import FOLDER
from specimen.delivery import SERVICES

HERE = FOLDER / "bootstrap"
SETTINGS = specimen.SETTINGS
ACCOUNTS = {account.label: account for account in plan.accounts(SETTINGS)}


@dataclass(frozen=True)
class Bootstrapped:
    """An account after the printed commands and the deployment."""

    settings: Settings
    account: Account
    local: LocalEnvironment
    outputs: Outputs

    @property
    def execution_role(self) -> str:
        return f"cdk-{self.settings.pipeline.qualifier}-cfn-exec-role-{self.account.account}-{self.account.regions[0]}"

    def client(self, service: str, credentials: Credentials | None = None) -> Any:
        return self.local.emulator.session(credentials).client(service)  # type: ignore[call-overload]

    def attached(self, role: str) -> dict[str, Any]:
        """Return documents of a role's managed policies by name, as stored in IAM."""
        iam = self.client("iam")
        found = {}
        for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)["PolicyVersion"]
            found[policy["PolicyName"]] = document["Document"]
        return found


@pytest.fixture(scope="module")
def bootstrapped(project: Path, assembly: Path) -> Iterator[Bootstrapped]:
    isolate()
    settings = SETTINGS
    environment = choose(settings, "dev")
    account = next(each for each in plan.accounts(settings) if each.account == environment.account)
    commands.write(settings, HERE / "policies")
    LocalEnvironment(environment, settings.pipeline, folder=HERE / "dev", port=0).stop()
    local = LocalEnvironment(environment, settings.pipeline, folder=HERE / "dev", port=0, assembly=assembly)
    try:
        local.start()
        _run_printed_commands(local, account, settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("slipway.project.ROOT", project)
            deployed = local.deploy((), lambda _: nullcontext(lambda _: None))
        found = Bootstrapped(settings, account, local, deployed.outputs)
        _bound_the_roles(found)
        yield found
    finally:
        local.stop()


def _run_printed_commands(local: LocalEnvironment, account: Account, settings: Settings) -> None:
    for command in commands.commands(settings, HERE / "policies")[account]:
        words = list(command.words)
        assert words[-2] == "--profile"
        if words[:3] == ["aws", "cloudformation", "deploy"]:
            options = dict(pairwise(words))
            with open(options["--template-file"], encoding="utf-8") as template:  # noqa: PTH123 - a word of a command
                local.emulator.session().client("cloudformation").create_stack(
                    StackName=options["--stack-name"],
                    TemplateBody=template.read(),
                    Capabilities=[options["--capabilities"]],  # type: ignore[list-item]
                )
            continue
        environment = {**local.emulator.environment(), "CI": "true", "CDK_DISABLE_CLI_TELEMETRY": "true"}
        code, lines = follow(
            words[:-2], folder=project.ROOT, environment=environment, log=HERE / "cdk.log", progress=lambda _: None
        )
        assert code == 0, "\n".join(lines[-20:])


def _bound_the_roles(found: Bootstrapped) -> None:
    """Set the boundary on roles: the emulator's CloudFormation ignores the property, but its IAM enforces it."""
    iam = found.client("iam")
    boundary = found.account.policy_arn(found.settings.pipeline.permissions_boundary)
    formation = found.client("cloudformation")
    for stack in (name for name in _stacks(found) if name != "CDKToolkit"):
        for resource in formation.describe_stack_resources(StackName=stack)["StackResources"]:
            if resource["ResourceType"] == "AWS::IAM::Role":
                iam.put_role_permissions_boundary(RoleName=resource["PhysicalResourceId"], PermissionsBoundary=boundary)
    iam.put_role_permissions_boundary(
        RoleName=found.execution_role, PermissionsBoundary=found.account.policy_arn(names.execution_boundary("slipway"))
    )


def _stacks(found: Bootstrapped) -> dict[str, str]:
    stacks = found.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in stacks}


def _deployed_resources(found: Bootstrapped) -> list[NamedResource]:
    """Return the deployed resources with their real names and the properties of the synthesised templates."""
    synthesized = resources(found.local.assembly, found.account)
    formation = found.client("cloudformation")
    real = {
        (stack, resource["LogicalResourceId"]): resource["PhysicalResourceId"]
        for stack in _stacks(found)
        for resource in formation.describe_stack_resources(StackName=stack)["StackResources"]
        # The emulator's own name of a log group; on AWS it starts with the stack's name
        if not resource["PhysicalResourceId"].startswith("/aws/cloudformation/")
    }
    return [replace(each, physical_id=real.get((each.stack, each.logical_id))) for each in synthesized]


def _refused(found: list[NamedResource], account: Account, documents: list[dict[str, Any]]) -> list[coverage.Missing]:
    return coverage.missing(
        found,
        account,
        documents,
        limit=policies.execution_boundary(account, SETTINGS).document,
        permissions_boundary=SETTINGS.pipeline.permissions_boundary,
        qualifier=SETTINGS.pipeline.qualifier,
    )


def test_the_execution_role_has_only_its_policies(bootstrapped: Bootstrapped) -> None:
    # Given the account after the printed commands
    # When its execution role is read
    attached = bootstrapped.attached(bootstrapped.execution_role)
    # Then it has exactly the written policies, without AdministratorAccess
    wanted = policies.execution_policies(bootstrapped.account, bootstrapped.settings)
    assert attached == {policy.name: policy.document for policy in wanted}


@pytest.mark.requirement("from a push to prod")
def test_everything_of_dev_deploys_after_the_printed_bootstrap(bootstrapped: Bootstrapped, assembly: Path) -> None:
    # Given the stacks of the templates, at least one of each service
    synthesized = {each.stack for each in resources(assembly, bootstrapped.account)}
    for service in SERVICES:
        assert any(stack.startswith(f"dev-{service.name}-") for stack in synthesized)
    # When the account's stacks are listed
    stacks = _stacks(bootstrapped)
    # Then all of them are deployed
    assert {"CDKToolkit", names.policies_stack("slipway"), "dev-foundation"} | synthesized <= set(stacks)
    assert set(stacks.values()) == {"CREATE_COMPLETE"}


def test_attached_policies_allow_every_deployment_call(bootstrapped: Bootstrapped) -> None:
    # Given the existing resources, and the policies as stored in IAM
    found = _deployed_resources(bootstrapped)
    assert sum(resource.physical_id is not None for resource in found) > 100
    documents = bootstrapped.attached(bootstrapped.execution_role)
    # When each of CloudFormation's calls for them is evaluated
    refused = _refused(found, bootstrapped.account, list(documents.values()))
    # Then none is refused
    assert not refused, "\n".join(map(str, refused))


def test_the_emulator_still_does_not_evaluate_the_execution_role(bootstrapped: Bootstrapped) -> None:
    # Given a role for CloudFormation without permissions
    iam = bootstrapped.client("iam")
    trust = _trust({"Service": "cloudformation.amazonaws.com"})
    role = iam.create_role(RoleName="may-do-nothing", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    # When a stack is deployed with it
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    formation = bootstrapped.client("cloudformation")
    formation.create_stack(StackName="denied", TemplateBody=json.dumps(template), RoleARN=role)
    try:
        # Then it is created, unlike on AWS; once this fails, the deployment above proves the policies by itself
        assert _stacks(bootstrapped)["denied"] == "CREATE_COMPLETE"
    finally:
        formation.delete_stack(StackName="denied")
        iam.delete_role(RoleName="may-do-nothing")


@pytest.fixture(scope="module")
def executor(bootstrapped: Bootstrapped) -> Iterator[Callable[[str], Any]]:
    """Return clients of a role that a person can assume, with the execution role's policies and boundary."""
    iam = bootstrapped.client("iam")
    trust = _trust({"AWS": f"arn:aws:iam::{bootstrapped.account.account}:root"})
    role = iam.create_role(RoleName="same-as-execution", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    for name in bootstrapped.attached(bootstrapped.execution_role):
        iam.attach_role_policy(RoleName="same-as-execution", PolicyArn=bootstrapped.account.policy_arn(name))
    iam.put_role_permissions_boundary(
        RoleName="same-as-execution",
        PermissionsBoundary=bootstrapped.account.policy_arn(names.execution_boundary("slipway")),
    )
    given = bootstrapped.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    credentials = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    yield lambda service: bootstrapped.client(service, credentials)
    for name in bootstrapped.attached("same-as-execution"):
        iam.detach_role_policy(RoleName="same-as-execution", PolicyArn=bootstrapped.account.policy_arn(name))


def _trust(principal: dict[str, str]) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


TABLE: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
ALLOWED: dict[str, Callable[[Callable[[str], Any]], Any]] = {
    "a table of the environment": lambda client: client("dynamodb").create_table(TableName="dev-x", **TABLE),
    "a bucket of the services": lambda client: client("s3").create_bucket(Bucket="cf-serverless-0a1b2c3d"),
    "a queue of the environment": lambda client: client("sqs").create_queue(QueueName="dev-x"),
    "a topic of the environment": lambda client: client("sns").create_topic(
        Name="devx.fifo", Attributes={"FifoTopic": "true"}
    ),
    "a log group of the environment": lambda client: client("logs").create_log_group(logGroupName="dev-x"),
}
DENIED: dict[str, Callable[[Callable[[str], Any]], Any]] = {
    "another table": lambda client: client("dynamodb").create_table(TableName="payroll", **TABLE),
    "a row of a table": lambda client: client("dynamodb").scan(TableName="dev-x"),
    "another bucket": lambda client: client("s3").create_bucket(Bucket="payroll"),
    "an object of a bucket": lambda client: client("s3").get_object(Bucket="cf-serverless-0a1b2c3d", Key="x"),
    "another queue": lambda client: client("sqs").create_queue(QueueName="payroll"),
    "another log group": lambda client: client("logs").create_log_group(logGroupName="payroll"),
    "a user": lambda client: client("iam").create_user(UserName="dev-x"),
    "a role without the boundary": lambda client: client("iam").create_role(
        RoleName="dev-x", AssumeRolePolicyDocument=_trust({"Service": "lambda.amazonaws.com"})
    ),
    "a role's boundary": lambda client: client("iam").delete_role_permissions_boundary(RoleName="same-as-execution"),
    "a policy of the bootstrap": lambda client: client("iam").create_policy_version(
        PolicyArn=f"arn:aws:iam::{specimen.DEV.account}:policy/slipway-bootstrap-iam",
        PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        ),
        SetAsDefault=True,
    ),
    "AdministratorAccess for itself": lambda client: client("iam").attach_role_policy(
        RoleName="same-as-execution", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    ),
    "an instance": lambda client: client("ec2").run_instances(ImageId="ami-1", MinCount=1, MaxCount=1),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_a_role_with_these_policies_may_create(what: str, executor: Callable[[str], Any]) -> None:
    ALLOWED[what](executor)


@pytest.mark.parametrize("what", DENIED)
def test_a_role_with_these_policies_is_refused(what: str, executor: Callable[[str], Any]) -> None:
    with pytest.raises(ClientError) as refused:
        DENIED[what](executor)
    assert refused.value.response["Error"]["Code"] in {
        *("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"),
    }


def test_every_role_of_dev_has_the_permissions_boundary(bootstrapped: Bootstrapped, assembly: Path) -> None:
    # Given the roles of the templates
    made = [each for each in resources(assembly, bootstrapped.account) if each.type_name == "AWS::IAM::Role"]
    # When the account's roles are listed
    iam = bootstrapped.client("iam")
    boundary = bootstrapped.account.policy_arn(bootstrapped.settings.pipeline.permissions_boundary)
    roles = [role for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]
    found = [role["RoleName"] for role in roles if role["RoleName"].startswith(("dev-", "slipway-dev-"))]
    # Then each of them exists, with the boundary
    assert len(found) == len(made) > 20
    for name in found:
        given = iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]
        assert given["PermissionsBoundaryArn"] == boundary


def test_services_work_under_the_permissions_boundary(bootstrapped: Bootstrapped) -> None:
    # Given the boundary on every role of the stacks
    emulator, outputs = bootstrapped.local.emulator, bootstrapped.outputs["catalog"]
    auth = SigV4(bootstrapped.local.caller(bootstrapped.outputs), emulator.region)
    with emulator.http() as http:
        # When an entry is created, and read through the edge
        created = http.post(target(outputs, "/items", edge=False).url, json={"name": "kettle"}, auth=auth)
        where = target(outputs, f"/items/{created.json()['id']}", edge=True)
        read = http.get(where.url, headers={"Host": where.host or ""})
    # Then both succeed
    assert (created.status_code, read.json()) == (201, created.json())


def test_doctor_reports_the_bootstrapped_account_as_ok(bootstrapped: Bootstrapped, assembly: Path) -> None:
    # Given credentials for this account only
    sessions = [bootstrapped.local.emulator.session()]
    # When the doctor runs
    found = {(each.area, each.check): each for each in check_accounts(SETTINGS, sessions, assembly)}
    # Then identity, bootstrap, trust, execution role and policies are reported as OK
    for check in (
        *("identity", "bootstrap in us-east-1", "trust of deploy-role in us-east-1"),
        *("trust of file-publishing-role in us-east-1", "execution role in us-east-1", "policies"),
    ):
        assert found["dev", check].status is CheckStatus.OK, found["dev", check]
    assert ("dev", "boundary of the execution role in us-east-1") not in found
    # And accounts without credentials are reported as unchecked
    for label in ("tools", "staging", "prod"):
        assert found[label, "everything"].status is CheckStatus.UNCHECKED


def test_doctor_reports_manual_changes(bootstrapped: Bootstrapped, assembly: Path) -> None:
    # Given an account whose execution role got another policy, and one of whose policies was changed
    iam = bootstrapped.client("iam")
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    arn = bootstrapped.account.policy_arn("slipway-bootstrap-messaging")
    nothing = [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    document = json.dumps({"Version": "2012-10-17", "Statement": nothing})
    iam.attach_role_policy(RoleName=bootstrapped.execution_role, PolicyArn=administrator)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    try:
        # When the doctor runs
        session = bootstrapped.local.emulator.session()
        found = {each.check: each for each in check_account(bootstrapped.account, SETTINGS, session, assembly)}
    finally:
        iam.detach_role_policy(RoleName=bootstrapped.execution_role, PolicyArn=administrator)
        right = next(
            policy for policy in policies.policies(bootstrapped.account, SETTINGS) if arn.endswith(policy.name)
        )
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(right.document), SetAsDefault=True)
    # Then it reports both, with fixes
    assert found["execution role in us-east-1"].status is CheckStatus.WARNING
    assert "AdministratorAccess" in found["execution role in us-east-1"].found
    assert found["policies"].status is CheckStatus.WARNING
    assert "slipway-bootstrap-messaging" in found["policies"].found
    assert found["policies"].fix


def test_doctor_reports_that_an_account_is_not_bootstrapped(bootstrapped: Bootstrapped, assembly: Path) -> None:
    # Given an account on the same emulator that was not bootstrapped
    account = ACCOUNTS["prod"]
    session = bootstrapped.local.emulator.session(Credentials(account.account, "test"))
    # When the doctor runs
    found = {each.check: each for each in check_accounts(SETTINGS, [session], assembly) if each.area == "prod"}
    # Then it reports this, with the command to run
    for check in (
        "bootstrap in us-east-1",
        "trust of deploy-role in us-east-1",
        "execution role in us-east-1",
        "policies",
    ):
        assert found[check].status is CheckStatus.WRONG
        assert "make bootstrap" in found[check].fix
