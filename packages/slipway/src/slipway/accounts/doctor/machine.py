"""Checks that need no account: configuration, versions, locks, assets, git."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from slipway import git, process
from slipway import settings as config
from slipway.accounts.doctor.findings import CheckResult, CheckStatus
from slipway.delivery.toolchain import ASSET_SCHEMA
from slipway.project import ROOT
from slipway.settings import Settings
from slipway.settings.model import CodeConnectionsSource, S3Source

NODE_MAJOR = 24
"""Node version of the CDK tools: the release with the longest support among those that jsii accepts."""

LOCKS = {"layer": "layer", "app": "dev", "rehearsal": "dev", "dev": "dev"}
"""Dependency group of `pyproject.toml` → the lock in `requirements/` that holds it."""


def check_configuration(folder: Path) -> tuple[list[CheckResult], Settings | None]:
    """Check that `config/` is valid.

    Args:
        folder: Folder of the files.

    Returns:
        The findings, and the settings if they are valid.
    """
    area = "configuration"
    try:
        settings = config.load(folder)
    except config.ConfigurationError as error:
        return [
            CheckResult(
                area,
                f"{problem.file} {problem.key}".strip(),
                CheckStatus.WRONG,
                str(problem).removeprefix(f"config/{problem.file}: "),
                f"edit config/{problem.file}",
            )
            for problem in error.problems
        ], None
    found = [
        CheckResult(area, "files", CheckStatus.OK, f"{', '.join(settings.pipeline.environments)} and the pipeline")
    ]
    found += _examples(settings)
    found += _connection_place(settings)
    return found, settings


def _examples(settings: Settings) -> Iterator[CheckResult]:
    """Check for values of the example, with which a delivery cannot work."""
    accounts = {settings.pipeline.account, *(environment.account for environment in settings.environments)}
    examples = sorted(account for account in accounts if len(set(account)) == 1)
    if examples:
        yield CheckResult(
            "configuration",
            "accounts",
            CheckStatus.WARNING,
            f"{', '.join(examples)} are the examples from a fresh clone",
            "put your own account ids into config/*.toml",
        )
    source = settings.pipeline.source
    if isinstance(source, CodeConnectionsSource) and "0000-0000" in source.connection_arn:
        yield CheckResult(
            "configuration",
            "connection",
            CheckStatus.WARNING,
            "the connection is the example from a fresh clone",
            "create one (Developer Tools, Connections) and put its ARN into config/pipeline.toml",
        )


def _connection_place(settings: Settings) -> Iterator[CheckResult]:
    source = settings.pipeline.source
    if not isinstance(source, CodeConnectionsSource):
        return
    _, _, _, region, account, _ = source.connection_arn.split(":", 5)
    if (account, region) != (settings.pipeline.account, settings.pipeline.region):
        yield CheckResult(
            "configuration",
            "connection's place",
            CheckStatus.WRONG,
            f"the connection is in {account}, {region}, but the pipeline in {settings.pipeline.account}, "
            f"{settings.pipeline.region}",
            "create the connection in the pipeline's account and region",
        )


def check_versions(root: Path = ROOT) -> Iterator[CheckResult]:
    """Check that the installed versions are the pinned ones, and compatible.

    Args:
        root: The repository.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = SpecifierSet(project["project"]["requires-python"])
    here = ".".join(map(str, sys.version_info[:3]))
    yield _compare("Python", here, str(wanted), fits=here in wanted, fix=f"use Python {wanted}")
    pins = {
        requirement.name: requirement
        for group in project["dependency-groups"].values()
        for entry in group
        if isinstance(entry, str)
        for requirement in [Requirement(entry)]
    }
    for name in ("uv", "aws-cdk-lib", "cdk-nag", "ministack"):
        installed = _installed(name)
        fits = installed is not None and installed in pins[name].specifier
        yield _compare(name, installed, str(pins[name].specifier), fits=fits, fix="make install")
    yield _bootstrap_uv(root, pins["uv"])
    yield _node(root)
    yield from _cli(root)
    yield from _schema(root)


def _compare(check: str, found: str | None, wanted: str, *, fits: bool, fix: str) -> CheckResult:
    if fits:
        return CheckResult("versions", check, CheckStatus.OK, f"{found} ({wanted})")
    seen = "is not installed" if found is None else f"is {found}"
    return CheckResult("versions", check, CheckStatus.WRONG, f"{seen}, wanted {wanted}", fix)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _bootstrap_uv(root: Path, pinned: Requirement) -> CheckResult:
    first = (root / "requirements" / "bootstrap.in").read_text(encoding="utf-8")
    found = next((Requirement(line) for line in first.splitlines() if line.startswith("uv==")), None)
    same = found is not None and found.specifier == pinned.specifier
    text = str(found.specifier) if found is not None else "no uv"
    if same:
        return CheckResult("versions", "uv of requirements/bootstrap.in", CheckStatus.OK, text)
    return CheckResult(
        "versions",
        "uv of requirements/bootstrap.in",
        CheckStatus.WRONG,
        f"requirements/bootstrap.in has {text}, pyproject.toml {pinned.specifier}",
        "write the same version into both, then make lock",
    )


