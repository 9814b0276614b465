"""Read the shipped packages and the tools from the lock files."""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from slipway.supply.errors import SupplyError
from slipway.supply.repository import ScannedTree, lambda_environment, own_environment

NOTICES = "THIRD_PARTY_LICENSES"
"""File in which CDK's tools list the packages that are bundled into their single file."""

_INSTALLED = "node_modules/"
_HASH = re.compile(r"--hash=(sha\d+):([0-9a-f]+)")
# "# via name", or "# via" with names below it; any other word is a file that requires it, or constrains it ("-c …").
_VIA = re.compile(r"^\s+#\s+(?:via\b\s*)?(?P<words>.*?)\s*$")
# ** @scope/name@1.2.3 - <address> | MIT
_BUNDLED = re.compile(r"^\*\* (?P<name>(?:@[^@\s/]+/)?[^@\s]+)@(?P<version>\S+) - .*\| (?P<licence>.+)$", re.MULTILINE)
_BUNDLED_LINE = re.compile(r"^\*\* \S", re.MULTILINE)


class PackageKind(StrEnum):
    """Origin of a package. The values are types of package URLs."""

    PYTHON = "pypi"
    NPM = "npm"


@dataclass(frozen=True, order=True)
class Component:
    """One version of one package."""

    kind: PackageKind
    name: str
    version: str
    hashes: tuple[str, ...] = ()
    """Allowed digests in the lock file, as `sha256:…`: one per published file."""
    needed_by: tuple[str, ...] = ()
    """Package URLs of the packages that brought it in."""
    direct: bool = False
    """True if it is a direct dependency."""
    licence: str = ""
    """Licence in the lock file; Python's lock files contain none."""
    bundled_in: str = ""
    """Package URL of the package that it is copied into, so that no lock file knows it."""

    @property
    def purl(self) -> str:
        """Its package URL (https://github.com/package-url/purl-spec)."""
        return _purl(self.kind, self.name, self.version)


def _purl(kind: PackageKind, name: str, version: str) -> str:
    namespace, _, own = name.rpartition("/")
    return PackageURL(type=kind.value, namespace=namespace or None, name=own, version=version).to_string()


def layer(repository: ScannedTree) -> tuple[Component, ...]:
    """Return the packages that the lock file puts into the layer.

    Raises:
        SupplyError: The lock file cannot be used.
    """
    return python_lock(repository.layer_lock, lambda_environment())


def tools(repository: ScannedTree) -> tuple[Component, ...]:
    """Return the packages for checks, builds and deployments: Python's and npm's, with those bundled into these.

    Raises:
        SupplyError: A lock file cannot be used, or npm's packages are not installed.
    """
    here = own_environment()
    found: dict[str, Component] = {}
    for lock in repository.tool_locks:
        for component in python_lock(lock, here):
            found.setdefault(component.purl, component)
    return tuple(sorted([*found.values(), *npm(repository)]))


def python_lock(path: Path, environment: Mapping[str, str]) -> tuple[Component, ...]:
    """Return the pins of a requirements file, as written by `uv pip compile`.

    Args:
        path: The file.
        environment: Values of environment markers; pins for other platforms are skipped.

    Raises:
        SupplyError: It is missing, empty, or a pin is not exact or has no hash.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise SupplyError(f"{path.name} is missing: run `make lock`") from None
    entries = re.split(r"\n(?=\S)", text)
    found = [pin for entry in entries if (pin := _pin(entry, path, environment)) is not None]
    if not found:
        raise SupplyError(f"{path.name} pins nothing: run `make lock`")
    purls = {pin.name: pin.purl for pin in found}
    return tuple(
        sorted(replace(pin, needed_by=tuple(purls[name] for name in pin.needed_by if name in purls)) for pin in found)
    )


def _pin(entry: str, path: Path, environment: Mapping[str, str]) -> Component | None:
    """Return one requirement, needed by names; None for comments and for other platforms."""
    line = entry.split("--hash", 1)[0].split("\n", 1)[0].rstrip("\\ \n")
    if not line or line.startswith("#"):
        return None
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        raise SupplyError(f"{path.name}: {line!r} is not a pin; run `make lock`") from None
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
        kind=PackageKind.PYTHON,
        name=canonicalize_name(requirement.name),
        version=pins[0].version,
        hashes=hashes,
        needed_by=tuple(sorted({canonicalize_name(words) for words in reasons if " " not in words})),
        direct=bool(asking),
    )


# The parts of npm's lock file that are read; other keys are ignored.
class _Package(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str = ""
    """The package's own name, where it is installed under another: `npm:` aliases."""
    version: str = ""
    integrity: str = ""
    license: str = ""
    link: bool = False
    optional: bool = False
    dependencies: dict[str, str] = Field(default_factory=dict)
    dev_dependencies: dict[str, str] = Field(default_factory=dict, alias="devDependencies")
    optional_dependencies: dict[str, str] = Field(default_factory=dict, alias="optionalDependencies")
    peer_dependencies: dict[str, str] = Field(default_factory=dict, alias="peerDependencies")

    @field_validator("license", mode="before")
    @classmethod
    def _as_expression(cls, value: object) -> str:
        """Return a licence as an SPDX expression; empty if it has no form that npm ever documented.

        An object with a `type`, and a list of which one may be chosen, are npm's older forms:
        https://docs.npmjs.com/cli/v11/configuring-npm/package-json#license
        """
        match value:
            case str():
                return value
            case {"type": str(name)}:
                return name
            case [_, *_]:
                named = [cls._as_expression(one) for one in value]
                return " OR ".join(f"({one})" for one in named) if all(named) else ""
        return ""

    @property
    def needs(self) -> set[str]:
        """Names under which it looks for other packages."""
        return {*self.dependencies, *self.dev_dependencies, *self.optional_dependencies, *self.peer_dependencies}


