"""The handed-over files run by themselves: on a bare Python, without the repository's installed packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import specimen
from slipway.rehearsal import launch
from slipway.settings.model import Attack
from slipway.tasks.handover import PACKAGES, HandoverError, groups_of, hand_over, installed
from slipway.tasks.reports import HANDOVER

pytestmark = pytest.mark.programs

SOURCES = "packages/slipway/src:packages/slipway-runtime/src"
BARE = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
"""The interpreter that the virtual environment was created from."""


@pytest.fixture(scope="module")
def handed_over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handover")
    hand_over(folder, groups=("steps", "attack", "performance", "resilience"))
    return folder


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a build would: with a clean environment whose PATH starts with the bare Python."""
    binaries = folder / "bin"
    binaries.mkdir(exist_ok=True)
    if not (binaries / "python3").exists():
        (binaries / "python3").symlink_to(BARE)
    environ = {"PATH": f"{binaries}:{os.defpath}", "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", ["protect", "verify", "attack", "perform", "experiment"])
def test_verbs_install_nothing(handed_over: Path, verb: str) -> None:
    # When make prints the commands it would run
    said = _run(handed_over, "make", "--dry-run", verb, "ENV=dev", "SERVICE=items ingest")
    # Then the only command is the step itself, run by the image's own Python
    assert said.returncode == 0, said.stderr
    (line,) = said.stdout.splitlines()
    assert line.startswith("python3 -m slipway ")
    assert "--service items --service ingest" in line


@pytest.mark.parametrize("verb", ["protect", "verify", "bake", "attack", "perform", "experiment"])
def test_steps_start_on_a_bare_python(handed_over: Path, verb: str) -> None:
    done = _run(handed_over, "env", f"PYTHONPATH={SOURCES}:{PACKAGES}", "python3", "-m", "slipway", verb, "--help")
    assert done.returncode == 0, done.stderr


def test_smoke_tests_are_collected_on_a_bare_python(handed_over: Path) -> None:
    folders = [str(folder.relative_to(handed_over)) for folder in handed_over.glob("services/*/tests/smoke")]
    plugins = ("-p", "no:cacheprovider", "-p", "slipway.testing.smoke")
    collect = ("python3", "-m", "pytest", *folders, "--collect-only", "-q", *plugins)
    done = _run(handed_over, "env", f"PYTHONPATH={SOURCES}:{PACKAGES}", *collect)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_items.py" in done.stdout


def test_no_dependency_files_are_handed_over(handed_over: Path) -> None:
    names = {path.name for path in handed_over.iterdir()}
    assert not names & {"requirements", "package.json", "package-lock.json"}


def test_extras_and_what_packages_need_are_followed() -> None:
    found = {package.name.lower() for package in installed([Requirement("httpx")])}
    assert {"httpx", "httpcore", "h11", "certifi", "idna"} <= found


@pytest.mark.parametrize(("attack", "groups"), [(None, ("steps",)), (Attack(), ("steps", "attack"))])
def test_packages_of_a_step_are_handed_over_where_it_runs(attack: Attack | None, groups: tuple[str, ...]) -> None:
    environment = specimen.SETTINGS.environment("staging").model_copy(update={"attack": attack})
    assert groups_of(specimen.SETTINGS.model_copy(update={"environments": (environment,)})) == groups


def test_missing_packages_are_named() -> None:
    with pytest.raises(HandoverError, match="not-a-package is not installed"):
        installed([Requirement("not-a-package")])


def test_rehearsal_launches_with_what_is_handed_over() -> None:
    assert launch.HANDOVER.as_posix() == HANDOVER
