"""The stacks of a cloud assembly, strictly read: what is damaged is refused, never compared."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from slipway.assembly.loops import loops, unrolled, without_loops
from slipway.assembly.nested import nested_stacks, short_id, template_file
from slipway.review.errors import ReviewError

_OLDEST_SCHEMA = 4
"""Major version of the first schema with assets in manifests of their own; CDK writes them so since 1.25."""

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
"""What an assembly is made of, by where it stands in `manifest.json`, in the schemas up to 55 (`ArtifactType`,
`AssemblyManifest`, `ArtifactManifest`, `AwsCloudFormationStackProperties` and `NestedCloudAssemblyProperties` of
https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.cloud_assembly_schema-readme.html). The number alone says
little: CDK counts it up several times a year, mostly for what only its CLI reads."""

_UNKNOWN_ACCOUNT, _UNKNOWN_REGION = "unknown-account", "unknown-region"

MANIFEST_FILE = "manifest.json"

PIPELINE = "pipeline"
"""Stage of the stacks at the root of the assembly."""

_ENVIRONMENT = re.compile(r"aws://(?P<account>[^/]+)/(?P<region>[^/]+)")
# The build specification of the asset step, which CDK Pipelines writes beside the templates under a hash of its own.
_BUILD_SPECIFICATIONS = "buildspec-*.yaml"

_DEEPEST = 20
"""How deep stacks may be nested in each other; a template that holds itself would have no end."""

Json = Any
"""A value of a template."""


@dataclass(frozen=True, order=True)
class StackKey:
    """What CloudFormation knows a stack by.

    Only the deployment knows the name of a nested stack: here it is `parent.LogicalId`, which no stack can be called.
    """

    account: str
    region: str
    name: str

    def nested(self, logical_id: str) -> StackKey:
        """Return the key of a nested stack.

        Args:
            logical_id: its logical id in this stack.
        """
        return StackKey(self.account, self.region, f"{self.name}.{short_id(logical_id)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """One stack of an assembly.

    Args:
        key: account, region and name.
        stage: `prod-items`, `prod-foundation`, …; `PIPELINE` at the root.
        path: path of its construct.
        template: as CloudFormation gets it.
        termination_protection: whether the assembly asks for it.
        assets: digests of what is published for it.
        paths: path of each resource's construct by logical id, as far as it is known.
        parent: the stack that a nested stack is a resource of; None for any other.
        parent_id: its logical id there.
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
        """Its resources as they are written, by logical id."""
        found: Mapping[str, Mapping[str, Json]] = self.template["Resources"]
        return without_loops(found) if loops(self.template) else found