class NpmLock(BaseModel):
    """`package-lock.json`, version 3."""

    model_config = ConfigDict(frozen=True)

    packages: dict[str, _Package]

    @property
    def installed(self) -> dict[str, _Package]:
        """Third-party packages by the place where they are installed; links lead to packages of our own."""
        return {place: package for place, package in self.packages.items() if _INSTALLED in place and not package.link}

    def component_at(self, place: str) -> tuple[str, str]:
        """Return name and version of what is installed at a place."""
        package = self.packages[place]
        return package.name or place.rpartition(_INSTALLED)[2], package.version

    def found_from(self, place: str, name: str) -> str | None:
        """Return the place of what a package finds under a name, or None if it is not in the lock.

        Node looks beside the package, then in each folder above it (https://nodejs.org/api/modules.html).
        """
        while True:
            candidate = f"{place}/{_INSTALLED}{name}" if place else f"{_INSTALLED}{name}"
            if candidate in self.packages:
                return candidate
            if not place:
                return None
            place = place.rpartition(f"/{_INSTALLED}")[0] if f"/{_INSTALLED}" in place else ""


def read_npm_lock(repository: ScannedTree) -> NpmLock:
    """Read the lock file of npm.

    Raises:
        SupplyError: It is missing or damaged.
    """
    path = repository.root / "package-lock.json"
    try:
        return NpmLock.model_validate_json(path.read_bytes())
    except OSError:
        raise SupplyError(f"{path.name} is missing: run `make lock`") from None
    except ValidationError:
        raise SupplyError(f"{path.name} is damaged: run `make lock`") from None


def npm(repository: ScannedTree) -> tuple[Component, ...]:
    """Return the packages of npm's lock file, each version once, with what is bundled into them.

    Raises:
        SupplyError: The lock file cannot be used, or a package that this machine needs is not installed.
    """
    lock = read_npm_lock(repository)
    needed_by: defaultdict[str, set[str]] = defaultdict(set)
    direct: set[str] = set()
    for place, package in lock.packages.items():
        for name in package.needs:
            found = lock.found_from(place, name)
            if found is None:
                continue
            if place in lock.installed:
                needed_by[found].add(_purl(PackageKind.NPM, *lock.component_at(place)))
            else:
                direct.add(found)
    components: dict[str, Component] = {}
    bundled: list[Component] = []
    for place, package in lock.installed.items():
        name, version = lock.component_at(place)
        one = Component(
            kind=PackageKind.NPM,
            name=name,
            version=version,
            hashes=_integrity(package.integrity),
            needed_by=tuple(sorted(needed_by[place])),
            direct=place in direct,
            licence=package.license,
        )
        components[one.purl] = _joined(components.get(one.purl, one), one)
        bundled += _bundled(repository, place, one, optional=package.optional)
    return tuple(sorted({*components.values(), *bundled}))


def _joined(one: Component, other: Component) -> Component:
    """Return the component of one version that is installed at two places."""
    needed_by = tuple(sorted({*one.needed_by, *other.needed_by}))
    return replace(one, needed_by=needed_by, direct=one.direct or other.direct)


def _bundled(repository: ScannedTree, place: str, around: Component, *, optional: bool) -> Iterator[Component]:
    folder = repository.root / place
    if not folder.is_dir():
        # Npm omits optional packages of other platforms, which are not used here.
        if optional:
            return
        raise SupplyError(f"{place} is not installed: run `make install`")
    try:
        text = (folder / NOTICES).read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    listed = list(_BUNDLED.finditer(text))
    if not listed or len(listed) != len(_BUNDLED_LINE.findall(text)):
        raise SupplyError(f"{place}/{NOTICES} cannot be read: its bundled packages are unknown")
    for match in listed:
        yield Component(
            kind=PackageKind.NPM,
            name=match["name"],
            version=match["version"],
            licence=match["licence"].strip(),
            bundled_in=around.purl,
        )


def _integrity(text: str) -> tuple[str, ...]:
    """Return the digests of an `integrity` (https://www.w3.org/TR/SRI/), in hexadecimal."""
    parts = (part.partition("-") for part in text.split())
    return tuple(sorted(f"{algorithm}:{base64.b64decode(digest).hex()}" for algorithm, _, digest in parts))


def npm_lock_with_bundled(repository: ScannedTree) -> dict[str, Any]:
    """Return npm's lock file with bundled packages as if they were installed, so that `npm audit` checks them too.

    Raises:
        SupplyError: As for `npm`.
    """
    path = repository.root / "package-lock.json"
    bundled = [one for one in npm(repository) if one.bundled_in]
    known = read_npm_lock(repository)
    places = {_purl(PackageKind.NPM, *known.component_at(place)): place for place in known.installed}
    lock: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for component in bundled:
        place = f"{places[component.bundled_in]}/{_INSTALLED}{component.name}"
        # Another version of the same package is nested below the first.
        while place in lock["packages"]:
            place += f"/{_INSTALLED}{component.name}"
        lock["packages"][place] = {"version": component.version, "dev": True, "inBundle": True}
    return lock
