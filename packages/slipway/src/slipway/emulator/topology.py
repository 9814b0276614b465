"""The accounts of a delivery and their labels, from the configuration or from any assembly."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.accounts.bootstrap.plan import accounts
from slipway.assembly.reader import MANIFEST_FILE, AssemblyError, StackEntry, assets_files, read_assets, read_manifest
from slipway.errors import RehearsalError
from slipway.settings import Settings

QUALIFIER = "hnb659fds"
"""Qualifier of CDK's own bootstrap stack (https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html)."""
ANY_ACCOUNT, ANY_REGION = "111111111111", "us-east-1"
"""Placeholders for the account and region of an assembly that leaves them to the caller's credentials."""
PIPELINE = "AWS::CodePipeline::Pipeline"

_TARGET = re.compile(r"aws://(?P<account>[\w-]+)/(?P<region>[\w-]+)")
_BUCKET = re.compile(r"cdk-(?P<qualifier>\w+)-assets-")


@dataclass(frozen=True)
class Topology:
    """Accounts of a delivery.

    Attributes:
        tools: Account of the pipeline.
        regions: Account → the regions that it is deployed to, its main one first; the tools account comes first.
        labels: Account → its display name. Default: its number.
        qualifier: Qualifier of the bootstrap stacks.
    """

    tools: str
    regions: Mapping[str, tuple[str, ...]]
    labels: Mapping[str, str] = field(default_factory=dict)
    qualifier: str = QUALIFIER

    @classmethod
    def of_settings(cls, settings: Settings) -> Topology:
        """Read the accounts from the configuration: those that `make bootstrap` prepares, in the same regions.

        Args:
            settings: All of `config/`.
        """
        prepared = accounts(settings)
        return cls(
            settings.pipeline.account,
            {each.account: each.regions for each in prepared},
            {each.account: each.label for each in prepared},
            settings.pipeline.qualifier,
        )

    @classmethod
    def of_assembly(cls, folder: Path) -> Topology:
        """Read the accounts from an assembly of any app that has a pipeline.

        Args:
            folder: The assembly, `cdk.out`.

        Raises:
            RehearsalError: It has no pipeline, or pipelines in several accounts.
        """
        tools = {place for stack in stacks(folder) if has_pipeline(stack) for place in [stack.account]}
        if len(tools) != 1:
            named = ", ".join(sorted(tools)) or "no account"
            raise RehearsalError(f"{folder} has pipelines in {named}; a rehearsal plays only one account's pipelines")
        (first,) = tools
        regions: dict[str, tuple[str, ...]] = {first: ()}
        # The pipeline's own region is the main one of its account.
        ordered = sorted(stacks(folder), key=lambda stack: not has_pipeline(stack))
        for stack in ordered:
            regions[stack.account] = tuple(dict.fromkeys((*regions.get(stack.account, ()), stack.region)))
        labels = {first: "tools"}
        for stack in ordered:
            if stack.stage and stack.account != first:
                names = dict.fromkeys((*labels.get(stack.account, "").split("+"), stack.stage))
                labels[stack.account] = "+".join(filter(None, names))
        return cls(first, regions, labels, _qualifier(folder))

    def label(self, account: str) -> str:
        """Return the display name of an account."""
        return self.labels.get(account) or account

    def region(self, account: str) -> str:
        """Return the main region of an account."""
        return self.regions[account][0]


@dataclass(frozen=True)
class StackArtifact:
    """A stack of an assembly.

    Attributes:
        stage: Its stage; empty for a stack outside the stages.
        account: Account that it is deployed to.
        region: Region that it is deployed to.
        entry: Its entry in the manifest.
    """

    stage: str
    account: str
    region: str
    entry: StackEntry

    @property
    def id(self) -> str:
        """Its id in the manifest."""
        return self.entry.id

    @property
    def folder(self) -> Path:
        """Folder of the assembly that it is in."""
        return self.entry.folder

    @property
    def name(self) -> str:
        """Its name in CloudFormation."""
        return self.entry.name

    @property
    def template(self) -> dict[str, Any]:
        """Its template."""
        return self.entry.template


def folders(assembly: Path) -> list[Path]:
    """Return an assembly's folder and those of all its stages."""
    return [assembly, *sorted(file.parent for file in assembly.rglob(f"assembly-*/{MANIFEST_FILE}"))]


def stacks(assembly: Path) -> Iterator[StackArtifact]:
    """Yield every stack of an assembly and of its stages.

    Raises:
        RehearsalError: It is not a cloud assembly.
    """
    for folder in folders(assembly):
        try:
            manifest = read_manifest(folder)
        except AssemblyError:
            raise RehearsalError(f"{folder} is not a cloud assembly; synthesise the app first") from None
        stage = "" if folder == assembly else folder.name.removeprefix("assembly-")
        for entry in manifest.stacks():
            account, region = target(entry.artifact)
            yield StackArtifact(stage, account, region, entry)


def target(artifact: Mapping[str, Any]) -> tuple[str, str]:
    """Return account and region that a stack of a manifest is deployed to."""
    match = _TARGET.fullmatch(artifact.get("environment", ""))
    account, region = (match["account"], match["region"]) if match else ("", "")
    return (
        account if account.isdigit() else ANY_ACCOUNT,
        ANY_REGION if region in {"", "unknown-region"} else region,
    )


def has_pipeline(stack: StackArtifact) -> bool:
    """Return True if a stack contains a pipeline."""
    return any(resource["Type"] == PIPELINE for resource in stack.template.get("Resources", {}).values())


def _qualifier(assembly: Path) -> str:
    """Return the qualifier of the buckets that assets are published to."""
    for listed in assets_files(assembly):
        for file in read_assets(listed).files.values():
            for destination in file["destinations"].values():
                if match := _BUCKET.match(str(destination.get("bucketName", ""))):
                    return match["qualifier"]
    return QUALIFIER
