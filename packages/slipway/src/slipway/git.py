"""Ask git: the one place that runs it."""

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

Here the folder says which repository is meant, so git never sees them.
"""

# An interrupt ends what is running; what puts a repository in order afterwards still has to run.
_processes = Processes()


class GitError(SlipwayError):
    """Git refused, or has not what was asked for; the message is one line."""

    exit_code = 2


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of this process without those by which git's hooks name their repository.

    Args:
        variables: are added. Default: none.
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
    """Run git in a folder; the caller looks at how it ended.

    Args:
        folder: of a repository.
        arguments: its command line.
        given: its standard input. Default: empty.
        variables: added to the environment. Default: none.
        seconds: how long it may take. Default: as long as it likes.

    Raises:
        ProcessError: git is not installed, or took too long.
    """
    return _processes.run(
        ("git", "-C", str(folder), *arguments), environment=environment(variables), given=given, seconds=seconds
    )


def output(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """Return what git writes, without the last line's end.

    Args:
        folder: of a repository.
        arguments: its command line.
        variables: added to the environment. Default: none.

    Raises:
        GitError: it failed.
    """
    done = run(folder, *arguments, variables=variables)
    if done.returncode != 0:
        raise GitError(f"git {arguments[0]}: {reason(done)}")
    return done.stdout.strip()


def try_output(folder: Path, *arguments: str, given: str | None = None, seconds: float | None = None) -> str | None:
    """Return what git writes; None where it fails, takes too long, or is not installed.

    Args:
        folder: of a repository.
        arguments: its command line.
        given: its standard input. Default: empty.
        seconds: how long it may take. Default: as long as it likes.
    """
    try:
        done = run(folder, *arguments, given=given, seconds=seconds)
    except ProcessError:
        return None
    return done.stdout if done.returncode == 0 else None


def reason(done: Completed) -> str:
    """Return why git failed, in one line, without the advice that it may print after it."""
    lines = done.stderr.strip().splitlines()
    return next((line for line in lines if line.startswith(("fatal:", "error:"))), done.last_error)


def identity(name: str, email: str) -> dict[str, str]:
    """Return the variables by which a commit has an author without asking git's configuration."""
    return {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", name), ("EMAIL", email))
    }


@dataclass(frozen=True)
class Revision:
    """A commit.

    Args:
        name: as it was asked for: `HEAD~1`, a branch, a digest.
        commit: its digest.
        committed: when it was made.
    """

    name: str
    commit: str
    committed: datetime

    @property
    def short(self) -> str:
        """The head of its digest, which is enough for people."""
        return self.commit[:12]

    def __str__(self) -> str:
        return self.short if self.commit.startswith(self.name) else f"{self.name} ({self.short})"


class Repository:
    """The git repository of a folder.

    Args:
        root: its root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of(cls, folder: Path) -> Repository:
        """Return the repository that a folder is in; one of the folder itself where git knows of none.

        Args:
            folder: its root, or a folder of it.
        """
        done = cls(folder)._run("rev-parse", "--show-toplevel")
        root = Path(done.stdout.strip()) if done.returncode == 0 else folder
        # The name that it was asked for by, where that is the same folder; links to it are made in other folders.
        return cls(folder.absolute() if root.resolve() == folder.resolve() else root)

    def within(self, folder: Path) -> Path:
        """Return the path of one of its folders from its root."""
        return folder.resolve().relative_to(self.root.resolve())

    @property
    def is_there(self) -> bool:
        """Whether the folder is under git.

        Raises:
            GitError: it is, and git will not read it.
        """
        done = self._run("rev-parse", "--show-toplevel")
        if done.returncode != 0 and (self.root / ".git").exists():
            raise GitError(f"git cannot read {self.root}: {done.stderr.strip()}")
        return done.returncode == 0 and Path(done.stdout.strip()).resolve() == self.root.resolve()

    def revision(self, name: str) -> Revision:
        """The commit that a name stands for.

        Args:
            name: `HEAD~1`, a branch, a tag, a digest.

        Raises:
            GitError: it stands for none.
        """
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode != 0:
            shallow = self._run("rev-parse", "--is-shallow-repository").stdout.strip() == "true"
            why = "; the clone is shallow: fetch its history" if shallow else ""
            raise GitError(f"{name} is no revision of this repository{why}")
        commit = done.stdout.strip()
        seconds = self._checked("show", "--no-patch", "--format=%ct", commit)
        return Revision(name, commit, datetime.fromtimestamp(int(seconds), UTC))

    def fetch(self, commit: str) -> bool:
        """Have a commit that is in none of the branches that were cloned, if the repository's source has it still.

        Args:
            commit: its digest.

        Returns:
            Whether it is here now.
        """
        if self._run("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0:
            return True
        return self._run("fetch", "--quiet", "--no-write-fetch-head", "origin", commit).returncode == 0

    def has_parent(self, name: str = "HEAD") -> bool:
        """Whether a commit has one before it. Where history was cut off it has: it is not known, but it was there."""
        if self._run("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
            return True
        return self._run("rev-parse", "--verify", "--quiet", f"{name}^").returncode == 0

    @property
    def is_dirty(self) -> bool:
        """Whether the working tree differs from the commit."""
        return bool(self._checked("status", "--porcelain"))

    def read(self, revision: Revision, path: str) -> str | None:
        """The text of a file in a revision; None where it has none.

        Args:
            revision: the revision.
            path: from the root.
        """
        done = self._run("show", f"{revision.commit}:{path}")
        return done.stdout if done.returncode == 0 else None

    def has_file(self, path: str, revision: Revision | None = None) -> bool:
        """Return whether a file is there to be built from.

        Args:
            path: from the root.
            revision: in which revision. Default: the working tree, without what git ignores.
        """
        if revision is not None:
            return self._run("cat-file", "-e", f"{revision.commit}:{path}").returncode == 0
        if not (self.root / path).is_file():
            return False
        return not self.is_there or self._run("check-ignore", "--quiet", path).returncode != 0

    @contextmanager
    def checkout(self, revision: Revision, folder: Path) -> Iterator[Path]:
        """A working tree of a revision, gone at the end with all that was made in it.

        Args:
            revision: the revision.
            folder: where; what a killed run left there is removed first.
        """
        # git's own bookkeeping bears no other run of it: `prune` takes what `add` has not finished for a leftover.
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
        # What git still knows of a folder that is gone.
        self._run("worktree", "prune")

    def _run(self, *arguments: str) -> Completed:
        return run(self.root, *arguments)

    def _checked(self, *arguments: str) -> str:
        return output(self.root, *arguments)
