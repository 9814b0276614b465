"""A sandbox: how it is derived, that it keeps nothing, and how it is deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN
from slipway.accounts.bootstrap import coverage, plan, policies
from slipway.accounts.bootstrap.assembly import resources
from slipway.delivery.names import deletion_waves
from slipway.settings import sandbox
from slipway.settings.model import Environment, EnvironmentKind
from slipway.settings.sandbox import SandboxError, WantedSandbox, derive, own_account
from slipway.testing.templates import Template, templates_of
from specimen.delivery import DELIVERY
from specimen.services.catalog.infrastructure import Catalog
from stages.foundation_stage import FoundationStage
from stages.service_stage import ServiceStage

EXPIRES = "2026-12-03T18:00:00Z"


def _derived(name: str = "anna", of: str = "dev", **more: Any) -> Environment:
    (environment,) = derive(SPECIMEN, WantedSandbox(name, of, **more)).environments
    return environment


def _synthesised(environment: Environment) -> tuple[dict[str, Template], dict[str, Any]]:
    """Return the templates by stack name, and the tags of each stack."""
    app = synthesis.new_app()
    FoundationStage(app, environment=environment, services=["catalog"], assets=synthesis.assets())
    ServiceStage(app, service=Catalog(environment=environment, assets=synthesis.assets()))
    assembly = app.synth()
    tags = {
        stack.stack_name: dict(stack.tags)
        for stage in assembly.nested_assemblies
        for stack in stage.nested_assembly.stacks
    }
    return {template.stack_name: template for template in templates_of(Path(assembly.directory))}, tags


@pytest.fixture(scope="module")
def expiring() -> tuple[dict[str, Template], dict[str, Any]]:
    return _synthesised(_derived(expires=EXPIRES))


def _resources(templates: dict[str, Template]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, template in templates.items():
        yield from ((f"{name}/{logical_id}", resource) for logical_id, resource in template.resources.items())


def test_sandbox_is_another_environment_with_the_same_settings() -> None:
    base, found = SPECIMEN.environment("dev"), _derived()

    assert (found.name, found.account, found.region) == ("dev-anna", base.account, base.region)
    assert found.services.catalog.api == base.services.catalog.api
    assert found.stateful.disposable
    assert found.alarms.emails == ()
    assert not found.leads, "account-wide resources belong to dev"


def test_two_sandboxes_share_no_name() -> None:
    anna, ben = _derived("anna"), _derived("ben")

    assert anna.unique_id("catalog") != ben.unique_id("catalog")
    stacks = [{stack for wave in deletion_waves(each, ["catalog"]) for stack, _ in wave} for each in (anna, ben)]
    assert not stacks[0] & stacks[1]
    assert own_account("anna") != own_account("ben")


@pytest.mark.parametrize(
    ("name", "of", "said"),
    [
        ("Anna", "dev", "is not a valid name of a sandbox"),
        ("anna-", "dev", "is not a valid name of a sandbox"),
        ("a" * 21, "dev", "is not a valid name of a sandbox"),
        ("anna", "nowhere", "unknown environment 'nowhere'"),
        ("anna", "prod", "a sandbox requires a development environment"),
        ("anna", "staging", "a sandbox requires a development environment"),
    ],
)
def test_invalid_sandbox_is_refused(name: str, of: str, said: str) -> None:
    assert SPECIMEN.environment("staging").kind is EnvironmentKind.TEST
    with pytest.raises(SandboxError, match=said):
        _derived(name, of)


def test_process_uses_the_sandbox_named_by_its_variables() -> None:
    wanted = WantedSandbox("anna", "dev", EXPIRES, "911111111111")

    assert sandbox.selected(wanted.variables) == wanted
    assert sandbox.selected({}) is None


def test_a_sandbox_retains_nothing(expiring: tuple[dict[str, Template], dict[str, Any]]) -> None:
    kept = [name for name, resource in _resources(expiring[0]) if resource.get("DeletionPolicy", "Delete") != "Delete"]

    assert not kept
    keys = [resource for _, resource in _resources(expiring[0]) if resource["Type"] == "AWS::KMS::Key"]
    assert {key["Properties"]["PendingWindowInDays"] for key in keys} == {7}


def test_every_stack_has_its_expiry(expiring: tuple[dict[str, Template], dict[str, Any]]) -> None:
    _, tags = expiring

    assert len(tags) > 4
    assert {name: each.get("Expires") for name, each in tags.items()} == dict.fromkeys(tags, EXPIRES)


def test_schedule_starts_on_the_day_of_expiry(expiring: tuple[dict[str, Template], dict[str, Any]]) -> None:
    foundation = expiring[0]["dev-anna-foundation"]
    (schedule,) = foundation.properties_of("AWS::Scheduler::Schedule")

    assert schedule["StartDate"] == EXPIRES
    assert foundation.resources[schedule["Target"]["Arn"]["Ref"]]["Properties"]["Name"] == "live"


def test_function_deletes_only_stacks_of_this_sandbox(
    expiring: tuple[dict[str, Template], dict[str, Any]],
) -> None:
    templates, _ = expiring
    foundation = templates["dev-anna-foundation"]
    # Given the function's permissions on stacks, and its input
    statements = [
        statement
        for policy in foundation.properties_of("AWS::IAM::ManagedPolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if "cloudformation:DeleteStack" in statement["Action"]
    ]
    (function,) = foundation.properties_of("AWS::Lambda::Function")
    waves = json.loads(function["Environment"]["Variables"]["WAVES"])

    # Then it lists every synthesised stack, the foundation last
    names = [name for wave in waves for name, _ in wave]
    assert templates.keys() <= set(names)
    assert names[-1] == "dev-anna-foundation"
    # And it may delete exactly these
    allowed = [json.dumps(arn) for each in statements for arn in _list(each["Resource"])]
    assert len(allowed) == len(names)
    for name in names:
        assert any(f":stack/{name}/*" in arn for arn in allowed)


def test_sandbox_without_a_last_day_has_no_function() -> None:
    templates, tags = _synthesised(_derived(account=own_account("anna")))

    assert not [name for name, each in _resources(templates) if each["Type"] == "AWS::Scheduler::Schedule"]
    assert not any("Expires" in each for each in tags.values())


def test_bootstrap_of_the_account_lets_a_sandbox_deploy(tmp_path: Path) -> None:
    derived = derive(SPECIMEN, WantedSandbox("anna", "dev", expires=EXPIRES))
    app = DELIVERY.build(derived, synthesis.assets(), outdir=str(tmp_path), services=[Catalog])
    environment = SPECIMEN.environment("dev")
    (account,) = (each for each in plan.accounts(SPECIMEN) if each.account == environment.account)
    pipeline = SPECIMEN.pipeline

    found = resources(Path(app.synth().directory), account)
    assert {"AWS::Scheduler::Schedule", "AWS::Lambda::Function", "AWS::DynamoDB::Table"} <= {
        each.type_name for each in found
    }
    missing = coverage.missing(
        found,
        account,
        [policy.document for policy in policies.execution_policies(account, SPECIMEN)],
        limit=policies.execution_boundary(account, SPECIMEN).document,
        permissions_boundary=pipeline.permissions_boundary,
        qualifier=pipeline.qualifier,
    )
    assert not missing, "\n".join(map(str, missing))
    statements = coverage.statements(found)
    assert statements
    # The boundary only allows deleting stacks with the tag, which this evaluation does not know
    beyond = coverage.beyond_boundary(statements, policies.boundary(account, SPECIMEN).document, account)
    assert {each.partition(" ")[0] for each in beyond} == {"cloudformation:DeleteStack"}


def test_the_pipeline_gets_no_events_of_a_sandbox(expiring: tuple[dict[str, Template], dict[str, Any]]) -> None:
    rules = [name for name, each in _resources(expiring[0]) if each["Type"] == "AWS::Events::Rule"]

    assert not [name for name in rules if "Relay" in name]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
