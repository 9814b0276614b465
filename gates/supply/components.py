"""What ships and what builds it, package by package, read from the lock files."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gates.supply.errors import SupplyError
from gates.supply.repository import Repository, lambda_environment, own_environment

NOTICES = "THIRD_PARTY_LICENSES"
"""In it the CDK's tools list the packages that are bundled into their one file."""

_HASH = re.compile(r"--hash=(sha\d+):([0-9a-f]+)")
# "# via name", "# via" with names below it; what is no name is a file that asks for it, or constrains it ("-c …").
_VIA = re.compile(r"^\s+#\s+(?:via\b\s*)?(?P<words>.*?)\s*$")
# ** @scope/name@1.2.3 - <address> | MIT
_BUNDLED = re.compile(r"^\*\* (?P<name>(?:@[^@\s/]+/)?[^@\s]+)@(?P<version>\S+) - .*\| (?P<licence>.+)$", re.MULTILINE)
_BUNDLED_LINE = re.compile(r"^\*\* \S", re.MULTILINE)


class Kind(StrEnum):
    """Where a package comes from; the values are types of package URLs."""

    PYTHON = "pypi"
    NPM = "npm"


@dataclass(frozen=True, order=True)
class Component:
    """One version of one package."""

    kind: Kind
    name: str
    version: str
    hashes: tuple[str, ...] = ()
    """What the lock file allows it to be, as `sha256:…`: one for each file that is published of it."""
    needed_by: tuple[str, ...] = ()
    """Names of the packages that brought it in."""
    direct: bool = False
    """Whether it was asked for by name."""
    licence: str = ""
    """What the lock file says of it; the locks of Python say nothing."""
    bundled_in: str = ""
    """Package that it is copied into, so that no lock file knows it."""

    @property
    def purl(self) -> str:
        """Its package URL (https://github.com/package-url/purl-spec)."""
        namespace, _, name = self.name.rpartition("/")
        return PackageURL(
            type=self.kind.value, namespace=namespace or None, name=name, version=self.version
        ).to_string()


def layer(repository: Repository) -> tuple[Component, ...]:
    """What the lock file puts into the layer.

    Raises:
        SupplyError: the lock file cannot be used.
    """
    return python_lock(repository.layer_lock, lambda_environment())


def tools(repository: Repository) -> tuple[Component, ...]:
    """What is installed to check, build and deploy: Python's packages and npm's, with what is bundled into these.

    Raises:
        SupplyError: a lock file cannot be used, or npm's packages are not installed.
    """
    here = own_environment()
    found: dict[str, Component] = {}
    for lock in repository.tool_locks:
        for component in python_lock(lock, here):
            found.setdefault(component.purl, component)
    return tuple(sorted([*found.values(), *npm(repository)]))


