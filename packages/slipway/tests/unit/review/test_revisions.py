"""A repository is found from any folder in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from slipway.git import Repository


@pytest.mark.programs
@pytest.mark.parametrize("versioned", [True, False])
def test_root_is_absolute_where_the_folder_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, versioned: bool
) -> None:
    # Given a working directory at the root, to which a checkout links its installed tools
    if versioned:
        subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)

    assert Repository.of(Path()).root == tmp_path
