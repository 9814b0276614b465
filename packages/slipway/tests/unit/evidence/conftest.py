from pathlib import Path

import pytest

from unit.evidence.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Create a repository whose evidence is all green."""
    return Repository(tmp_path / "repository")
