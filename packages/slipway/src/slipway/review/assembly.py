"""Read the stacks of a cloud assembly strictly: damaged files are refused, never compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from slipway.assembly.loops import loops, unrolled, without_loops
from slipway.assembly.nested import nested_stacks, short_id, template_file
from slipway.assembly.reader import (
    MANIFEST_FILE,
    AssemblyError,
    StackEntry,
    damaged,
    read_manifests,
    read_template,
)
from slipway.review.errors import ReviewError

_OLDEST_SCHEMA = 4
"""Major version of the first schema with asset manifests as separate files; CDK writes them since 1.25."""

_KINDS: Final = frozenset(
    {
        "none",
        "aws:cloudformation:stack",
        "cdk:tree",
        "cdk:cloud-assembly",
        "cdk:asset-manifest",
        "cdk:feature-flag-report",
    }
)
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "manifest": frozenset(["version", "minimumCliVersion", "artifacts", "missing", "runtime"]),
    "artifact": frozenset(
        ["type", "environment", "metadata", "additionalMetadataFile", "dependencies", "properties", "displayName"]
    ),
    "stack": frozenset(
        [
            "templateFile",
            "parameters",
            "tags",
            "stackName",
            "additionalDependencies",
            "terminationProtection",
            "notificationArns",
            "validateOnSynth",
            "assumeRoleArn",
            "assumeRoleExternalId",
            "assumeRoleAdditionalOptions",
            "cloudFormationExecutionRoleArn",
            "stackTemplateAssetObjectUrl",
            "requiresBootstrapStackVersion",
            "bootstrapStackVersionSsmParameter",
            "lookupRole",
        ]
    ),
    "assembly": frozenset(["directoryName", "displayName"]),
}
"""Known contents of an assembly, by position in `manifest.json`, in the schemas up to 55 (`ArtifactType`,
`AssemblyManifest`, `ArtifactManifest`, `AwsCloudFormationStackProperties` and `NestedCloudAssemblyProperties` of
https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.cloud_assembly_schema-readme.html). The number alone says
little: CDK increments it several times a year, mostly for changes that only its CLI reads.
"""

_UNKNOWN_ACCOUNT, _UNKNOWN_REGION = "unknown-account", "unknown-region"

PIPELINE = "pipeline"
"""Stage of the stacks at the root of the assembly."""

_ENVIRONMENT = re.compile(r"aws://(?P<account>[^/]+)/(?P<region>[^/]+)")
# The build specification of the asset step, which CDK Pipelines writes beside the templates, named by its own hash.
_BUILD_SPECIFICATIONS = "buildspec-*.yaml"

_DEEPEST = 20
"""Maximum nesting depth of stacks; a template that contains itself would never end."""

Json = Any
"""A value of a template."""


@dataclass(frozen=True, order=True)
class StackKey:
    """CloudFormation's identity of a stack.

    Only the deployment knows the name of a nested stack: here it is `parent.LogicalId`, which is not a valid stack
    name.
    """

    account: str
    region: str
    name: str

    def nested(self, logical_id: str) -> StackKey:
        """Return the key of a nested stack.

        Args:
            logical_id: Its logical id in this stack.
        """
        return StackKey(self.account, self.region, f"{self.name}.{short_id(logical_id)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class ReviewedStack:
    """One stack of an assembly.

    Args:
        key: Account, region and name.
        stage: `prod-<service>`, `prod-foundation`, …; `PIPELINE` at the root.
        path: Path of its construct.
        template: The template, as CloudFormation receives it.
        termination_protection: True if the assembly requires it.
        assets: Digests of its published assets.
        paths: Path of each resource's construct by logical id, as far as it is known.
        parent: The stack that a nested stack is a resource of; None for any other.
        parent_id: Logical id of the nested stack in its parent.
    """

    key: StackKey
    stage: str
    path: str
    template: Mapping[str, Json]
    termination_protection: bool = False
    assets: frozenset[str] = frozenset()
    paths: Mapping[str, str] = field(default_factory=dict)
    parent: StackKey | None = None
    parent_id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "template", unrolled(self.template))

    @cached_property
    def resources(self) -> Mapping[str, Mapping[str, Json]]:
        """Return its resources, unprocessed, by logical id."""
        found: Mapping[str, Mapping[str, Json]] = self.template["Resources"]
        return without_loops(found) if loops(self.template) else found


@dataclass(frozen=True, kw_only=True, eq=False)
class Assembly:
    """The stacks that a revision would deploy.

    Args:
        stacks: In the manifest's order.
        build_specifications: Texts of build specifications beside the templates, by file name.
        unread: Unknown contents of the manifests, one sentence each.
        lookups: Pending lookups of CDK, for which the templates contain dummy values.
    """

    stacks: tuple[ReviewedStack, ...] = ()
    build_specifications: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    lookups: tuple[str, ...] = ()

    @cached_property
    def by_key(self) -> Mapping[StackKey, ReviewedStack]:
        """The stacks by CloudFormation's identity."""
        return {stack.key: stack for stack in self.stacks}

    def lineage(self, stack: ReviewedStack) -> Iterator[ReviewedStack]:
        """Yield a stack and, if it is nested, those that contain it, outwards."""
        found: ReviewedStack | None = stack
        while found is not None:
            yield found
            found = self.by_key.get(found.parent) if found.parent is not None else None

    def outermost(self, stack: ReviewedStack) -> ReviewedStack:
        """Return the stack that a stack is deployed with: itself, unless it is nested."""
        *_, found = self.lineage(stack)
        return found

    @cached_property
    def assets(self) -> frozenset[str]:
        """Digests of everything that is published."""
        return frozenset().union(*(stack.assets for stack in self.stacks))

    @cached_property
    def accounts(self) -> frozenset[str]:
        """The accounts that it deploys to."""
        return frozenset(stack.key.account for stack in self.stacks)