def _node(root: Path) -> CheckResult:
    node = Path(sys.executable).with_name("node")
    try:
        done = process.run([node, "--version"], check=True, seconds=20)
    except process.ProcessError:
        return _compare("Node", None, f"{NODE_MAJOR}.x", fits=False, fix="make install")
    found = done.stdout.strip().removeprefix("v")
    engines = _package(root, "aws-cdk").get("engines", {}).get("node", "")
    lowest = re.search(r"\d+", engines)
    fits = found.startswith(f"{NODE_MAJOR}.") and (lowest is None or int(lowest[0]) <= NODE_MAJOR)
    return _compare("Node", found, f"{NODE_MAJOR}.x; the CLI needs {engines or 'any'}", fits=fits, fix="make install")


def _cli(root: Path) -> Iterator[CheckResult]:
    pinned = _json(root / "package.json").get("devDependencies", {})
    locked = _json(root / "package-lock.json").get("packages", {})
    for name in ("aws-cdk", "cdk-assets", "pyodide"):
        wanted = pinned.get(name, "")
        installed = _package(root, name).get("version")
        if not re.fullmatch(r"\d+\.\d+\.\d+", wanted):
            yield CheckResult(
                "versions",
                name,
                CheckStatus.WRONG,
                f"package.json has {wanted or 'no version'!r}, which is not an exact version",
                "pin one: the registry's latest version may only read older assemblies",
            )
            continue
        in_lock = locked.get(f"node_modules/{name}", {}).get("version")
        if in_lock != wanted:
            yield CheckResult(
                "versions",
                name,
                CheckStatus.WRONG,
                f"package-lock.json has {in_lock}, package.json {wanted}",
                "make lock",
            )
            continue
        yield _compare(name, installed, wanted, fits=installed == wanted, fix="make install")


def _schema(root: Path) -> Iterator[CheckResult]:
    """Run both tools to check that they can read the assembly schema that the library writes."""
    writes = _written_schema()
    yield _read_by(root, "the CLI", "aws-cdk", writes, ["cdk", "list", "--app", ".", "--notices", "false"])
    # The pipeline writes the number that this one reads into the manifests: slipway.delivery.toolchain.
    known = ASSET_SCHEMA if writes is not None else None
    yield _read_by(root, "cdk-assets", "cdk-assets", known, ["cdk-assets", "--path", "manifest.json", "ls"])


def _read_by(root: Path, who: str, package: str, writes: int | None, command: list[str]) -> CheckResult:
    check = "assembly schema" if package == "aws-cdk" else "asset schema"
    reads = _read_schema(root, command)
    if writes is None or reads is None:
        missing = "the library" if writes is None else who
        return CheckResult("versions", check, CheckStatus.UNCHECKED, f"{missing} printed no version", "make install")
    writer = "the library" if package == "aws-cdk" else "the pipeline"
    if writes <= reads:
        return CheckResult("versions", check, CheckStatus.OK, f"{writer} writes {writes}, {who} reads up to {reads}")
    return CheckResult(
        "versions",
        check,
        CheckStatus.WRONG,
        f"{writer} writes {writes}, {who} reads up to {reads}",
        f"pin a newer {package} in package.json, then make lock and make install",
    )


def _written_schema() -> int | None:
    """Return the library's schema version, from the name of a package in it; importing it would start Node."""
    library = find_spec("aws_cdk")
    if library is None:
        return None
    for folder in library.submodule_search_locations or ():
        for archive in Path(folder).glob("cloud_assembly_schema/_jsii/*.jsii.tgz"):
            if found := re.search(r"@(\d+)\.", archive.name):
                return int(found[1])
    return None


