"""Collect the files of later builds, including packages: `slipway handover`.

Those builds are in stages that roll back when they fail. They get one folder with the sources and the packages that the
synth installed and tested, so that an unreachable registry or Git host cannot fail them.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from rich.console import Console

from slipway import settings as config
from slipway.errors import SlipwayError
from slipway.project import ROOT
from slipway.settings import Settings
from slipway.settings.load import TEST_STEPS
from slipway.tasks.reports import HANDOVER

GROUP = "steps"
"""Dependency group of `pyproject.toml` with the imports of all later builds."""

SOURCES = (
    "Makefile",
    "cdk.json",
    "pyproject.toml",
    "config",
    "packages",
    "services",
    "tests",
)
"""Files of this repository for the later builds, which form a separate project. Lock files are not included: there is
nothing to install from.
"""

PACKAGES = "site-packages"
"""Folder of the packages in the handover; if it exists, the Makefile uses them and installs nothing."""

_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "unit", "local", "infrastructure", "properties", "bench")


class HandoverError(SlipwayError):
    """A required package is not installed. The message is one line."""


def groups_of(settings: Settings) -> tuple[str, ...]:
    """Return the dependency groups that the later builds of a pipeline import; a step's own has its name.

    Args:
        settings: All of `config/`.
    """
    wanted = (step for step in TEST_STEPS if any(getattr(each, step) for each in settings.environments))
    return (GROUP, *wanted)


def hand_over(target: Path, root: Path = ROOT, groups: Iterable[str] = (GROUP,)) -> list[str]:
    """Fill a folder with the sources and packages of the later builds.

    Args:
        target: The folder; its previous content is deleted.
        root: The repository.
        groups: The dependency groups whose packages are needed.

    Returns:
        The packages, each as `name version`.

    Raises:
        HandoverError: A required package is not installed.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in SOURCES:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=_LEFT_OUT)
        else:
            shutil.copy2(source, target / name)
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    needed = installed(Requirement(each) for group in groups for each in project["dependency-groups"][group])
    for package in needed:
        _copy(package, target / PACKAGES)
    return [f"{package.name} {package.version}" for package in needed]


def installed(requirements: Iterable[Requirement]) -> list[Distribution]:
    """Return the installed packages that requirements need, directly or indirectly, by name.

    Args:
        requirements: The requirements.

    Raises:
        HandoverError: One of them is not installed.
    """
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    open_ = [(requirement.name, extra) for requirement in requirements for extra in ("", *requirement.extras)]
    while open_:
        name, extra = open_.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:
            raise HandoverError(f"{name} is not installed: run `make install`") from None
        if (package.name, extra) not in seen:
            seen.add((package.name, extra))
            found[package.name] = package
            open_ += _needs(package, extra)
    return [found[name] for name in sorted(found, key=str.lower)]


def _needs(package: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    for requirement in map(Requirement, package.requires or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield from ((requirement.name, each) for each in ("", *requirement.extras))


def _copy(package: Distribution, target: Path) -> None:
    for file in package.files or []:
        # Scripts are outside the folder, and contain the interpreter's path.
        if ".." in file.parts or file.suffix == ".pyc":
            continue
        place = target / file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path(str(package.locate_file(file))), place)


def fill() -> None:
    """Fill build/handover with the files of later builds.

    Exit code: 0 if it is complete, 1 if a package is missing.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    packages = hand_over(ROOT / HANDOVER, groups=groups_of(config.load()))
    console.print(f"{len(packages)} packages and the sources are in {HANDOVER}", markup=False)