def read_assembly(folder: Path) -> Assembly:
    """Read an assembly and those nested in it.

    Args:
        folder: The assembly, `cdk.out`.

    Raises:
        ReviewError: The manifest is missing or damaged.
    """
    notes = _Notes()
    try:
        stacks = tuple(_told_apart(list(_read(folder, notes)), folder))
        specifications = {path.name: _text(path) for path in sorted(folder.glob(_BUILD_SPECIFICATIONS))}
    except AssemblyError as error:
        raise ReviewError(str(error)) from None
    if not stacks:
        raise ReviewError(f"{folder / MANIFEST_FILE} contains no stack: there is nothing to review")
    return Assembly(
        stacks=stacks,
        build_specifications=specifications,
        unread=tuple(dict.fromkeys(notes.unread)),
        lookups=tuple(dict.fromkeys(notes.lookups)),
    )


@dataclass(frozen=True)
class _Notes:
    """Collected notes while reading the manifests of an assembly."""

    unread: list[str] = field(default_factory=list)
    lookups: list[str] = field(default_factory=list)


def _told_apart(stacks: Sequence[ReviewedStack], folder: Path) -> Iterator[ReviewedStack]:
    """Yield the stacks, with unique keys.

    Two stacks of the same name in a known account and region would overwrite each other. If neither account nor region
    is known, their deployments differ; here their constructs do.
    """
    several = {key for key, number in Counter(stack.key for stack in stacks).items() if number > 1}
    for stack in stacks:
        is_unknown = stack.key.account.startswith(_UNKNOWN_ACCOUNT) or stack.key.region.startswith(_UNKNOWN_REGION)
        if stack.key in several and not is_unknown:
            raise ReviewError(f"{folder}: two stacks are called {stack.key.name} in {stack.key.account}")
    # A nested stack is distinguished by the one that contains it.
    renamed: dict[str, StackKey] = {}
    for stack in stacks:
        outer = next((path for path in renamed if stack.parent is not None and stack.path.startswith(f"{path}/")), None)
        if stack.key in several or outer is not None:
            place = stack.path if outer is None else outer
            key = replace(stack.key, region=_qualified(stack.key.region, place))
            if stack.parent is None:
                renamed[stack.path] = key
            parent = stack.parent and replace(stack.parent, region=_qualified(stack.parent.region, place))
            stack = replace(stack, key=key, parent=parent)  # noqa: PLW2901 - the same stack under its full key
        yield stack


def _qualified(name: str, qualifier: str) -> str:
    """Return a name for an unknown account or region, distinguished by where it is used."""
    return f"{name}@{qualifier.replace('/', ':').replace(' ', '_')}" if qualifier else name


def _read(root: Path, notes: _Notes) -> Iterator[ReviewedStack]:
    for stage, manifest in read_manifests(root):
        _check_schema(manifest.document, manifest.path)
        notes.unread.extend(_unknown_features(manifest.document, manifest.path.relative_to(root)))
        notes.lookups.extend(_lookups(manifest.document))
        for entry in manifest.stacks():
            yield from _stacks(entry, stage)


def _check_schema(manifest: Mapping[str, Json], path: Path) -> None:
    version = str(manifest.get("version", ""))
    major = version.partition(".")[0]
    if not major.isdigit():
        raise damaged(path, "it has no version")
    if int(major) < _OLDEST_SCHEMA:
        raise ReviewError(
            f"{path}: written in schema {version}, older than {_OLDEST_SCHEMA}: synthesise it with CDK 1.25 or newer"
        )


def _unknown_features(manifest: Mapping[str, Json], path: Path) -> Iterator[str]:
    """Yield unknown contents of a manifest, because something may be deployed without being compared."""
    schema = f"{path} (schema {manifest['version']})"

    def unknown(place: str, content: Json, where: str) -> Iterator[str]:
        for name in sorted((content if isinstance(content, Mapping) else {}).keys() - _KNOWN[place]):
            yield f"{schema} contains {name} {where}"

    yield from unknown("manifest", manifest, "at its root")
    artifacts = manifest.get("artifacts", {})
    for artifact in artifacts.values() if isinstance(artifacts, Mapping) else ():
        if not isinstance(artifact, Mapping):
            continue
        kind = str(artifact.get("type"))
        if kind not in _KINDS:
            yield f"{schema} contains an artifact of type {kind}"
            continue
        yield from unknown("artifact", artifact, f"in an artifact of type {kind}")
        place = {"aws:cloudformation:stack": "stack", "cdk:cloud-assembly": "assembly"}.get(kind)
        if place is not None:
            yield from unknown(place, artifact.get("properties"), f"in the properties of an artifact of type {kind}")