def _read_schema(root: Path, command: list[str]) -> int | None:
    """Return the newest schema that a tool reads, which it names when a manifest is newer."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "manifest.json").write_text('{"version": "9999.0.0"}', encoding="utf-8")
        words = [str(root / "node_modules" / ".bin" / command[0]), *command[1:]]
        try:
            done = process.run(words, folder=Path(folder), seconds=60)
        except process.ProcessError:
            return None
    found = re.search(r"Maximum schema version supported is (\d+)", done.stdout + done.stderr)
    return int(found[1]) if found else None


def check_locks(root: Path = ROOT) -> Iterator[CheckResult]:
    """Check that the locks contain what `pyproject.toml` requires, and that it is installed.

    Args:
        root: The repository.
    """
    groups = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    faults: dict[str, list[str]] = {}
    for group, lock in LOCKS.items():
        locked = _locked(root / "requirements" / f"{lock}.txt")
        for entry in groups.get(group, ()):
            if not isinstance(entry, str):
                continue
            requirement = Requirement(entry)
            pinned = locked.get(_canonical(requirement.name))
            if pinned is None or pinned not in requirement.specifier:
                faults.setdefault(lock, []).append(f"{entry} is {pinned or 'missing'}")
    for lock in sorted(set(LOCKS.values())):
        path = root / "requirements" / f"{lock}.txt"
        if lock in faults:
            yield CheckResult("locks", path.name, CheckStatus.WRONG, "; ".join(faults[lock]), "make lock")
        else:
            yield CheckResult(
                "locks", path.name, CheckStatus.OK, f"{len(_locked(path))} packages, all that pyproject.toml requires"
            )
    other = sorted(
        f"{name} {_installed(name) or 'missing'} instead of {pin}"
        for name, pin in _locked(root / "requirements" / "dev.txt", markers=False).items()
        if _installed(name) != pin
    )
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        yield CheckResult("locks", "installed", CheckStatus.WRONG, "; ".join(other[:3]) + more, "make install")
    else:
        yield CheckResult("locks", "installed", CheckStatus.OK, "the packages of requirements/dev.txt")


def _locked(path: Path, *, markers: bool = True) -> dict[str, str]:
    """Return package → version of a lock; without packages for other platforms if `markers` is False."""
    found = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    for line in lines:
        if match := re.match(r"^([A-Za-z0-9._-]+)==([^\s;]+)\s*(;.*?)?\s*\\?$", line):
            marker = Requirement(line.rstrip(" \\")).marker
            if markers or marker is None or marker.evaluate():
                found[_canonical(match[1])] = match[2]
    return found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_assets(root: Path = ROOT) -> CheckResult:
    """Check that the zips match their sources, as the build itself reports.

    Args:
        root: The repository.
    """
    command = [sys.executable, "-m", "slipway", "build", "--check"]
    try:
        done = process.run(command, folder=root, seconds=120, tree=True)
    except process.ProcessError as error:
        return CheckResult("assets", "build/assets", CheckStatus.UNCHECKED, str(error), "make build")
    if done.returncode == 0:
        return CheckResult("assets", "build/assets", CheckStatus.OK, "every zip matches the current sources")
    said = (done.stdout + done.stderr).strip().splitlines()
    return CheckResult("assets", "build/assets", CheckStatus.WARNING, said[-1] if said else "not built", "make build")


def check_git(settings: Settings | None, root: Path = ROOT) -> Iterator[CheckResult]:
    """Check that the files here are what a push would deliver.

    Args:
        settings: Names the branch that the pipeline follows. None: the branch is not checked.
        root: The repository.
    """
    inside = _git(root, "rev-parse", "--is-inside-work-tree")
    if inside is None and (root / ".git").exists():
        yield CheckResult(
            "git", "repository", CheckStatus.WRONG, "git cannot read this checkout", "`git status` says why"
        )
        return
    if inside is None:
        yield CheckResult(
            "git", "repository", CheckStatus.UNCHECKED, "this folder is not a git repository", "clone it with git"
        )
        return
    if _git(root, "rev-parse", "--verify", "HEAD") is None:
        yield CheckResult("git", "commits", CheckStatus.WARNING, "nothing is committed", "commit before you push")
        return
    changed = (_git(root, "status", "--porcelain") or "").splitlines()
    if changed:
        yield CheckResult(
            "git",
            "changes",
            CheckStatus.WARNING,
            f"{len(changed)} files differ from the last commit",
            "commit or discard them: the pipeline builds commits",
        )
    else:
        yield CheckResult("git", "changes", CheckStatus.OK, "everything is committed")
    if settings is None or isinstance(settings.pipeline.source, S3Source):
        return
    wanted = settings.pipeline.source.branch
    branch = _git(root, "rev-parse", "--abbrev-ref", "HEAD")
    if branch == wanted:
        yield CheckResult("git", "branch", CheckStatus.OK, f"{branch}, which the pipeline follows")
    else:
        yield CheckResult(
            "git",
            "branch",
            CheckStatus.WARNING,
            f"{branch}; the pipeline follows {wanted}",
            f"git switch {wanted}, or change source.branch",
        )


def _git(root: Path, *arguments: str) -> str | None:
    answer = git.try_output(root, *arguments, seconds=20)
    return None if answer is None else answer.strip()


def _package(root: Path, name: str) -> dict[str, Any]:
    return _json(root / "node_modules" / name / "package.json")


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