@dataclass(frozen=True, kw_only=True, eq=False)
class Assembly:
    """The stacks that a revision would deploy.

    Args:
        stacks: in the manifest's order.
        build_specifications: text of those that lie beside the templates, by file name.
        unread: what the manifests hold that this review doesn't know, in a sentence each.
        lookups: what CDK has not looked up yet, so that the templates hold made-up values in its place.
    """

    stacks: tuple[Stack, ...] = ()
    build_specifications: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    lookups: tuple[str, ...] = ()

    @cached_property
    def by_key(self) -> Mapping[StackKey, Stack]:
        """The stacks by what CloudFormation knows them by."""
        return {stack.key: stack for stack in self.stacks}

    def lineage(self, stack: Stack) -> Iterator[Stack]:
        """Yield a stack and, if it is nested, those that it is nested in, outwards."""
        found: Stack | None = stack
        while found is not None:
            yield found
            found = self.by_key.get(found.parent) if found.parent is not None else None

    def outermost(self, stack: Stack) -> Stack:
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
        folder: what `app.synth()` wrote, `cdk.out`.

    Raises:
        ReviewError: the manifest is missing or damaged.
    """
    notes = _Notes()
    stacks = tuple(_told_apart(list(_read(folder, folder, notes, stage=PIPELINE, qualifier="")), folder))
    if not stacks:
        raise ReviewError(f"{folder / MANIFEST_FILE} names no stack: there is nothing to review")
    return Assembly(
        stacks=stacks,
        build_specifications={path.name: _text(path) for path in sorted(folder.glob(_BUILD_SPECIFICATIONS))},
        unread=tuple(dict.fromkeys(notes.unread)),
        lookups=tuple(dict.fromkeys(notes.lookups)),
    )


@dataclass(frozen=True)
class _Notes:
    """What is seen on the way through the manifests of an assembly."""

    unread: list[str] = field(default_factory=list)
    lookups: list[str] = field(default_factory=list)


def _told_apart(stacks: Sequence[Stack], folder: Path) -> Iterator[Stack]:
    """The stacks, of which no two have the same key.

    Two stacks of one name in a known account and region would overwrite each other. Where neither account nor region is
    known, their deployments tell them apart; here their constructs do.
    """
    several = {key for key, number in Counter(stack.key for stack in stacks).items() if number > 1}
    for stack in stacks:
        is_unknown = stack.key.account.startswith(_UNKNOWN_ACCOUNT) or stack.key.region.startswith(_UNKNOWN_REGION)
        if stack.key in several and not is_unknown:
            raise ReviewError(f"{folder}: two stacks are called {stack.key.name} in {stack.key.account}")
    # A nested stack is told apart with the one that it is in.
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
    """The name of an unknown account or region, told apart by where it is asked for."""
    return f"{name}@{qualifier.replace('/', ':').replace(' ', '_')}" if qualifier else name


def _read(folder: Path, root: Path, notes: _Notes, *, stage: str, qualifier: str) -> Iterator[Stack]:
    path = folder / MANIFEST_FILE
    manifest = _object(path, root)
    _check_schema(manifest, path)
    notes.unread.extend(_unknown_features(manifest, path.relative_to(root)))
    notes.lookups.extend(_lookups(manifest))
    artifacts = manifest.get("artifacts", {})
    if not isinstance(artifacts, dict):
        raise _damaged(path, "artifacts is no object")
    for identifier, artifact in artifacts.items():
        properties = artifact.get("properties", {}) if isinstance(artifact, dict) else None
        if not isinstance(properties, dict):
            raise _damaged(path, f"artifact {identifier} is no object")
        match artifact.get("type"):
            case "cdk:cloud-assembly":
                nested = folder / _member(properties, "directoryName", path, identifier)
                name = str(properties.get("displayName", identifier))
                yield from _read(nested, root, notes, stage=name.rpartition("/")[2], qualifier=name)
            case "aws:cloudformation:stack":
                yield from _stacks(_Origin(folder, root, stage, qualifier), identifier, artifact)


def _check_schema(manifest: Mapping[str, Json], path: Path) -> None:
    version = str(manifest.get("version", ""))
    major = version.partition(".")[0]
    if not major.isdigit():
        raise _damaged(path, "it names no version")
    if int(major) < _OLDEST_SCHEMA:
        raise ReviewError(
            f"{path}: written in schema {version}, older than {_OLDEST_SCHEMA}: synthesise it with CDK 1.25 or newer"
        )


def _unknown_features(manifest: Mapping[str, Json], path: Path) -> Iterator[str]:
    """What a manifest holds that no schema known here has: something may be deployed that nobody compared."""
    schema = f"{path} (schema {manifest['version']})"

    def unknown(place: str, content: Json, where: str) -> Iterator[str]:
        for name in sorted((content if isinstance(content, Mapping) else {}).keys() - _KNOWN[place]):
            yield f"{schema} holds {name} {where}"

    yield from unknown("manifest", manifest, "at its root")
    artifacts = manifest.get("artifacts", {})
    for artifact in artifacts.values() if isinstance(artifacts, Mapping) else ():
        if not isinstance(artifact, Mapping):
            continue
        kind = str(artifact.get("type"))
        if kind not in _KINDS:
            yield f"{schema} holds an artifact of type {kind}"
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


@dataclass(frozen=True)
class _Origin:
    """Where in an assembly a stack stands.

    Args:
        folder: folder of the manifest that names it.
        root: folder of the outermost manifest.
        stage: name of the stage.
        qualifier: what tells the stage's unknown account from another stage's.
    """

    folder: Path
    root: Path
    stage: str
    qualifier: str


def _stacks(origin: _Origin, identifier: str, artifact: Mapping[str, Json]) -> Iterator[Stack]:
    """A stack of the manifest, and those nested in it."""
    folder, root = origin.folder, origin.root
    manifest = folder / MANIFEST_FILE
    properties = artifact.get("properties", {})
    place = _ENVIRONMENT.fullmatch(str(artifact.get("environment", "")))
    if place is None:
        raise _damaged(manifest, f"{identifier} names no account and region")
    path = folder / _member(properties, "templateFile", manifest, identifier)
    template = _template(path, root)
    files, images = _assets(folder, root, artifact)
    named = dict(_named(folder, root, artifact))
    stack = Stack(
        key=_key(place["account"], place["region"], str(properties.get("stackName", identifier)), origin.qualifier),
        stage=origin.stage,
        path=str(artifact.get("displayName", identifier)).split(" (")[0],
        template=template,
        termination_protection=properties.get("terminationProtection") is True,
        assets=frozenset({*files, *images}),
        paths=_paths(template, named),
    )
    yield stack
    yield from _nested(stack, folder, root, files, named)


def _key(account: str, region: str, name: str, qualifier: str) -> StackKey:
    """What CloudFormation will know a stack by; a stage's unknown account is another one than the next stage's."""
    return StackKey(
        _qualified(account, qualifier) if account == _UNKNOWN_ACCOUNT else account,
        _qualified(region, qualifier) if region == _UNKNOWN_REGION else region,
        name,
    )


def _nested(
    parent: Stack, folder: Path, root: Path, files: Mapping[str, Json], named: Mapping[str, str]
) -> Iterator[Stack]:
    """The nested stacks whose templates the assembly holds; the review says which it does not."""
    for logical_id in nested_stacks(parent.template):
        path = template_file(parent.resources[logical_id], folder, files)
        if path is None:
            continue
        if parent.key.name.count(".") >= _DEEPEST:
            raise _damaged(path, f"it is nested in itself, or more than {_DEEPEST} deep")
        template = _template(path, root)
        construct = parent.paths.get(logical_id, f"{parent.path}/{logical_id}").partition(".NestedStack/")[0]
        stack = Stack(
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
        yield from _nested(stack, folder, root, files, named)


def _template(path: Path, root: Path) -> Mapping[str, Json]:
    template = unrolled(_object(path, root))
    _check_template(template, path)
    return template


def _paths(template: Mapping[str, Json], named: Mapping[str, str]) -> dict[str, str]:
    """The CDK CLI lets the template name its constructs; without it the metadata file does."""
    written = {
        logical_id: str(resource["Metadata"]["aws:cdk:path"])
        for logical_id, resource in without_loops(template["Resources"]).items()
        if "aws:cdk:path" in (resource.get("Metadata") or {})
    }
    # A nested stack's resource may be called like one of its parent's, which is not as deep.
    deepest_first = sorted(named.items(), key=lambda item: item[0].count("/"), reverse=True)
    return written or {logical_id: path for path, logical_id in deepest_first if logical_id in template["Resources"]}


def _named(folder: Path, root: Path, artifact: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Path and logical id of each construct that the metadata of a stack names, those of nested stacks included."""
    metadata = artifact.get("metadata", {})
    if isinstance(file := artifact.get("additionalMetadataFile"), str):
        metadata = _object(folder / file, root)
    for path, entries in metadata.items():
        for entry in entries:
            if isinstance(entry, dict) and entry.get("type") == "aws:cdk:logicalId":
                yield str(path).lstrip("/"), str(entry["data"])


