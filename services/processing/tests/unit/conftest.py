import pytest

from services.processing.tests.unit import VARIABLES
from services.processing.tests.unit.fakes import Harness
from slipway.testing.functions import running

function_environment = running(VARIABLES)


@pytest.fixture
def api() -> Harness:
    return Harness().bind()
