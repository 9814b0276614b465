"""Where everything lies that the supply chain is read from."""

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
"""What the layer is resolved for. `slipway.build` says the same, and a test holds them together."""

_EPOCH = "SOURCE_DATE_EPOCH"


def lambda_environment() -> dict[str, str]:
    """The values of environment markers where the layer is imported."""
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
    """The values of environment markers on this machine, where the tools run."""
    return {key: str(value) for key, value in default_environment().items()}


@dataclass(frozen=True)
class ScannedTree:
    """A checkout, installed and built.

    Args:
        root: its folder. Default: this one.
        python: the interpreter whose packages are the tools. Default: the one that runs this.
        environ: the environment variables. Default: those of this process.
    """

    root: Path = ROOT
    python: Path = field(default_factory=lambda: Path(sys.executable))
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def layer_lock(self) -> Path:
        """What the layer is made from."""
        return self.root / "requirements" / "layer.txt"

    @property
    def tool_locks(self) -> tuple[Path, ...]:
        """What is installed to check, build and deploy."""
        return (self.root / "requirements" / "bootstrap.txt", self.root / "requirements" / "dev.txt")

    @property
    def assets(self) -> Path:
        """What `make build` fills."""
        return self.root / "build" / "assets"

    @property
    def layer(self) -> Path:
        """The layer that ships."""
        return self.assets / "layer.zip"

    @property
    def assembly(self) -> Path:
        """What `make synth` fills."""
        return self.root / "cdk.out"

    @property
    def report(self) -> Path:
        """Where reports for people and for later steps go."""
        return self.root / "build" / "report"

    @property
    def test_reports(self) -> Path:
        """Where CodeBuild looks for JUnit's files."""
        return self.root / "build" / "reports"

    @property
    def cache(self) -> Path:
        """Where scanners keep what makes their next run shorter."""
        return self.root / "build" / "cache"

    def relative(self, path: Path) -> str:
        """A path as people read it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    @property
    def has_history(self) -> bool:
        """Whether this is a Git checkout with a commit, and not the zip that some sources hand out.

        Raises:
            SupplyError: it is one, but Git is not installed or will not read it.
        """
        if not (self.root / ".git").exists():
            return False
        if self.git("rev-parse", "--git-dir") is None:
            raise SupplyError("git cannot read this checkout: `git status` says why")
        return self.git("rev-parse", "--verify", "--quiet", "HEAD") is not None

    def git(self, *arguments: str, given: str = "") -> str | None:
        """What Git answers; None when it refuses, or is not there.

        Args:
            arguments: its command line.
            given: its standard input.
        """
        return git.try_output(self.root, *arguments, given=given)

    def files(self) -> tuple[Path, ...]:
        """Every file that is committed, or would be at `git add --all`; relative to the root.

        Raises:
            SupplyError: the folder is empty.
        """
        listed = self.git("ls-files", "-z", "--cached", "--others", "--exclude-standard") if self.has_history else None
        names = [Path(name) for name in listed.split("\0") if name] if listed is not None else self._walk()
        found = {name for name in names if (self.root / name).is_file() and not (self.root / name).is_symlink()}
        if not found:
            raise SupplyError(f"{self.root}: no file to look at")
        return tuple(sorted(found))

    def _walk(self) -> list[Path]:
        """The files that `.gitignore` does not leave out, where there is no Git to ask."""
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
        """When the commit was made, which two builds of it agree on; `SOURCE_DATE_EPOCH` says otherwise.

        Returns:
            None where there is no commit to ask.

        Raises:
            SupplyError: `SOURCE_DATE_EPOCH` is no number of seconds.
        """
        said = self.environ.get(_EPOCH) or (self.git("log", "-1", "--format=%ct") if self.has_history else None)
        if not said:
            return None
        try:
            return datetime.fromtimestamp(int(said), UTC)
        except (ValueError, OverflowError, OSError):
            raise SupplyError(f"{_EPOCH} = {said.strip()!r}: allowed is a number of seconds") from None
