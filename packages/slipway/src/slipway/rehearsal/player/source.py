"""The source action: a commit of a repository on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slipway import git
from slipway.errors import RehearsalError


@dataclass(frozen=True)
class Commit:
    """A commit to deliver.

    Attributes:
        repository: A repository that contains it.
        sha: Forty hexadecimal digits.
        branch: The branch that it is delivered from.
        message: First line of its message.
        author_date: ISO 8601.
    """

    repository: Path
    sha: str
    branch: str
    message: str
    author_date: str

    @classmethod
    def of(cls, repository: Path, revision: str, *, branch: str) -> Commit:
        """Return the commit of any revision name.

        Args:
            repository: A repository that contains it.
            revision: Such as `HEAD`.
            branch: The branch that it is delivered from.

        Raises:
            RehearsalError: It does not exist.
        """
        check_readable(repository)
        done = git.run(repository, "log", "-1", "--format=%H%x00%s%x00%aI", f"{revision}^{{commit}}")
        if done.returncode != 0:
            raise RehearsalError(f"{revision} is not a commit of {repository}: {git.reason(done)}", exit_code=2)
        sha, message, date = done.stdout.rstrip("\n").split("\0")
        return cls(repository, sha, branch, message, date)

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables of source actions, by kind of source.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
        """
        return {
            "AuthorDate": self.author_date,
            "BranchName": self.branch,
            "CommitId": self.sha,
            "CommitMessage": self.message,
            "ConnectionArn": "arn:aws:codeconnections:us-east-1:000000000000:connection/rehearsal",
            "FullRepositoryName": self.repository.name.removesuffix(".git"),
            "RepositoryName": self.repository.name.removesuffix(".git"),
            "ETag": self.sha[:32],
            "VersionId": self.sha,
        }

    def knows(self, sha: str, *, elsewhere: Path) -> None:
        """Fetch another commit into its repository, if one of two repositories has it.

        A clone can be compared with the last delivered commit. Here that commit may have come from another repository,
        or be on none of its branches.

        Args:
            sha: The other commit.
            elsewhere: The other repository.
        """
        if git.run(self.repository, "cat-file", "-e", f"{sha}^{{commit}}").returncode != 0:
            git.run(self.repository, "fetch", "--quiet", "--no-write-fetch-head", str(elsewhere), sha)

    def archive(self, target: Path) -> None:
        """Write the commit's files as a zip.

        Raises:
            RehearsalError: git fails.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        done = git.run(self.repository, "archive", "--format=zip", "-1", f"--output={target}", self.sha)
        if done.returncode != 0:
            raise RehearsalError(f"git cannot archive {self.sha[:12]}: {git.reason(done)}")

    def clone(self, target: Path) -> None:
        """Clone the commit with its history into an existing folder, and check it out.

        Raises:
            RehearsalError: git fails.
        """
        commands = (
            ("init", "--quiet"),
            ("remote", "add", "origin", str(self.repository)),
            ("fetch", "--quiet", "origin", self.sha),
            ("checkout", "--quiet", "--force", self.sha),
        )
        for command in commands:
            done = git.run(target, *command)
            if done.returncode != 0:
                raise RehearsalError(f"git cannot clone {self.sha[:12]}: {git.reason(done)}")


def check_readable(repository: Path) -> None:
    """Refuse a folder whose commits git cannot read, and say how to fix it.

    git checks the owner of a repository before it reads it
    (https://git-scm.com/docs/git-config#Documentation/git-config.txt-safedirectory).

    Raises:
        RehearsalError: It is not a repository, or belongs to another user.
    """
    said = git.run(repository, "rev-parse", "--git-dir").stderr
    if "not a git repository" in said:
        raise RehearsalError(
            f"{repository} is not a git repository, and a rehearsal delivers a commit: "
            "run `git init && git add --all && git commit -m Begin`",
            exit_code=2,
        )
    if "dubious ownership" in said:
        raise RehearsalError(
            f"git does not trust {repository}, which belongs to another user: "
            f"run `git config --global --add safe.directory {repository}`",
            exit_code=2,
        )
