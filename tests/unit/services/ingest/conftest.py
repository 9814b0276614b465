import pytest

from tests.unit.services.ingest.fakes import Service


@pytest.fixture
def service() -> Service:
    return Service()
