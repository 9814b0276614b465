from pathlib import Path

import pytest

from unit.evidence.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository in which everything is green."""
    return Repository(tmp_path / "repository")
