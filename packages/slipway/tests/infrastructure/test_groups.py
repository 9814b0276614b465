"""Two groups of services in one configuration: each has its pipeline, and they share accounts but no names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import specimen
from infrastructure import synthesis
from infrastructure.synthesis import Small, Tiny
from slipway import settings as config
from slipway.service import Service
from slipway.settings import Settings
from slipway.settings.groups import GROUP
from slipway.testing.templates import Template

FIRST, *OTHERS = sorted(specimen.MODELS)
GROUPS: Mapping[str, tuple[list[str], type[Service]]] = {"one": ([FIRST], Tiny), "two": (OTHERS, Small)}

NAMES = ("Name", "RoleName", "BucketName", "AliasName", "AlarmName", "DashboardName", "FunctionName", "TopicName")
"""Properties that set a resource's name."""


@dataclass(frozen=True)
class Synthesized:
    """The assembly of a group."""

    settings: Settings
    pipeline: Template
    templates: Mapping[str, Template]

    @property
    def definition(self) -> dict[str, Any]:
        return self.pipeline.only("AWS::CodePipeline::Pipeline")

    @property
    def names(self) -> set[tuple[str, str, str, str]]:
        """Account, region, type and name of everything with a fixed name, including stacks."""
        return {
            (template.account, template.region, resource["Type"], name)
            for template in self.templates.values()
            for resource in template.resources.values()
            for key in NAMES
            # An alias's name is unique only within its function
            if resource["Type"] != "AWS::Lambda::Alias"
            and isinstance(name := resource.get("Properties", {}).get(key), str)
        } | {(each.account, each.region, "stack", name) for name, each in self.templates.items()}


@cache
def synthesized(group: str) -> Synthesized:
    tables = "\n".join(
        f"[groups.{name}]\nservices = {services}\nqualifier = {name!r}" for name, (services, _) in GROUPS.items()
    )
    with TemporaryDirectory() as folder:
        for file in specimen.FOLDER.glob("*.toml"):
            text = file.read_text(encoding="utf-8")
            if file.name == "pipeline.toml":
                text += f"\n{tables}\n"
            Path(folder, file.name).write_text(text, encoding="utf-8")
        settings = config.load(Path(folder), group=group)
    pipeline, templates, _ = synthesis.pipeline(settings, (GROUPS[group][1],))
    return Synthesized(settings, pipeline, templates)


@pytest.mark.parametrize(("group", "other"), [("one", "two"), ("two", "one")])
def test_a_push_to_another_groups_services_starts_nothing(group: str, other: str) -> None:
    # Given the folders of the other group
    folders = GROUPS[other][0]
    folder = folders[0] if len(folders) == 1 else f"{{{','.join(folders)}}}"

    # When this group's trigger is read
    (trigger,) = synthesized(group).definition["Triggers"]
    (push,) = trigger["GitConfiguration"]["Push"]

    # Then a push to them does not start it, but changes of shared files do
    ignored = synthesized(group).settings.pipeline.source.ignored_paths  # type: ignore[union-attr]
    assert push["FilePaths"] == {"Excludes": [*ignored, f"services/{folder}/**"]}


def test_groups_deliver_only_their_own_services() -> None:
    one, two = synthesized("one"), synthesized("two")

    assert {"dev-tiny-data", "prod-tiny-compute"} <= one.templates.keys()
    assert {"dev-small-data", "prod-small-compute"} <= two.templates.keys()


def test_groups_share_no_name() -> None:
    one, two = synthesized("one"), synthesized("two")

    assert one.names
    assert one.names & two.names == set()


def test_only_the_first_group_deploys_account_wide_resources() -> None:
    accounts = {
        group: sum(
            len(template.of_type("AWS::ApiGateway::Account")) for template in synthesized(group).templates.values()
        )
        for group in GROUPS
    }

    assert accounts == {"one": len(specimen.SETTINGS.environments), "two": 0}


@pytest.mark.parametrize("group", GROUPS)
def test_every_build_knows_its_group(group: str) -> None:
    builds = synthesized(group).pipeline.properties_of("AWS::CodeBuild::Project")

    assert builds
    for build in builds:
        variables = {each["Name"]: each["Value"] for each in build["Environment"]["EnvironmentVariables"]}
        assert variables[GROUP] == group
