"""Rules over a configuration, used by an app's contract: each one finds what breaks it."""

from __future__ import annotations

import pytest

import specimen
from slipway.settings import Settings
from slipway.testing.rules import RULES, Rule


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_specimen_follows_the_rules(rule: Rule) -> None:
    assert list(rule(specimen.SETTINGS)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_each_rule_finds_what_breaks_it(rule: Rule) -> None:
    # The loader would refuse this configuration, so it is built without the loader
    assert list(rule(BROKEN[rule.__name__])) != []


_PIPELINE, _PROD, _STAGING = specimen.SETTINGS.pipeline, specimen.PROD, specimen.STAGING
_ASKS_NOBODY = _PIPELINE.approval.model_copy(update={"emails": ()})
_UNPROTECTED = _PROD.stateful.model_copy(update={"deletion_protection": False})
_DISPOSABLE = _STAGING.stateful.model_copy(update={"disposable": True})
_OPEN = _STAGING.waf.model_copy(update={"enabled": False})
BROKEN = {
    "production_waits_for_an_approval": Settings(
        pipeline=_PIPELINE.model_copy(update={"approval_before": ()}), environments=(_STAGING, _PROD)
    ),
    "approvals_reach_somebody": Settings(
        pipeline=_PIPELINE.model_copy(update={"approval": _ASKS_NOBODY}), environments=(_STAGING, _PROD)
    ),
    "production_keeps_its_data": Settings(
        pipeline=_PIPELINE, environments=(_PROD.model_copy(update={"stateful": _UNPROTECTED}),)
    ),
    "only_what_is_disposable_is_destroyed": Settings(
        pipeline=_PIPELINE, environments=(_STAGING.model_copy(update={"stateful": _DISPOSABLE}),)
    ),
    "tests_have_the_shape_of_production": Settings(
        pipeline=_PIPELINE, environments=(_STAGING.model_copy(update={"waf": _OPEN}), _PROD)
    ),
    "accounts_are_shared_on_purpose": Settings(pipeline=_PIPELINE, environments=(_PROD, _PROD)),
}
