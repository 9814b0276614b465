import pytest

from services.items.tests.unit import VARIABLES
from services.items.tests.unit.fakes import Harness
from slipway.testing.functions import running

function_environment = running(VARIABLES)


@pytest.fixture
def api() -> Harness:
    return Harness().bind()
