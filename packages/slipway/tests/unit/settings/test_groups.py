"""Groups of services, each with its own pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import specimen
from slipway import settings as config
from slipway.delivery.names import foundation_stack, pipeline_name, pipeline_stack
from slipway.settings import ConfigurationError
from slipway.settings.groups import GROUP, PATTERN_CHARACTERS, ignored_patterns
from unit.settings.configuration import pristine, write

FIRST, *OTHERS = sorted(specimen.MODELS)


def _folder(tmp_path: Path, **changes: Any) -> Path:
    documents = pristine()
    documents["pipeline.toml"] |= {
        "name": "shop",
        "groups": {
            "one": {"services": [FIRST], "qualifier": "one"},
            "two": {"services": OTHERS, "qualifier": "two"},
        },
        **changes,
    }
    return write(tmp_path, documents)


def test_a_group_has_its_own_app(tmp_path: Path) -> None:
    # Given two groups
    folder = _folder(tmp_path, key_alias="keys", waves=[OTHERS, [FIRST]])

    # When one is read
    two = config.load(folder, group="two")

    # Then its pipeline has its own names, and only its own services
    assert (pipeline_name(two.pipeline.app), pipeline_stack(two.pipeline.app)) == ("shop-two", "shop-two-pipeline")
    assert (two.pipeline.qualifier, two.pipeline.key_alias) == ("two", "keys-two")
    assert two.pipeline.permissions_boundary == "shop-two-bootstrap-permissions-boundary"
    assert {environment.app for environment in two.environments} == {"shop-two"}
    assert [environment.services.names for environment in two.environments] == [tuple(OTHERS)] * 3
    assert two.pipeline.waves == (tuple(OTHERS),)


def test_services_keep_their_names_in_a_group(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    whole, group = config.load(folder), config.load(folder, group="one")

    for before, after in zip(whole.environments, group.environments, strict=True):
        assert (before.name, before.bucket_prefix, before.unique_id(FIRST)) == (
            after.name,
            after.bucket_prefix,
            after.unique_id(FIRST),
        )


def test_the_first_group_keeps_the_foundation(tmp_path: Path) -> None:
    folder = _folder(tmp_path)

    foundations = [foundation_stack(config.load(folder, group=group).environments[0]) for group in (None, "one", "two")]

    assert foundations == ["dev-foundation", "dev-foundation", "dev-two-foundation"]


def test_the_variable_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GROUP, "one")

    assert config.load(_folder(tmp_path)).pipeline.group == "one"


@pytest.mark.parametrize(
    ("groups", "wrong"),
    [
        ({"one": [FIRST]}, f"groups: {OTHERS[0]!r} is in no group"),
        ({"one": [FIRST, *OTHERS], "two": [FIRST]}, f"groups: {FIRST!r} is in several groups"),
        ({"one": [FIRST, *OTHERS, "nix"]}, "groups.one.services: names 'nix'"),
        ({"dev": [FIRST, *OTHERS]}, "groups.dev: is also the name of an environment"),
        ({"one": [], "two": [FIRST, *OTHERS]}, "groups.one.services"),
        ({"pipeline-one": [FIRST, *OTHERS]}, "must not"),
    ],
)
def test_invalid_groups_are_refused(tmp_path: Path, groups: dict[str, list[str]], wrong: str) -> None:
    # Given
    tables = {
        name: {"services": services, "qualifier": f"q{number}"}
        for number, (name, services) in enumerate(groups.items())
    }
    folder = _folder(tmp_path, groups=tables)

    # Then
    with pytest.raises(ConfigurationError) as raised:
        config.load(folder, group=next(iter(groups)))
    assert wrong in str(raised.value)


@pytest.mark.parametrize("groups", [[], "one", {"one": 1}])
def test_groups_that_are_not_tables_are_refused(tmp_path: Path, groups: object) -> None:
    with pytest.raises(ConfigurationError, match="groups"):
        config.load(_folder(tmp_path, groups=groups))


def test_an_unknown_group_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SLIPWAY_GROUP names 'three'; choose from one, two"):
        config.load(_folder(tmp_path), group="three")


def test_one_qualifier_serves_one_group(tmp_path: Path) -> None:
    tables = {name: {"services": names, "qualifier": "q"} for name, names in {"one": [FIRST], "two": OTHERS}.items()}

    with pytest.raises(ConfigurationError, match="qualifier 'q' is used by several groups"):
        config.load(_folder(tmp_path, groups=tables))


def test_folders_of_many_services_fit_into_few_patterns() -> None:
    # Given forty services with names of the maximum length
    names = [f"service-{number:012d}" for number in range(40)]

    # When
    patterns = ignored_patterns(names)

    # Then each pattern is short enough, and every service is in one
    assert all(len(pattern) <= PATTERN_CHARACTERS for pattern in patterns)
    assert len(patterns) == 4
    assert [name for pattern in patterns for name in pattern.split("{")[1].split("}")[0].split(",")] == names
    assert ignored_patterns(["items"]) == ["services/items/**"]
    assert ignored_patterns([]) == []