def _lookups(manifest: Mapping[str, Json]) -> Iterator[str]:
    missing = manifest.get("missing")
    for entry in missing if isinstance(missing, list) else ():
        if isinstance(entry, Mapping):
            yield str(entry.get("key"))


def _stacks(entry: StackEntry, stage: str) -> Iterator[ReviewedStack]:
    """Yield a stack of a manifest, and those nested in it.

    Args:
        entry: The stack.
        stage: Path of its stage, which distinguishes unknown accounts of different stages.
    """
    place = _ENVIRONMENT.fullmatch(str(entry.artifact.get("environment", "")))
    if place is None:
        raise damaged(entry.folder / MANIFEST_FILE, f"{entry.id} names no account and region")
    template = _template(entry.template_file)
    named = dict(_named(entry))
    stack = ReviewedStack(
        key=_key(place["account"], place["region"], entry.name, stage),
        stage=stage.rpartition("/")[2] or PIPELINE,
        path=entry.path,
        template=template,
        termination_protection=entry.properties.get("terminationProtection") is True,
        assets=frozenset({*entry.assets.files, *entry.assets.images}),
        paths=_paths(template, named),
    )
    yield stack
    yield from _nested(stack, entry, named)


def _key(account: str, region: str, name: str, qualifier: str) -> StackKey:
    """Return CloudFormation's identity of a stack; unknown accounts of two stages count as different."""
    return StackKey(
        _qualified(account, qualifier) if account == _UNKNOWN_ACCOUNT else account,
        _qualified(region, qualifier) if region == _UNKNOWN_REGION else region,
        name,
    )


def _nested(parent: ReviewedStack, entry: StackEntry, named: Mapping[str, str]) -> Iterator[ReviewedStack]:
    """Yield the nested stacks whose templates the assembly contains; the review reports the missing ones."""
    for logical_id in nested_stacks(parent.template):
        path = template_file(parent.resources[logical_id], entry.folder, entry.assets.files)
        if path is None:
            continue
        if parent.key.name.count(".") >= _DEEPEST:
            raise damaged(path, f"it is nested in itself, or more than {_DEEPEST} deep")
        template = _template(path)
        construct = parent.paths.get(logical_id, f"{parent.path}/{logical_id}").partition(".NestedStack/")[0]
        stack = ReviewedStack(
            key=parent.key.nested(logical_id),
            stage=parent.stage,
            path=construct,
            template=template,
            assets=parent.assets,
            paths=_paths(template, {name: place for name, place in named.items() if name.startswith(f"{construct}/")}),
            parent=parent.key,
            parent_id=logical_id,
        )
        yield stack
        yield from _nested(stack, entry, named)


def _template(path: Path) -> Mapping[str, Json]:
    template = unrolled(read_template(path))
    _check_template(template, path)
    return template


def _paths(template: Mapping[str, Json], named: Mapping[str, str]) -> dict[str, str]:
    """Return construct paths by logical id: from the template if the CDK CLI was used, else from the metadata file."""
    written = {
        logical_id: str(resource["Metadata"]["aws:cdk:path"])
        for logical_id, resource in without_loops(template["Resources"]).items()
        if "aws:cdk:path" in (resource.get("Metadata") or {})
    }
    # A nested stack's resource may have the same name as one of its parent's, whose path is shorter.
    deepest_first = sorted(named.items(), key=lambda item: item[0].count("/"), reverse=True)
    return written or {logical_id: path for path, logical_id in deepest_first if logical_id in template["Resources"]}


def _named(entry: StackEntry) -> Iterator[tuple[str, str]]:
    """Yield the path and logical id of each construct in a stack's metadata, including nested stacks."""
    for path, entries in entry.metadata.items():
        for each in entries:
            if isinstance(each, dict) and each.get("type") == "aws:cdk:logicalId":
                yield str(path).lstrip("/"), str(each["data"])


def _check_template(template: Mapping[str, Json], path: Path) -> None:
    resources = template.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise damaged(path, "it has no resources")
    for logical_id, resource in without_loops(resources).items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise damaged(path, f"resource {logical_id} has no type")
        if not isinstance(resource.get("Properties", {}), dict):
            raise damaged(path, f"the properties of {logical_id} are not an object")
    for section in ("Parameters", "Conditions", "Mappings", "Outputs"):
        if not isinstance(template.get(section, {}), dict):
            raise damaged(path, f"{section} is not an object")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, f"it cannot be read ({error})") from None