def python_lock(path: Path, environment: Mapping[str, str]) -> tuple[Component, ...]:
    """The pins of a requirements file, as `uv pip compile` writes it.

    Args:
        path: the file.
        environment: values of environment markers; pins for other platforms are left out.

    Raises:
        SupplyError: it is missing, empty, or a pin is not exact or has no hash.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise SupplyError(f"{path.name} is missing: run `make lock`") from None
    entries = re.split(r"\n(?=\S)", text)
    found = [pin for entry in entries if (pin := _pin(entry, path, environment)) is not None]
    if not found:
        raise SupplyError(f"{path.name} pins nothing: run `make lock`")
    return tuple(sorted(found))


def _pin(entry: str, path: Path, environment: Mapping[str, str]) -> Component | None:
    """One requirement with the lines that belong to it; None for comments and for other platforms."""
    line = entry.split("--hash", 1)[0].split("\n", 1)[0].rstrip("\\ \n")
    if not line or line.startswith("#"):
        return None
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        raise SupplyError(f"{path.name}: {line!r} is no pin: run `make lock`") from None
    pins = list(requirement.specifier)
    hashes = tuple(sorted(f"{algorithm}:{digest}" for algorithm, digest in _HASH.findall(entry)))
    if len(pins) != 1 or pins[0].operator != "==" or pins[0].version.endswith(".*"):
        raise SupplyError(f"{path.name}: {line!r} allows more than one version: run `make lock`")
    if not hashes:
        raise SupplyError(f"{path.name}: {line!r} has no hash: run `make lock`")
    if requirement.marker is not None and not requirement.marker.evaluate(dict(environment)):
        return None
    reasons = [match["words"] for line in entry.splitlines() if (match := _VIA.match(line)) and match["words"]]
    asking = {words for words in reasons if " " in words and not words.startswith("-c ")}
    return Component(
        kind=Kind.PYTHON,
        name=canonicalize_name(requirement.name),
        version=pins[0].version,
        hashes=hashes,
        needed_by=tuple(sorted({canonicalize_name(words) for words in reasons if " " not in words})),
        direct=bool(asking),
    )


# What is read of npm's lock file. Other keys are left alone.
class _Package(BaseModel):
    model_config = ConfigDict(frozen=True)

    version: str = ""
    integrity: str = ""
    license: str = ""
    dependencies: dict[str, str] = Field(default_factory=dict)
    dev_dependencies: dict[str, str] = Field(default_factory=dict, alias="devDependencies")


class NpmLock(BaseModel):
    """`package-lock.json`, version 3."""

    model_config = ConfigDict(frozen=True)

    packages: dict[str, _Package]


def read_npm_lock(repository: Repository) -> NpmLock:
    """The lock file of npm.

    Raises:
        SupplyError: it is missing or damaged.
    """
    path = repository.root / "package-lock.json"
    try:
        return NpmLock.model_validate_json(path.read_bytes())
    except OSError:
        raise SupplyError(f"{path.name} is missing: run `make lock`") from None
    except ValidationError:
        raise SupplyError(f"{path.name} is damaged: run `make lock`") from None


def npm(repository: Repository) -> tuple[Component, ...]:
    """The packages of npm's lock file, with what is bundled into them.

    Raises:
        SupplyError: the lock file cannot be used, or a package is not installed.
    """
    packages = dict(read_npm_lock(repository).packages)
    root = packages.pop("", _Package())
    found: list[Component] = []
    for place, package in packages.items():
        name = _name(place)
        needed_by = {_name(other) for other, needing in packages.items() if name in needing.dependencies}
        found.append(
            Component(
                kind=Kind.NPM,
                name=name,
                version=package.version,
                hashes=_integrity(package.integrity),
                needed_by=tuple(sorted(needed_by)),
                direct=name in root.dependencies or name in root.dev_dependencies,
                licence=package.license,
            )
        )
        found += _bundled(repository, place, name)
    return tuple(sorted(set(found)))


def _name(place: str) -> str:
    return place.rpartition("node_modules/")[2]


def _bundled(repository: Repository, place: str, name: str) -> Iterator[Component]:
    folder = repository.root / place
    try:
        folder.stat()
        text = (folder / NOTICES).read_text(encoding="utf-8")
    except FileNotFoundError:
        if folder.is_dir():
            return
        raise SupplyError(f"{place} is not installed: run `make install`") from None
    listed = list(_BUNDLED.finditer(text))
    if not listed or len(listed) != len(_BUNDLED_LINE.findall(text)):
        raise SupplyError(f"{place}/{NOTICES} cannot be read: what is bundled there is not known")
    for match in listed:
        yield Component(
            kind=Kind.NPM,
            name=match["name"],
            version=match["version"],
            licence=match["licence"].strip(),
            bundled_in=name,
        )


def _integrity(text: str) -> tuple[str, ...]:
    """The digests of an `integrity` (https://www.w3.org/TR/SRI/), in hexadecimal."""
    parts = (part.partition("-") for part in text.split())
    return tuple(sorted(f"{algorithm}:{base64.b64decode(digest).hex()}" for algorithm, _, digest in parts))


def npm_lock_with_bundled(repository: Repository) -> dict[str, Any]:
    """Npm's lock file as if what is bundled were installed, so that `npm audit` asks about that too.

    Raises:
        SupplyError: as `npm` does.
    """
    path = repository.root / "package-lock.json"
    components = npm(repository)
    lock: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for component in components:
        if component.bundled_in:
            place = f"node_modules/{component.bundled_in}/node_modules/{component.name}"
            # Another version of the same package lies below the first.
            while place in lock["packages"]:
                place += f"/node_modules/{component.name}"
            lock["packages"][place] = {"version": component.version, "dev": True, "inBundle": True}
    return lock
