"""Revisions of the repository: what they are called, when they were made, and a checkout of one beside this one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from slipway.review.errors import ReviewError


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
            ReviewError: it is, and git will not read it.
        """
        done = self._run("rev-parse", "--show-toplevel")
        if done.returncode != 0 and (self.root / ".git").exists():
            raise ReviewError(f"git cannot read {self.root}: {done.stderr.strip()}")
        return done.returncode == 0 and Path(done.stdout.strip()).resolve() == self.root.resolve()

    def revision(self, name: str) -> Revision:
        """The commit that a name stands for.

        Args:
            name: `HEAD~1`, a branch, a tag, a digest.

        Raises:
            ReviewError: it stands for none.
        """
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode != 0:
            shallow = self._run("rev-parse", "--is-shallow-repository").stdout.strip() == "true"
            why = "; the clone is shallow: fetch its history" if shallow else ""
            raise ReviewError(f"{name} is no revision of this repository{why}")
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

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["git", "-C", str(self.root), *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise ReviewError("git is not installed, and the review compares revisions") from None

    def _checked(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["git gave no reason"])[-1]
            raise ReviewError(f"git {arguments[0]}: {reason}")
        return done.stdout.strip()
