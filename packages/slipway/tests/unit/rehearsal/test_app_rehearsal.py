"""What is deployed before an app's pipelines are played, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.assembly.reader import StackEntry
from slipway.emulator.topology import StackArtifact, Topology
from slipway.errors import RehearsalError
from slipway.rehearsal.app import App, Call, Seed
from slipway.rehearsal.app_rehearsal import in_order, topology_of
from unit.rehearsal.assemblies import PIPELINE, stack, write


def _stack(name: str, *after: str) -> StackArtifact:
    entry = StackEntry(name, Path(), {"dependencies": list(after)})
    return StackArtifact("", "111111111111", "eu-west-1", entry)


def test_stacks_come_after_those_they_depend_on() -> None:
    found = in_order([_stack("Pipeline", "Support", "Pipeline.assets"), _stack("Other"), _stack("Support")])

    assert [each.id for each in found] == ["Other", "Support", "Pipeline"]


def test_stacks_that_depend_on_each_other_are_named() -> None:
    with pytest.raises(RehearsalError, match="One, Two depend on each other"):
        in_order([_stack("One", "Two"), _stack("Two", "One")])


def test_accounts_of_seeds_are_included(tmp_path: Path) -> None:
    # Given an app, an assembly deployed before it, and calls in other accounts and regions
    assembly = write(tmp_path / "cdk.out", {"Pipeline": stack("aws://444444444444/eu-west-1", PIPELINE)})
    before = write(tmp_path / "setup.out", {"Setup": stack("aws://111111111111/us-west-2")})
    calls = tuple(
        Call(account=account, region=region, service="ssm", operation="put_parameter")
        for account, region in (("444444444444", "eu-north-1"), ("222222222222", None))
    )
    app = App(tmp_path, assembly, Seed(assemblies=(str(before),), calls=calls))

    # When its accounts are determined
    found = topology_of(app)

    # Then they include the places of all three
    assert isinstance(found, Topology)
    assert found.regions == {
        "444444444444": ("eu-west-1", "eu-north-1"),
        "111111111111": ("us-west-2",),
        "222222222222": ("eu-west-1",),
    }
