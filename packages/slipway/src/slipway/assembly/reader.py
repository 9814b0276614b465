"""Read the files of a cloud assembly: the only module that opens manifests, templates, asset lists and metadata.

Readers need different parts of them, so each has its own view, built on this one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from slipway.errors import SlipwayError

MANIFEST_FILE: Final = "manifest.json"
TEMPLATE_SUFFIX: Final = ".template.json"
ASSETS_SUFFIX: Final = ".assets.json"

STACK: Final = "aws:cloudformation:stack"
ASSEMBLY: Final = "cdk:cloud-assembly"
ASSET_MANIFEST: Final = "cdk:asset-manifest"
"""Types of artifacts (`ArtifactType` of
https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.cloud_assembly_schema-readme.html)."""

Json = Any
Document = dict[str, Any]


class AssemblyError(SlipwayError):
    """An unusable file of an assembly.

    Args:
        file: The file.
        what: What is wrong, as a phrase that follows the file's name: `is damaged: not valid JSON; synthesise again`.
    """

    exit_code = 2

    def __init__(self, file: Path, what: str) -> None:
        self.file = file
        self.what = what
        super().__init__(" ".join(f"{file} {what}".split()))


class MissingFileError(AssemblyError):
    """A file is missing."""


def damaged(file: Path, why: str) -> AssemblyError:
    """Return the error for a file that is not what CDK writes.

    Args:
        file: The file.
        why: What is wrong with its content.
    """
    return AssemblyError(file, f"is damaged: {why}; synthesise again")


@dataclass(frozen=True)
class AssetList:
    """Assets that are published for a stack.

    Attributes:
        files: The files by their digests.
        images: The container images by their digests.
    """

    files: Mapping[str, Json] = field(default_factory=dict)
    images: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class StackEntry:
    """A stack, as a manifest has it.

    Attributes:
        id: Its id in the manifest.
        folder: Folder of the manifest.
        artifact: Its entry in the manifest.
    """

    id: str
    folder: Path
    artifact: Document

    @property
    def properties(self) -> Document:
        """Return the manifest's properties of the stack."""
        found: Document = self.artifact.get("properties", {})
        return found

    @property
    def name(self) -> str:
        """Its name in CloudFormation; CDK leaves out one that is the artifact's own."""
        return str(self.properties.get("stackName", self.id))

    @property
    def path(self) -> str:
        """Path of its construct, such as `Pipeline/prod-<service>/Data`."""
        return str(self.artifact.get("displayName", self.id)).split(" (")[0]

    @property
    def place(self) -> tuple[str, str]:
        """Account and region, as CDK writes them: `unknown-account` and `unknown-region` where the app names none."""
        account, _, region = str(self.artifact.get("environment", "")).removeprefix("aws://").partition("/")
        return account, region

    @cached_property
    def template_file(self) -> Path:
        """The file of its template.

        Raises:
            AssemblyError: The manifest names none within the assembly.
        """
        return self.folder / member(self.artifact, "templateFile", self.folder / MANIFEST_FILE, self.id)

    @cached_property
    def template(self) -> Document:
        """Return its template, unprocessed.

        Raises:
            AssemblyError: It is missing or damaged.
        """
        return read_object(self.template_file)

    @property
    def assets_file(self) -> Path:
        """The file of its asset list, which doesn't exist if the stack publishes nothing."""
        return self.folder / f"{self.id}{ASSETS_SUFFIX}"

    @cached_property
    def assets(self) -> AssetList:
        """Return the assets published for it.

        Raises:
            AssemblyError: A list is damaged.
        """
        files: Document = {}
        images: Document = {}
        for name in self.artifact.get("dependencies", ()):
            path = self.folder / f"{name}.json"
            if str(name).endswith(".assets") and path.is_file():
                listed = read_assets(path)
                files |= listed.files
                images |= listed.images
        return AssetList(files, images)

    @property
    def metadata_file(self) -> Path:
        """Return the file with its metadata: a separate one if there is much, otherwise the manifest."""
        name = self.artifact.get("additionalMetadataFile")
        return self.folder / (name if isinstance(name, str) else MANIFEST_FILE)

    @cached_property
    def metadata(self) -> Document:
        """Return what constructs stored beside their resources, by path: entries with `type` and `data`.

        Raises:
            AssemblyError: Their file is missing or damaged.
        """
        found: Document = self.artifact.get("metadata", {})
        own = self.artifact.get("additionalMetadataFile")
        return found | read_object(self.metadata_file) if isinstance(own, str) else found


