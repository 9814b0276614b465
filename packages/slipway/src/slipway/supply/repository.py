"""Paths and files that the supply chain is read from."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from packaging.markers import default_environment
from pathspec import GitIgnoreSpec

from slipway import git
from slipway.project import ROOT
from slipway.supply.errors import SupplyError

LAMBDA_PYTHON = "3.14"
LAMBDA_MACHINE = "aarch64"
"""Platform of the layer. `slipway.build` has the same value, and a test compares them."""

_EPOCH = "SOURCE_DATE_EPOCH"


def lambda_environment() -> dict[str, str]:
    """Return the values of environment markers on Lambda."""
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{LAMBDA_PYTHON}.0",
        "os_name": "posix",
        "platform_machine": LAMBDA_MACHINE,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{LAMBDA_PYTHON}.0",
        "python_version": LAMBDA_PYTHON,
        "sys_platform": "linux",
    }


def own_environment() -> dict[str, str]:
    """Return the values of environment markers on this machine, where the tools run."""
    return {key: str(value) for key, value in default_environment().items()}


@dataclass(frozen=True)
class ScannedTree:
    """A checkout, installed and built.

    Args:
        root: Its folder. Default: this one.
        python: The interpreter whose packages are the tools. Default: the one that runs this.
        environ: The environment variables. Default: those of this process.
    """

    root: Path = ROOT
    python: Path = field(default_factory=lambda: Path(sys.executable))
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def layer_lock(self) -> Path:
        """Return the lock file of the layer."""
        return self.root / "requirements" / "layer.txt"

    @property
    def tool_locks(self) -> tuple[Path, ...]:
        """Return the lock files of the tools for checks, builds and deployments."""
        return (self.root / "requirements" / "bootstrap.txt", self.root / "requirements" / "dev.txt")

    @property
    def assets(self) -> Path:
        """Return the folder that `make build` fills."""
        return self.root / "build" / "assets"

    @property
    def layer(self) -> Path:
        """The layer that ships."""
        return self.assets / "layer.zip"

    @property
    def assembly(self) -> Path:
        """Return the folder that `make synth` fills."""
        return self.root / "cdk.out"

    @property
    def report(self) -> Path:
        """Return the folder of reports for people and for later steps."""
        return self.root / "build" / "report"

    @property
    def test_reports(self) -> Path:
        """Return the folder where CodeBuild looks for JUnit files."""
        return self.root / "build" / "reports"

    @property
    def cache(self) -> Path:
        """Return the folder of the scanners' caches."""
        return self.root / "build" / "cache"

    def relative(self, path: Path) -> str:
        """Return a path for display, relative to the root."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    @property
    def has_history(self) -> bool:
        """Return True in a Git checkout with a commit; False for the zip that some sources provide.

        Raises:
            SupplyError: It is one, but Git is not installed or cannot read it.
        """
        if not (self.root / ".git").exists():
            return False
        if self.git("rev-parse", "--git-dir") is None:
            raise SupplyError("git cannot read this checkout: `git status` says why")
        return self.git("rev-parse", "--verify", "--quiet", "HEAD") is not None

    def git(self, *arguments: str, given: str = "") -> str | None:
        """Return Git's answer; None if it fails or is not installed.

        Args:
            arguments: Its command line.
            given: Its standard input.
        """
        return git.try_output(self.root, *arguments, given=given)

    def files(self) -> tuple[Path, ...]:
        """Return every file that is committed, or would be by `git add --all`, relative to the root.

        Raises:
            SupplyError: The folder is empty.
        """
        listed = self.git("ls-files", "-z", "--cached", "--others", "--exclude-standard") if self.has_history else None
        names = [Path(name) for name in listed.split("\0") if name] if listed is not None else self._walk()
        found = {name for name in names if (self.root / name).is_file() and not (self.root / name).is_symlink()}
        if not found:
            raise SupplyError(f"{self.root}: no file to check")
        return tuple(sorted(found))

    def _walk(self) -> list[Path]:
        """Return the files that `.gitignore` does not exclude, if Git is not available."""
        ignore = self.root / ".gitignore"
        lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
        spec = GitIgnoreSpec.from_lines([".git/", *lines])
        found: list[Path] = []
        for folder, folders, names in os.walk(self.root):
            here = Path(folder).relative_to(self.root)
            folders[:] = [name for name in folders if not spec.match_file(f"{(here / name).as_posix()}/")]
            found += [here / name for name in names if not spec.match_file((here / name).as_posix())]
        return found

    def changed(self) -> datetime | None:
        """Return the commit's time, so that two builds of it agree; `SOURCE_DATE_EPOCH` overrides it.

        Returns:
            None without a commit.

        Raises:
            SupplyError: `SOURCE_DATE_EPOCH` is not a number of seconds.
        """
        said = self.environ.get(_EPOCH) or (self.git("log", "-1", "--format=%ct") if self.has_history else None)
        if not said:
            return None
        try:
            return datetime.fromtimestamp(int(said), UTC)
        except (ValueError, OverflowError, OSError):
            raise SupplyError(f"{_EPOCH} = {said.strip()!r}: must be a number of seconds") from None
