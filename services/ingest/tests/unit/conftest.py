import pytest

from services.ingest.tests.unit import VARIABLES
from services.ingest.tests.unit.fakes import Service
from slipway.testing.functions import running

function_environment = running(VARIABLES)


@pytest.fixture
def service() -> Service:
    return Service()
