"""Run git: the only module that does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from slipway.errors import SlipwayError
from slipway.process import Completed, ProcessError, Processes

LOCATION_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_WORK_TREE",
)
"""Variables that git sets for its hooks: `git rev-parse --local-env-vars`, without those that configure it.

Here the folder selects the repository, so git never gets these variables.
"""

# An interrupt ends running commands, but the clean-up of a repository still has to run.
_processes = Processes()


class GitError(SlipwayError):
    """Git failed or lacks the requested object. The message is one line."""

    exit_code = 2


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of this process without those with which git's hooks select their repository.

    Args:
        variables: Added to the environment. Default: none.
    """
    own = {name: value for name, value in os.environ.items() if name not in LOCATION_VARIABLES}
    return {**own, **(variables or {})}


def run(
    folder: Path,
    *arguments: str,
    given: str | None = None,
    variables: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> Completed:
    """Run git in a folder; the caller checks the exit code.

    Args:
        folder: Folder of a repository.
        arguments: git's arguments.
        given: Standard input. Default: empty.
        variables: Added to the environment. Default: none.
        seconds: Time-out. Default: none.

    Raises:
        ProcessError: git is not installed, or took too long.
    """
    return _processes.run(
        ("git", "-C", str(folder), *arguments), environment=environment(variables), given=given, seconds=seconds
    )


def output(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """Return git's output, without the final newline.

    Args:
        folder: Folder of a repository.
        arguments: git's arguments.
        variables: Added to the environment. Default: none.

    Raises:
        GitError: It failed.
    """
    done = run(folder, *arguments, variables=variables)
    if done.returncode != 0:
        raise GitError(f"git {arguments[0]}: {reason(done)}")
    return done.stdout.strip()


def try_output(folder: Path, *arguments: str, given: str | None = None, seconds: float | None = None) -> str | None:
    """Return git's output; None if git fails, times out or is not installed.

    Args:
        folder: Folder of a repository.
        arguments: git's arguments.
        given: Standard input. Default: empty.
        seconds: Time-out. Default: none.
    """
    try:
        done = run(folder, *arguments, given=given, seconds=seconds)
    except ProcessError:
        return None
    return done.stdout if done.returncode == 0 else None


def reason(done: Completed) -> str:
    """Return why git failed, in one line, without the hints that it may print after it."""
    lines = done.stderr.strip().splitlines()
    return next((line for line in lines if line.startswith(("fatal:", "error:"))), done.last_error)


def identity(name: str, email: str) -> dict[str, str]:
    """Return the variables that set a commit's author regardless of git's configuration."""
    return {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", name), ("EMAIL", email))
    }


@dataclass(frozen=True)
class Revision:
    """A commit.

    Args:
        name: The requested name: `HEAD~1`, a branch, a digest.
        commit: Its digest.
        committed: Time of the commit.
    """

    name: str
    commit: str
    committed: datetime

    @property
    def short(self) -> str:
        """Return the short digest."""
        return self.commit[:12]

    def __str__(self) -> str:
        return self.short if self.commit.startswith(self.name) else f"{self.name} ({self.short})"


class Repository:
    """The git repository of a folder.

    Args:
        root: Its root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of(cls, folder: Path) -> Repository:
        """Return the repository that contains a folder; one at the folder itself if it is not under git.

        Args:
            folder: Its root, or a folder of it.
        """
        done = cls(folder)._run("rev-parse", "--show-toplevel")
        root = Path(done.stdout.strip()) if done.returncode == 0 else folder
        # Keep the requested path if it is the same folder, because links to it are created in other folders.
        return cls(folder.absolute() if root.resolve() == folder.resolve() else root)

    def within(self, folder: Path) -> Path:
        """Return the path of a folder relative to the repository's root."""
        return folder.resolve().relative_to(self.root.resolve())

    @property
    def is_there(self) -> bool:
        """Return True if the folder is under git.

        Raises:
            GitError: The folder is under git, but git refuses to read it.
        """
        done = self._run("rev-parse", "--show-toplevel")
        if done.returncode != 0 and (self.root / ".git").exists():
            raise GitError(f"git cannot read {self.root}: {done.stderr.strip()}")
        return done.returncode == 0 and Path(done.stdout.strip()).resolve() == self.root.resolve()

    def revision(self, name: str) -> Revision:
        """Return the commit that a name refers to.

        Args:
            name: `HEAD~1`, a branch, a tag, a digest.

        Raises:
            GitError: No such commit exists.
        """
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode != 0:
            shallow = self._run("rev-parse", "--is-shallow-repository").stdout.strip() == "true"
            why = "; the clone is shallow: fetch its history" if shallow else ""
            raise GitError(f"{name} is not a revision of this repository{why}")
        commit = done.stdout.strip()
        seconds = self._checked("show", "--no-patch", "--format=%ct", commit)
        return Revision(name, commit, datetime.fromtimestamp(int(seconds), UTC))

    def fetch(self, commit: str) -> bool:
        """Fetch a commit that is on none of the cloned branches, if the repository's source still has it.

        Args:
            commit: Its digest.

        Returns:
            True if the commit is now available.
        """
        if self._run("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0:
            return True
        return self._run("fetch", "--quiet", "--no-write-fetch-head", "origin", commit).returncode == 0

    def has_parent(self, name: str = "HEAD") -> bool:
        """Return True if a commit has a parent, even one cut off by a shallow clone."""
        if self._run("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
            return True
        return self._run("rev-parse", "--verify", "--quiet", f"{name}^").returncode == 0

    @property
    def is_dirty(self) -> bool:
        """Return True if the working tree differs from the commit."""
        return bool(self._checked("status", "--porcelain"))

    def read(self, revision: Revision, path: str) -> str | None:
        """Return the text of a file in a revision; None if the revision does not contain it.

        Args:
            revision: The revision.
            path: Relative to the root.
        """
        done = self._run("show", f"{revision.commit}:{path}")
        return done.stdout if done.returncode == 0 else None

    def has_file(self, path: str, revision: Revision | None = None) -> bool:
        """Return True if a file exists in a revision.

        Args:
            path: Relative to the root.
            revision: The revision. Default: the working tree, without ignored files.
        """
        if revision is not None:
            return self._run("cat-file", "-e", f"{revision.commit}:{path}").returncode == 0
        if not (self.root / path).is_file():
            return False
        return not self.is_there or self._run("check-ignore", "--quiet", path).returncode != 0

    @contextmanager
    def checkout(self, revision: Revision, folder: Path) -> Iterator[Path]:
        """Yield a working tree of a revision, and delete it with everything created in it.

        Args:
            revision: The revision.
            folder: Target folder; leftovers of a killed run are removed first.
        """
        # Only one of these may run at a time: `prune` would delete an unfinished `add`.
        alone = FileLock(self.root / self._checked("rev-parse", "--git-common-dir") / "review.lock")
        try:
            with alone:
                self._remove(folder)
                folder.parent.mkdir(parents=True, exist_ok=True)
                self._checked("worktree", "add", "--quiet", "--detach", "--force", str(folder), revision.commit)
            yield folder
        finally:
            with alone:
                self._remove(folder)

    def _remove(self, folder: Path) -> None:
        if folder.exists():
            self._run("worktree", "remove", "--force", str(folder))
        shutil.rmtree(folder, ignore_errors=True)
        # Remove git's record of a deleted folder.
        self._run("worktree", "prune")

    def _run(self, *arguments: str) -> Completed:
        return run(self.root, *arguments)

    def _checked(self, *arguments: str) -> str:
        return output(self.root, *arguments)
