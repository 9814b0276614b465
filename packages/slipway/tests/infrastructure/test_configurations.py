"""Every configuration of the matrix passes the gate, and bootstrapped accounts can deploy it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from infrastructure import synthesis
from infrastructure.matrix import PIPELINES
from slipway.accounts.bootstrap import coverage, plan, policies
from slipway.accounts.bootstrap.assembly import UNREADABLE_ROLE, NamedResource, places, resources
from slipway.accounts.bootstrap.plan import Account, BootstrapPlace
from slipway.app import RUNBOOKS
from slipway.blocks.assets import file_digest
from slipway.gates.packs import packs_of
from slipway.nag.packs import register
from slipway.nag.verdict import judge
from slipway.rules.aws.pack import OnlyAwsRules
from slipway.rules.pack import SlipwayRules
from slipway.service import Service
from slipway.settings import Settings
from specimen.delivery import DELIVERY, SERVICES
from specimen.services.catalog.infrastructure import Catalog

# A day on which every acknowledgement is valid; `make synth` reports expired ones
TODAY = date(2026, 11, 1)

WITH_SERVICES = (
    *("committed", "prod in two regions", "two environments in one account", "everything in one account"),
    "pipeline in Frankfurt",
)
"""Configurations that change the services' stacks. The others only change the pipeline's own stack."""


@dataclass(frozen=True)
class Judged:
    """A synthesised configuration and its verdict."""

    assembly: str
    findings: Sequence[Sequence[str]]


@cache
def judged(variant: str) -> Judged:
    """Synthesise and judge a configuration, once for the same sources, by the first process."""
    made_by = file_digest(Path(__file__))
    found = synthesis.KEPT.result(
        f"configuration {variant} of {made_by}",
        lambda folder: asdict(_judge(PIPELINES[variant], _services(variant), folder)),
    )
    return Judged(**found)


def _services(variant: str) -> Sequence[type[Service]]:
    return SERVICES if variant in WITH_SERVICES else (Catalog,)


def _judge(settings: Settings, services: Sequence[type[Service]], folder: Path) -> Judged:
    app = DELIVERY.build(settings, synthesis.assets(), outdir=str(folder), services=services)
    packs = packs_of(settings)
    register(app, packs, own=[OnlyAwsRules(), SlipwayRules(settings, RUNBOOKS)])
    assembly = app.synth().directory
    verdict = judge(Path(assembly), packs, today=TODAY)
    assert not verdict.faults
    return Judged(assembly, [(finding.path, finding.rule) for finding in verdict.findings])


@pytest.fixture(params=PIPELINES)
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def assembly(variant: str) -> Path:
    return Path(judged(variant).assembly)


def _accounts(variant: str) -> Sequence[Account]:
    return plan.accounts(PIPELINES[variant])


def _refused(
    found: Sequence[NamedResource], account: Account, settings: Settings, *, without: str | None = None
) -> list[coverage.Missing]:
    documents = [
        policy.document for policy in policies.execution_policies(account, settings) if policy.family != without
    ]
    return coverage.missing(
        found,
        account,
        documents,
        limit=policies.execution_boundary(account, settings).document,
        permissions_boundary=settings.pipeline.permissions_boundary,
        qualifier=settings.pipeline.qualifier,
    )


@pytest.mark.requirement("from a push to prod")
def test_gate_is_green(variant: str) -> None:
    assert judged(variant).findings == []


def test_policies_allow_every_call(variant: str, assembly: Path) -> None:
    for account in _accounts(variant):
        found = resources(assembly, account)
        assert found
        # A refused action has to be added to a file of slipway.accounts.bootstrap.policies or, with a reason, to
        # not_granted.json
        refused = _refused(found, account, PIPELINES[variant])
        assert not refused, "\n".join(map(str, refused))


def test_apps_of_one_tools_account_are_isolated() -> None:
    # Given two apps in one tools account, and every call that CloudFormation makes there for the second app
    own = PIPELINES["committed"]
    (account,) = (account for account in _accounts("committed") if account.tools)
    found = resources(Path(judged("another name").assembly), account)
    limit = policies.execution_boundary(account, own).document
    called = {"permissions_boundary": own.pipeline.permissions_boundary, "qualifier": own.pipeline.qualifier}
    every = coverage.missing(found, account, [], limit=limit, **called)
    # When the first app's deployment role makes these calls
    refused = _refused(found, account, own)
    # Then everything with the second app's name is refused, except what IAM checks on no resource
    reached = set(every) - set(refused)
    named = {call for call in every if "acme" in call.resource.lower()}
    assert {call.type_name for call in named} >= {
        "AWS::CodePipeline::Pipeline",
        "AWS::DynamoDB::Table",
        "AWS::Events::EventBus",
        "AWS::Events::Rule",
        "AWS::IAM::Role",
        "AWS::KMS::Alias",
        "AWS::Lambda::Function",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
    }
    assert {call.action for call in named & reached} <= _ON_NO_RESOURCE
    # And what it reaches has a name that AWS generates, or is shared
    assert {call.resource.split(":")[2] for call in reached - named if call.resource != "*"} <= _SHARED.keys()


_ON_NO_RESOURCE = {
    "cloudwatch:DescribeAlarms",
    "lambda:GetLayerVersion",
    "sns:GetSubscriptionAttributes",
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
}

_SHARED: Mapping[str, str] = {
    "codebuild": "CloudFormation names a project after its id alone",
    "codeconnections": "the connection of both",
    "codestar-connections": "the connection of both",
    "codedeploy": "CodeDeploy's own configurations",
    "events": "the first app's own bus",
    "kms": "a key has an id alone",
    "lambda": "CloudFormation names a layer after its id alone",
    "s3": "the assets of the first app's bootstrap",
}
"""Reason why the second app's name is in none of a service's ARNs, by service."""


def test_every_family_of_policies_is_needed() -> None:
    settings, assembly = PIPELINES["committed"], Path(judged("committed").assembly)
    for account in plan.accounts(settings):
        found = resources(assembly, account)
        for policy in policies.execution_policies(account, settings):
            assert _refused(found, account, settings, without=policy.family), (account.label, policy.family)


def test_every_role_passed_can_be_read(variant: str, assembly: Path) -> None:
    passed = [resource for account in _accounts(variant) for resource in resources(assembly, account)]
    assert any(resource.passed for resource in passed)
    assert not [resource for resource in passed if UNREADABLE_ROLE in resource.passed]


def test_every_role_carries_the_permissions_boundary(variant: str, assembly: Path) -> None:
    for account in _accounts(variant):
        roles = [each for each in resources(assembly, account) if each.type_name == "AWS::IAM::Role"]
        assert roles
        wanted = account.policy_arn(PIPELINES[variant].pipeline.permissions_boundary)
        assert [each.logical_id for each in roles if each.properties.get("PermissionsBoundary") != wanted] == []


def test_permissions_boundary_removes_no_needed_permission(variant: str, assembly: Path) -> None:
    settings = PIPELINES[variant]
    for account in _accounts(variant):
        statements = coverage.statements(resources(assembly, account))
        assert statements
        assert coverage.beyond_boundary(statements, policies.boundary(account, settings).document, account) == []


def test_every_place_is_bootstrapped(variant: str, assembly: Path) -> None:
    prepared = {BootstrapPlace(account.account, region) for account in _accounts(variant) for region in account.regions}
    assert places(assembly) <= prepared


GLOBAL_NAMES = {
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::S3::Bucket": "BucketName",
}
"""Types whose names are unique per account, or globally, regardless of region."""


def test_names_without_region_are_unique(variant: str, assembly: Path) -> None:
    for account in _accounts(variant):
        found = resources(assembly, account)
        names = Counter(
            (each.type_name, each.properties[GLOBAL_NAMES[each.type_name]])
            for each in found
            if GLOBAL_NAMES.get(each.type_name, "") in each.properties
        )
        policies_of_cloudfront = Counter(
            each.properties[f"{kind}Config"]["Name"]
            for each in found
            for kind in ("CachePolicy", "OriginRequestPolicy", "ResponseHeadersPolicy")
            if each.type_name == f"AWS::CloudFront::{kind}"
        )
        assert {name for name, times in (names + Counter(policies_of_cloudfront)).items() if times > 1} == set()


def test_edge_logs_are_delivered_from_us_east_1() -> None:
    for variant in WITH_SERVICES:
        for account in _accounts(variant):
            found = resources(Path(judged(variant).assembly), account)
            edges = [each for each in found if each.type_name == "AWS::CloudFront::Distribution"]
            sources = [each for each in found if each.type_name == "AWS::Logs::DeliverySource"]
            assert len(sources) == len(edges)
            assert {each.region for each in sources} <= {"us-east-1"}
