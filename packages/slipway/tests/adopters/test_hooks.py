"""The hooks of `pre-commit install` accept a valid commit and refuse an invalid one."""

from __future__ import annotations

from pathlib import Path

import pytest

from adopters.copies import Copy


def _commit(copy: Copy, line: str, *, code: int = 0, **variables: str) -> None:
    copy.edit(lambda text: f"{text}{line}\n", "app.py")
    copy.run("git", "add", "app.py")
    copy.run(
        "git",
        *("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"),
        *("commit", "--quiet", "--message", "Say more"),
        code=code,
        **variables,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Create a copy with the hooks installed."""
    made = Copy.make(tmp_path / "app")
    made.run("pre-commit", "install")
    return made


@pytest.mark.nightly
def test_valid_commit_passes_every_hook(copy: Copy) -> None:
    _commit(copy, "# A remark.")

    assert copy.run("git", "log", "-1", "--format=%s").strip() == "Say more"


def test_unformatted_commit_is_refused(copy: Copy) -> None:
    # Given only the quick hooks
    _commit(copy, "a=1", code=1, SKIP="types,unit")

    assert copy.run("git", "log", "-1", "--format=%s").strip() == "As it stands"
