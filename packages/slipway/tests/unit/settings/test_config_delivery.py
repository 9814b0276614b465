"""Settings that cannot be delivered are refused when the configuration is read, in one line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import specimen
from slipway import settings as config
from slipway.settings import ConfigurationError
from unit.settings.configuration import Documents, pristine, put, take, write

Change = Callable[[Documents], None]


def _put(file: str, key: str, value: Any) -> Change:
    return lambda documents: put(documents[file], key, value)


def _take(file: str, key: str) -> Change:
    return lambda documents: take(documents[file], key)


WINDOW = {"days": ["MON"], "from_hour": 8, "to_hour": 17, "time_zone": "UTC"}
CONNECTION = "arn:aws:codeconnections:eu-west-1:101112131415:connection/00000000-0000-0000-0000-000000000000"

REFUSED: dict[str, tuple[Change, str]] = {
    "a bake longer than CodePipeline waits": (
        _put("prod.toml", "deployment.bake_minutes", 60),
        (
            "config/prod.toml: deployment.bake_minutes = 60: must be less than 60: "
            "CodePipeline ends a condition after that many minutes"
        ),
    ),
    "a probe that a bake may not see": (
        _put("prod.toml", "services.catalog.probe.every_minutes", 16),
        (
            "config/prod.toml: services.catalog.probe.every_minutes = 16: must be at most half of "
            "deployment.bake_minutes, 30: otherwise the bake may miss its runs"
        ),
    ),
    "a window that never opens": (
        _put("prod.toml", "deployment.window", {**WINDOW, "to_hour": 8}),
        "config/prod.toml: deployment.window: to_hour must be later than from_hour: this window never opens",
    ),
    "a window without days": (
        _put("staging.toml", "deployment.window", {**WINDOW, "days": []}),
        "config/staging.toml: deployment.window.days = []: tuple should have at least 1 item after validation, not 0",
    ),
    "a window in no time zone": (
        _put("prod.toml", "deployment.window", {**WINDOW, "time_zone": "Mars/Olympus"}),
        "config/prod.toml: deployment.window: time_zone 'Mars/Olympus' is not in the IANA time zone database",
    ),
    "a prod without approval": (
        _put("pipeline.toml", "approval_before", []),
        "config/pipeline.toml: approval_before = []: must name prod: production needs an approval",
    ),
    "a prod without approvers": (
        _put("pipeline.toml", "approval.emails", []),
        "config/pipeline.toml: approval.emails: is empty, but prod waits for an approval; name at least one address",
    ),
    "approvers left out": (
        _take("pipeline.toml", "approval.emails"),
        "config/pipeline.toml: approval.emails: is empty, but prod waits for an approval; name at least one address",
    ),
    "a connection of another region": (
        _put("pipeline.toml", "source.connection_arn", CONNECTION),
        (
            f"config/pipeline.toml: source.connection_arn = '{CONNECTION}': is in eu-west-1, but the pipeline is in "
            "'us-east-1'; a pipeline deploys only to its own region"
        ),
    ),
    "two environments in one account": (
        _put("staging.toml", "account", "111122223333"),
        (
            "config/staging.toml: account = '111122223333': is also the account of dev; give each its own, or set "
            "share_accounts = true in pipeline.toml"
        ),
    ),
    "a wave with an unknown service": (
        _put("pipeline.toml", "waves", [["catalog"], ["billing"]]),
        "config/pipeline.toml: waves = 'billing': is not a service; choose from catalog, intake, studio, sweep",
    ),
    "a service in two waves": (
        _put("pipeline.toml", "waves", [["catalog"], ["catalog", "intake"]]),
        "config/pipeline.toml: waves = 'catalog': is named twice",
    ),
    "an unknown environment side by side": (
        _put("pipeline.toml", "side_by_side", [["staging", "qa"]]),
        "config/pipeline.toml: side_by_side = 'qa': is not one of dev, staging, prod",
    ),
    "an environment side by side with itself": (
        _put("pipeline.toml", "side_by_side", [["prod", "prod"]]),
        "config/pipeline.toml: side_by_side = 'prod': is named twice",
    ),
    "an environment side by side with none": (
        _put("pipeline.toml", "side_by_side", [["prod"]]),
        ("config/pipeline.toml: side_by_side.0 = ['prod']: tuple should have at least 2 items after validation, not 1"),
    ),
    "more ignored paths than CodePipeline takes": (
        _put("pipeline.toml", "source.ignored_paths", [f"{index}/**" for index in range(9)]),
        (
            "config/pipeline.toml: source.ignored_paths = ['0/**', '1/**', '2/**', '3/**', '4/**', '5/**', ...]: "
            "tuple should have at most 8 items after validation, not 9"
        ),
    ),
    "a chat webhook in plain text": (
        _put("pipeline.toml", "notifications.webhook_secret_arn", "https://hooks.example.com/T0/B0"),
        (
            "config/pipeline.toml: notifications.webhook_secret_arn = 'https://hooks.example.com/T0/B0': must match "
            r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:\S{1,512}$"
        ),
    ),
    "the region of the pipeline in an environment": (
        _put("dev.toml", "tools_region", "us-east-1"),
        "config/dev.toml: tools_region = 'us-east-1': comes from `region` in pipeline.toml; leave it out",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_undeliverable_settings_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    change, line = REFUSED[name]
    documents = pristine()
    change(documents)

    with pytest.raises(ConfigurationError) as raised:
        config.load(write(tmp_path, documents))

    assert str(raised.value).splitlines() == [line]


def test_environments_may_share_an_account_if_configured(tmp_path: Path) -> None:
    documents = pristine()
    put(documents["staging.toml"], "account", "111122223333")
    put(documents["pipeline.toml"], "share_accounts", True)

    assert config.load(write(tmp_path, documents)).environment("staging").account == "111122223333"


def test_a_pipeline_may_have_no_approval(tmp_path: Path) -> None:
    documents = pristine()
    put(documents["pipeline.toml"], "environments", ["dev"])
    put(documents["pipeline.toml"], "approval_before", [])
    put(documents["pipeline.toml"], "approval.emails", [])

    assert config.load(write(tmp_path, documents)).pipeline.approval.emails == ()


def test_environments_know_where_the_pipeline_is() -> None:
    for environment in specimen.SETTINGS.environments:
        assert (environment.tools_account, environment.tools_region) == ("101112131415", "us-east-1")


def test_waves_are_read_in_their_order(tmp_path: Path) -> None:
    documents = pristine()
    put(documents["pipeline.toml"], "waves", [["intake"], ["catalog", "studio"]])

    assert config.load(write(tmp_path, documents)).pipeline.waves == (("intake",), ("catalog", "studio"))


def _twins(**changes: Any) -> Documents:
    """Return production in two regions, deployed side by side.

    Args:
        changes: Values of the second one, by dotted key with `__` for the dots.
    """
    documents = pristine()
    documents["prod-eu.toml"] = {**pristine()["prod.toml"], "region": "eu-central-1"}
    for key, value in changes.items():
        put(documents["prod-eu.toml"], key.replace("__", "."), value)
    put(documents["pipeline.toml"], "environments", ["dev", "staging", "prod", "prod-eu"])
    put(documents["pipeline.toml"], "share_accounts", True)
    put(documents["pipeline.toml"], "side_by_side", [["prod", "prod-eu"]])
    return documents


def test_environments_side_by_side_take_one_turn(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path, _twins()))

    assert [[each.name for each in turn] for turn in settings.turns] == [["dev"], ["staging"], ["prod", "prod-eu"]]
    assert [settings.leader(each.name) for each in settings.environments] == ["dev", "staging", "prod", "prod"]
    # The first one's approval is for both
    assert settings.pipeline.approval_before == ("prod",)


def test_environments_take_turns_unless_side_by_side() -> None:
    assert [len(turn) for turn in specimen.SETTINGS.turns] == [1, 1, 1]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("deployment__on_failure", "RETRY", "deployment.on_failure = 'RETRY': differs from prod's"),
        ("deployment__frozen", True, "deployment.frozen = True: differs from prod's"),
        ("deployment__window", WINDOW, "deployment.window = {'days': ['MON']"),
        ("kind", "test", "kind = 'test': differs from prod's"),
    ],
)
def test_a_stage_has_one_rule_for_environments_side_by_side(tmp_path: Path, key: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        config.load(write(tmp_path, _twins(**{key: value})))

    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"config/prod-eu.toml: {said}")
    assert line.endswith("pipeline.toml has both in one list of side_by_side: use the same")


def test_an_explicit_default_is_the_same(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path, _twins(deployment__on_failure="ROLLBACK", deployment__frozen=False)))

    assert len(settings.turns[-1]) == 2


def test_environments_side_by_side_are_not_in_one_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is prod's account and region too: side by side, both would create"):
        config.load(write(tmp_path, _twins(region=pristine()["prod.toml"]["region"])))


@pytest.mark.parametrize("together", [["prod-eu", "prod"], ["staging", "prod-eu"]])
def test_environments_side_by_side_follow_each_other(tmp_path: Path, together: list[str]) -> None:
    documents = _twins()
    put(documents["pipeline.toml"], "side_by_side", [together])

    with pytest.raises(ConfigurationError, match="must follow each other in `environments`, in the same order"):
        config.load(write(tmp_path, documents))


def test_environments_side_by_side_wait_for_one_approval(tmp_path: Path) -> None:
    documents = _twins()
    put(documents["pipeline.toml"], "approval_before", ["prod", "prod-eu"])

    with pytest.raises(ConfigurationError) as raised:
        config.load(write(tmp_path, documents))

    assert str(raised.value) == (
        "config/pipeline.toml: approval_before = 'prod-eu': is deployed side by side with prod, whose approval covers "
        "both; name prod alone"
    )