def _check_template(template: Mapping[str, Json], path: Path) -> None:
    resources = template.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise _damaged(path, "it has no resources")
    for logical_id, resource in without_loops(resources).items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise _damaged(path, f"resource {logical_id} has no type")
        if not isinstance(resource.get("Properties", {}), dict):
            raise _damaged(path, f"the properties of {logical_id} are no object")
    for section in ("Parameters", "Conditions", "Mappings", "Outputs"):
        if not isinstance(template.get(section, {}), dict):
            raise _damaged(path, f"{section} is no object")


def _assets(folder: Path, root: Path, artifact: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """The files and the images that are published for a stack, by their digests."""
    files: dict[str, Json] = {}
    images: dict[str, Json] = {}
    for name in artifact.get("dependencies", ()):
        path = folder / f"{name}.json"
        if str(name).endswith(".assets") and path.is_file():
            manifest = _object(path, root)
            files.update(manifest.get("files", {}))
            images.update(manifest.get("dockerImages", {}))
    return files, images


def _member(properties: Mapping[str, Json], name: str, path: Path, identifier: str) -> str:
    value = properties.get(name)
    # A path that leads out of the assembly is none that CDK wrote.
    if not isinstance(value, str) or ".." in Path(value).parts or Path(value).is_absolute():
        raise _damaged(path, f"{identifier} has no {name}")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, f"it cannot be read ({error})") from None


def _object(path: Path, root: Path) -> dict[str, Json]:
    if not path.is_file():
        is_root = path == root / MANIFEST_FILE
        wanted = "it is no cloud assembly; `cdk synth` writes one" if is_root else "the manifest names it"
        raise ReviewError(f"{path} is missing: {wanted}")
    try:
        content = json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise _damaged(path, f"it is no JSON ({error})") from None
    if not isinstance(content, dict):
        raise _damaged(path, "it holds no object")
    return content


def _damaged(path: Path, what: str) -> ReviewError:
    return ReviewError(f"{path} is damaged: {what}; synthesise again")
