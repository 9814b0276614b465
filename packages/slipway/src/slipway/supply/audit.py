"""Check shipped packages and tools for known vulnerabilities: pip-audit and npm audit on the lock files.

Both tools report success, or nearly, if no service answered: pip-audit skips packages that its service does not know,
says "No known vulnerabilities found" and exits with 0. So each package must be confirmed in the answer; a missing one
makes the step *not done*. And since a mirror may know packages but no advisories, the audit also includes a package
with known vulnerabilities: if it comes back without any, the service has no advisories.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slipway.gates.outcome import Accepted, Finding, Outcome
from slipway.supply.components import Component, PackageKind, layer, npm, npm_lock_with_bundled, tools
from slipway.supply.errors import SupplyError
from slipway.supply.policy import AcceptedAdvisory, Audit
from slipway.supply.repository import ScannedTree
from slipway.supply.tool import ASKING_SECONDS, Ran, run

_PIP_TIMEOUT_SECONDS = 15
_NPM_TIMEOUT_MS = 15_000
_SHOWN = 120

# Planted among the packages: the first one that the locks don't pin, because pip-audit accepts each name once.
# pip-audit's own manual shows the vulnerabilities of flask 0.5, django 1.2 has CVE-2011-0696, and minimist
# GHSA-vh95-rmgr-6w4m.
PLANTABLE_PYTHON = (
    Component(kind=PackageKind.PYTHON, name="flask", version="0.5"),
    Component(kind=PackageKind.PYTHON, name="django", version="1.2"),
)
PLANTED_NPM = Component(kind=PackageKind.NPM, name="minimist", version="1.2.0")
# Below a package that isn't installed, so that an installed one of that name is not replaced.
_PLANTED_PLACE = f"node_modules/planted/node_modules/{PLANTED_NPM.name}"
_ANY_HASH = f"sha256:{'0' * 64}"


@dataclass(frozen=True, order=True)
class Advisory:
    """A known vulnerability of a component."""

    purl: str
    package: str
    names: tuple[str, ...]
    """All its names, the one that is shown first."""
    title: str
    remedy: str
    """How to fix it."""


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True)


# What pip-audit answers.
class _Vulnerability(_Read):
    id: str
    aliases: tuple[str, ...] = ()
    fix_versions: tuple[str, ...] = ()
    description: str = ""


class _Dependency(_Read):
    name: str
    version: str = ""
    vulns: tuple[_Vulnerability, ...] = ()
    skip_reason: str = ""


class _PipAudit(_Read):
    dependencies: tuple[_Dependency, ...]


# What npm audit answers. A vulnerability inherited from another package is only that package's name.
class _Via(_Read):
    title: str
    url: str
    severity: str
    range: str


class _Vulnerable(_Read):
    via: tuple[_Via | str, ...]
    nodes: tuple[str, ...]


class _Counts(_Read):
    total: int


class _NpmMetadata(_Read):
    dependencies: _Counts


class _NpmAudit(_Read):
    audit_report_version: int = Field(alias="auditReportVersion")
    vulnerabilities: dict[str, _Vulnerable]
    metadata: _NpmMetadata


class _Refusal(_Read):
    message: str = ""


def python(repository: ScannedTree, audit: Audit, *, today: date) -> Outcome:
    """Audit the packages of the layer and the Python tools.

    Args:
        repository: The checkout.
        audit: Sources of advisories, and accepted advisories.
        today: Acceptances that end before this day are expired.

    Raises:
        SupplyError: A lock file cannot be used.
    """
    asked = {one.purl: one for one in (*layer(repository), *tools(repository)) if one.kind is PackageKind.PYTHON}
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        ran = _pip_audit(repository, audit, asked.values(), Path(folder))
    try:
        answer = _PipAudit.model_validate_json(ran.out)
    except ValidationError:
        return Outcome.not_done(f"pip-audit got no answer ({ran.complaint()})", scanned=asked)
    answered = {
        (str(canonicalize_name(one.name)), one.version): one for one in answer.dependencies if not one.skip_reason
    }
    unknown = [one for one in asked.values() if (one.name, one.version) not in answered]
    ours = planted_among(asked.values())
    planted = answered.get((ours.name, ours.version))
    if not unknown and (planted is None or not planted.vulns):
        return Outcome.not_done(_knows_none(ours), scanned=asked)
    if unknown:
        skipped = next((one.skip_reason for one in answer.dependencies if one.skip_reason), "no answer")
        return Outcome.not_done(f"{len(unknown)} of {len(asked)} packages got no answer ({skipped})", scanned=asked)
    advisories = [
        _python_advisory(component, vulnerability)
        for component in asked.values()
        for vulnerability in answered[component.name, component.version].vulns
    ]
    return _judged(asked, advisories, audit, kind=PackageKind.PYTHON, today=today)


def _pip_audit(repository: ScannedTree, audit: Audit, asked: Iterable[Component], folder: Path) -> Ran:
    # pip-audit would evaluate the markers of the layer's lock for this machine; these pins have no markers.
    pins, packages = folder / "pins.txt", sorted(asked)
    lines = (
        f"{one.name}=={one.version} {' '.join(f'--hash={digest}' for digest in one.hashes or (_ANY_HASH,))}"
        for one in (*packages, planted_among(packages))
    )
    pins.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command: list[str | Path] = [repository.python, "-m", "pip_audit", "--requirement", pins]
    command += ["--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", str(_PIP_TIMEOUT_SECONDS)]
    command += ["--cache-dir", repository.cache / "pip-audit"]
    if audit.osv:
        command += ["--vulnerability-service", "osv", "--osv-url", audit.osv]
    return run(command, folder=folder, environ=repository.environ, seconds=ASKING_SECONDS)


def _python_advisory(component: Component, found: _Vulnerability) -> Advisory:
    remedy = f"take {' or '.join(found.fix_versions)}" if found.fix_versions else "no version fixes it yet"
    return Advisory(
        purl=component.purl,
        package=component.name,
        names=(found.id, *found.aliases),
        title=found.description[:_SHOWN],
        remedy=remedy,
    )


def planted_among(asked: Iterable[Component]) -> Component:
    """Return the package with known vulnerabilities that is planted among others.

    Args:
        asked: The others.

    Raises:
        SupplyError: The locks pin a package of each name.
    """
    names = {canonicalize_name(one.name) for one in asked}
    for one in PLANTABLE_PYTHON:
        if one.name not in names:
            return one
    known = ", ".join(one.name for one in PLANTABLE_PYTHON)
    raise SupplyError(f"the locks pin all planted packages, {known}: name another package in {__name__}")


def javascript(repository: ScannedTree, audit: Audit, *, today: date) -> Outcome:
    """Audit npm's packages, and those bundled into them.

    Args:
        repository: The checkout, installed.
        audit: Sources of advisories, and accepted advisories.
        today: Acceptances that end before this day are expired.

    Raises:
        SupplyError: The lock file cannot be used, or its packages are not installed.
    """
    asked = {one.purl: one for one in npm(repository)}
    lock = _npm_lock(repository)
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        ran = _npm_audit(repository, audit, lock, Path(folder))
    try:
        answer = _NpmAudit.model_validate_json(ran.out)
    except ValidationError:
        return Outcome.not_done(f"npm audit got no answer ({_refusal(ran)})", scanned=asked)
    # Npm counts places, where one version may be installed at several; the root is not one of its dependencies.
    total, expected = answer.metadata.dependencies.total, len(lock["packages"]) - 1
    if total != expected:
        return Outcome.not_done(f"npm audit asked about {total} of {expected} packages", scanned=asked)
    planted = answer.vulnerabilities.get(PLANTED_NPM.name)
    if planted is None or _PLANTED_PLACE not in planted.nodes:
        return Outcome.not_done(_knows_none(PLANTED_NPM), scanned=asked)
    advisories = [
        Advisory(
            purl=f"{name} {via.range}",
            package=name,
            names=(via.url.rpartition("/")[2], via.url),
            title=f"{via.severity}: {via.title}"[:_SHOWN],
            remedy=f"in {', '.join(node.removeprefix('node_modules/') for node in vulnerable.nodes)}",
        )
        for name, vulnerable in answer.vulnerabilities.items()
        for via in vulnerable.via
        if isinstance(via, _Via) and vulnerable.nodes != (_PLANTED_PLACE,)
    ]
    return _judged(asked, advisories, audit, kind=PackageKind.NPM, today=today)


def _npm_lock(repository: ScannedTree) -> dict[str, Any]:
    """Return the lock for npm: with bundled packages, and the planted package."""
    lock = npm_lock_with_bundled(repository)
    lock["packages"][_PLANTED_PLACE] = {"version": PLANTED_NPM.version, "dev": True}
    return lock


def _npm_audit(repository: ScannedTree, audit: Audit, lock: Mapping[str, Any], folder: Path) -> Ran:
    shutil.copy(repository.root / "package.json", folder)
    (folder / "package-lock.json").write_text(json.dumps(lock), encoding="utf-8")
    command: list[str | Path] = ["npm", "audit", "--json", "--package-lock-only", "--include=dev"]
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", f"--fetch-timeout={_NPM_TIMEOUT_MS}"]
    if audit.npm_registry:
        command += ["--registry", audit.npm_registry]
    return run(command, folder=folder, environ=repository.environ, seconds=ASKING_SECONDS)


def _knows_none(planted: Component) -> str:
    return (
        f"the index returned no advisories for {planted.name} {planted.version}, which has known ones; check the index"
    )


def _refusal(ran: Ran) -> str:
    """Return why npm could not audit, from its JSON if it wrote any."""
    try:
        said = _Refusal.model_validate_json(ran.out).message
    except ValidationError:
        said = ""
    return said or ran.complaint()


def _judged(
    asked: Mapping[str, Component], advisories: Iterable[Advisory], audit: Audit, *, kind: PackageKind, today: date
) -> Outcome:
    waivers = _Waivers(audit.accepted)
    findings: list[Finding] = []
    accepted: list[Accepted] = []
    for advisory in sorted(advisories):
        waiver = waivers.for_(advisory)
        if waiver is None:
            message = f"{advisory.title} ({advisory.remedy})"
            findings.append(Finding(advisory.purl, advisory.names[0], message))
        elif waiver.is_expired(today):
            message = f"its acceptance expired on {waiver.expires} (owner: {waiver.owner}; {advisory.remedy})"
            findings.append(Finding(advisory.purl, advisory.names[0], message))
        else:
            accepted.append(
                Accepted(advisory.purl, advisory.names[0], waiver.reason, owner=waiver.owner, expires=waiver.expires)
            )
    findings += waivers.stale({component.name for component in asked.values() if component.kind is kind})
    return Outcome.of(findings, f"{len(asked)} packages audited", accepted=accepted, scanned=asked)


@dataclass
class _Waivers:
    """The accepted advisories, and those of them that were found."""

    accepted: tuple[AcceptedAdvisory, ...]
    met: set[AcceptedAdvisory] = field(default_factory=set)

    def for_(self, advisory: Advisory) -> AcceptedAdvisory | None:
        for one in self.accepted:
            if one.advisory in advisory.names and canonicalize_name(one.package) == canonicalize_name(advisory.package):
                self.met.add(one)
                return one
        return None

    def stale(self, packages: Iterable[str]) -> Iterator[Finding]:
        """Yield acceptances of advisories that the audited packages no longer have."""
        asked = {canonicalize_name(name) for name in packages}
        for one in self.accepted:
            if one not in self.met and canonicalize_name(one.package) in asked:
                message = f"{one.package} has no advisory {one.advisory} any more: remove its acceptance"
                yield Finding("policy.toml", "stale", message)
