"""Rules for every valid configuration, which the contract checks on the committed one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from slipway.settings import Environment, Settings
from slipway.settings.model import EnvironmentKind, RemovalPolicy

Rule = Callable[[Settings], Iterator[str]]
"""Yields a sentence per error."""


def _released(settings: Settings) -> list[Environment]:
    """Return environments other than development ones."""
    return [environment for environment in settings.environments if environment.kind is not EnvironmentKind.DEVELOPMENT]


def production_waits_for_an_approval(settings: Settings) -> Iterator[str]:
    """Check that no change reaches production from elsewhere without a person's consent."""
    before = None
    for environment in settings.environments:
        entered = environment.kind is EnvironmentKind.PRODUCTION and before is not EnvironmentKind.PRODUCTION
        if entered and environment.name not in settings.pipeline.approval_before:
            yield f"{environment.name} is entered without an approval"
        before = environment.kind


def approvals_reach_somebody(settings: Settings) -> Iterator[str]:
    """Check that the people who must approve are notified."""
    if settings.pipeline.approval_before and not settings.pipeline.approval.emails:
        yield "nobody is notified of a waiting approval"


def production_keeps_its_data(settings: Settings) -> Iterator[str]:
    """Check that no deployment deletes anything in production."""
    for environment in settings.of_kind(EnvironmentKind.PRODUCTION):
        stateful = environment.stateful
        if not (stateful.deletion_protection and stateful.termination_protection) or stateful.disposable:
            yield f"{environment.name} does not protect its data"


def only_what_is_disposable_is_destroyed(settings: Settings) -> Iterator[str]:
    """Check that data is expendable only in disposable environments."""
    for environment in settings.environments:
        if (environment.stateful.removal_policy is RemovalPolicy.DESTROY) is not environment.stateful.disposable:
            yield f"the removal policy of {environment.name} contradicts stateful.disposable"


def tests_have_the_shape_of_production(settings: Settings) -> Iterator[str]:
    """Check that test environments resemble production: services, firewall, origins, notifications."""
    for environment in _released(settings):
        if environment.services.names != settings.environments[-1].services.names:
            yield f"{environment.name} has different services"
        if not environment.waf.enabled:
            yield f"{environment.name} has no firewall"
        if "*" in environment.cors.origins:
            yield f"{environment.name} answers any origin"
        if not environment.alarms.emails:
            yield f"{environment.name} notifies nobody of its alarms"


def accounts_are_shared_on_purpose(settings: Settings) -> Iterator[str]:
    """Check that each environment and the pipeline have their own account, unless configured otherwise."""
    accounts = [settings.pipeline.account, *(environment.account for environment in settings.environments)]
    if len(set(accounts)) < len(accounts) and not settings.pipeline.share_accounts:
        yield "an account is shared"


RULES: Final[tuple[Rule, ...]] = (
    production_waits_for_an_approval,
    approvals_reach_somebody,
    production_keeps_its_data,
    only_what_is_disposable_is_destroyed,
    tests_have_the_shape_of_production,
    accounts_are_shared_on_purpose,
)
