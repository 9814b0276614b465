import pytest

from tests.unit.services.processing.fakes import Harness


@pytest.fixture
def api() -> Harness:
    return Harness().bind()