@dataclass(frozen=True)
class Manifest:
    """The manifest of an assembly.

    Attributes:
        folder: The assembly.
        document: The parsed JSON.
    """

    folder: Path
    document: Document

    @property
    def path(self) -> Path:
        """Its file."""
        return self.folder / MANIFEST_FILE

    @cached_property
    def artifacts(self) -> Mapping[str, Document]:
        """The artifacts by id.

        Raises:
            AssemblyError: They are not what CDK writes.
        """
        artifacts = self.document.get("artifacts", {})
        if not isinstance(artifacts, dict):
            raise damaged(self.path, "artifacts is not an object")
        for identifier, artifact in artifacts.items():
            if not isinstance(artifact, dict) or not isinstance(artifact.get("properties", {}), dict):
                raise damaged(self.path, f"artifact {identifier} is not an object")
        return artifacts

    def stacks(self) -> Iterator[StackEntry]:
        """Yield its stacks, in order, without those of nested assemblies."""
        for identifier, artifact in self.artifacts.items():
            if artifact.get("type") == STACK:
                yield StackEntry(identifier, self.folder, artifact)

    def assemblies(self) -> Iterator[tuple[str, Path]]:
        """Yield the assemblies nested in it: the path of the stage's construct, and the folder."""
        for identifier, artifact in self.artifacts.items():
            if artifact.get("type") == ASSEMBLY:
                yield stage_of(identifier, artifact), self.nested(identifier)

    def deployable(self) -> Document:
        """Return its document with only stacks and asset lists, without the metadata that the CDK CLI prints."""
        kept = {
            identifier: {key: value for key, value in artifact.items() if key != "additionalMetadataFile"}
            for identifier, artifact in self.artifacts.items()
            if artifact.get("type") in {STACK, ASSET_MANIFEST}
        }
        return {**self.document, "artifacts": kept}

    def nested(self, identifier: str) -> Path:
        """Return the folder of a nested assembly.

        Args:
            identifier: Id of its artifact.

        Raises:
            AssemblyError: The manifest names none within the assembly.
        """
        return self.folder / member(self.artifacts[identifier], "directoryName", self.path, identifier)


def stage_of(identifier: str, artifact: Document) -> str:
    """Return the path of a stage's construct.

    Args:
        identifier: Id of the artifact of its assembly.
        artifact: Its entry in the manifest.
    """
    return str(artifact.get("properties", {}).get("displayName", identifier))


def is_assembly(folder: Path) -> bool:
    """Return True if a folder is a cloud assembly."""
    return (folder / MANIFEST_FILE).is_file()


def read_manifest(folder: Path, *, root: bool = True) -> Manifest:
    """Read the manifest of an assembly.

    Args:
        folder: The assembly.
        root: True for the outermost assembly, for the message. Default: True.

    Raises:
        AssemblyError: It is missing or damaged.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        wanted = "not a cloud assembly; `cdk synth` writes one" if root else "the manifest names it"
        raise MissingFileError(path, f"is missing: {wanted}")
    return Manifest(folder, read_object(path))


def read_manifests(folder: Path) -> Iterator[tuple[str, Manifest]]:
    """Yield an assembly and, in order, those nested in it: the path of each stage's construct, and the manifest.

    Args:
        folder: The outermost assembly; its path is empty.

    Raises:
        AssemblyError: One is missing or damaged.
    """

    def walk(path: str, manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
        yield path, manifest
        for stage, nested in manifest.assemblies():
            yield from walk(stage, read_manifest(nested, root=False))

    yield from walk("", read_manifest(folder))


def read_stacks(folder: Path) -> Iterator[StackEntry]:
    """Yield every stack of an assembly and of those nested in it.

    Raises:
        AssemblyError: A manifest is missing or damaged.
    """
    for _, manifest in read_manifests(folder):
        yield from manifest.stacks()


def template_files(folder: Path) -> list[Path]:
    """Return every file of an assembly with a template, whether or not a manifest names it."""
    return sorted(folder.rglob(f"*{TEMPLATE_SUFFIX}"))


def assets_files(folder: Path) -> list[Path]:
    """Return every asset list of an assembly and of those nested in it."""
    return sorted(folder.rglob(f"*{ASSETS_SUFFIX}"))


def read_template(file: Path) -> Document:
    """Read a template.

    Raises:
        AssemblyError: It is missing or damaged.
    """
    return read_object(file)


def read_assets(file: Path) -> AssetList:
    """Read an asset list.

    Raises:
        AssemblyError: It is missing or damaged.
    """
    content = read_object(file)
    files, images = (content.get(key) or {} for key in ("files", "dockerImages"))
    if not isinstance(files, dict) or not isinstance(images, dict):
        raise damaged(file, "its files or images are not an object")
    return AssetList(files, images)


def read_object(file: Path) -> Document:
    """Read a file that holds a JSON object.

    Raises:
        AssemblyError: It is missing or damaged.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(file, "is missing; synthesise again") from None
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(file, f"it cannot be read ({error})") from None
    except (ValueError, RecursionError) as error:
        raise damaged(file, f"not valid JSON ({error})") from None
    if not isinstance(content, dict):
        raise damaged(file, "not a JSON object")
    return content


def member(artifact: Document, name: str, manifest: Path, identifier: str) -> str:
    """Return a file's name from the properties of an artifact.

    Args:
        artifact: The artifact.
        name: The property.
        manifest: The manifest's file, for the message.
        identifier: The artifact's id, for the message.

    Raises:
        AssemblyError: It is missing, or leads out of the assembly.
    """
    value = artifact.get("properties", {}).get(name)
    # CDK never writes a path that leaves the assembly.
    if not isinstance(value, str) or ".." in Path(value).parts or Path(value).is_absolute():
        raise damaged(manifest, f"{identifier} has no {name}")
    return value
