"""Copies of this repository, changed and run like those of a team that adopted it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from slipway.project import ROOT, own_packages

SHARED = (".venv", "node_modules")
"""Installed folders that a copy links to."""

_AUTHOR = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
_OURS = ("AWS_", "CODEBUILD_", "GIT_", "MAKE", "MFLAGS", "PYTEST_", "PYTHONPATH", "SLIPWAY_", "VIRTUAL_ENV")
"""Prefixes of variables that a team's shell would not have."""

_LONG_AGO = time.mktime((2020, 1, 1, 0, 0, 0, 0, 0, 0))
"""A time before the linked `.installed`, so that make does not reinstall the shared packages."""

LAST_LINES = 25


class CommandError(AssertionError):
    """A command that did not do what the row expects; the message has the command and its last lines."""


@dataclass
class Copy:
    """A copy of this checkout, including uncommitted changes.

    Attributes:
        folder: The copy's folder.
        variables: Additional environment variables of every command.
        prefix: Words before every command, for example to change the user.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    @classmethod
    def make(cls, folder: Path, *, history: bool = True) -> Copy:
        """Copy the repository into a new folder.

        Args:
            folder: The folder to create.
            history: True to copy git's history.
        """
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, capture_output=True)
        copy = cls(folder)
        for name in _git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
            if (source := ROOT / name).is_file():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        for name in _git(folder, "ls-files", "-z").split("\0"):
            if name and not (ROOT / name).exists():
                (folder / name).unlink()
        for name in SHARED:
            (folder / name).symlink_to((ROOT / name).resolve())
        if (ROOT / "build" / "assets").is_dir():
            shutil.copytree(ROOT / "build" / "assets", folder / "build" / "assets")
        copy.age()
        # The repository ignores folders with these names; here they are links
        with (folder / ".git" / "info" / "exclude").open("a", encoding="utf-8") as excluded:
            excluded.writelines(f"/{name}\n" for name in SHARED)
        copy.commit("As it stands")
        if not history:
            shutil.rmtree(folder / ".git")
        return copy

    def age(self) -> None:
        for name in ("requirements", "package.json", "package-lock.json", ".npmrc", "packages"):
            path = self.folder / name
            for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
                os.utime(file, (_LONG_AGO, _LONG_AGO))

    @property
    def environ(self) -> dict[str, str]:
        """Return the variables of a shell in this copy, which runs the copy's own tool."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        path = [str(self.folder / ".venv" / "bin"), str(self.folder / "node_modules" / ".bin"), kept["PATH"]]
        # The links point to this checkout's packages, so no copy may install over them
        linked = {"MAKEFLAGS": "--old-file=.venv/.installed"}
        return {**kept, **linked, "PATH": os.pathsep.join(path), **own_packages(self.folder), **self.variables}

    def run(self, *words: str, code: int = 0, **variables: str) -> str:
        """Run a command in the copy, and return what it wrote.

        Args:
            words: The command.
            code: Its expected exit code.
            variables: Additional environment variables.

        Raises:
            CommandError: The command ended with another exit code.
        """
        done = subprocess.run(
            [*self.prefix, *words],
            cwd=self.folder,
            env=self.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said = done.stdout.decode(errors="replace")
        if done.returncode != code:
            last = "\n".join(said.splitlines()[-LAST_LINES:])
            raise CommandError(f"$ {' '.join(words)}\nexit code {done.returncode}, not {code}:\n{last}")
        return said

    def slipway(self, *words: str, code: int = 0) -> str:
        """Run a verb of the copy's tool."""
        return self.run("python", "-m", "slipway", *words, code=code)

    def commit(self, message: str) -> None:
        """Commit everything."""
        self.run("git", "add", "--all")
        self.run("git", *_AUTHOR, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", message)

    def toml(self, name: str) -> dict[str, Any]:
        """Read a file of the configuration."""
        return tomllib.loads((self.folder / "config" / f"{name}.toml").read_text(encoding="utf-8"))

    def configure(self, name: str, changes: Mapping[str, Any]) -> None:
        """Set keys of a configuration file by dotted path; None deletes a key."""
        document = self.toml(name)
        for path, value in changes.items():
            *tables, key = path.split(".")
            table = document
            for each in tables:
                table = table.setdefault(each, {})
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value
        self.write(name, document)

    def write(self, name: str, document: Mapping[str, Any]) -> None:
        """Write a configuration file."""
        (self.folder / "config" / f"{name}.toml").write_text(tomli_w.dumps(document), encoding="utf-8")

    def edit(self, change: Callable[[str], str], *files: str) -> None:
        """Change the text of files."""
        for name in files:
            path = self.folder / name
            path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    def environments(self) -> list[str]:
        """Return the names of the environments, in order."""
        return list(self.toml("pipeline")["environments"])

    def last_stages(self) -> str:
        """Return the environment that the pipeline's last stages are named after."""
        *_, last = self.environments()
        together = self.toml("pipeline").get("side_by_side", [])
        return next((names[0] for names in together if last in names), last)

    def services(self) -> list[str]:
        """Return the names of the services."""
        return sorted(file.parent.name for file in (self.folder / "services").glob("*/infrastructure.py"))

    def touched(self) -> Sequence[tuple[str, str]]:
        """Return git's status letter and the path of each file that differs from this repository."""
        # By the copy's user: git reads no repository of another one.
        first = self.run("git", "log", "--format=%H", "--grep", "^As it stands$", "-1").strip()
        lines = self.run("git", "diff", "--name-status", "--no-renames", first, "HEAD").splitlines()
        return [(letter, path) for letter, _, path in (line.partition("\t") for line in lines)]


def summarise(touched: Sequence[tuple[str, str]]) -> str:
    """Summarise the files that a change touched: whole folders of services and pages, and other files."""
    letters: dict[str, set[str]] = {}
    for letter, path in touched:
        found = re.match(r"services/\w+/|docs/|config/checklists/", path)
        letters.setdefault(found[0] if found else path, set()).add(letter)
    parts = []
    configuration = [name for name in letters if name.startswith("config/") and name.endswith(".toml")]
    for name, kinds in sorted(letters.items()):
        if name not in configuration:
            parts.append(_said(name, kinds))
    parts += [_said(name, letters[name]) for name in sorted(configuration)]
    return ", ".join(parts) or "none"


def _said(name: str, kinds: set[str]) -> str:
    """Return a file's name and status; new files are not quoted, since this repository does not contain them."""
    if kinds == {"A"}:
        return f"{name} (new)"
    return f"`{name}` (gone)" if kinds == {"D"} else f"`{name}`"


def _git(folder: Path, *words: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True, env=environ).stdout
