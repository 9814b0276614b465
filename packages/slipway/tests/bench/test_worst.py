"""The largest requests and pages run in processes with little memory; `make bench` uses the configured memory."""

import sysconfig
from pathlib import Path

import pytest

from bench import worst
from bench.__main__ import ENVIRONMENT, HANDLERS
from slipway.testing.shipped import REPOSITORY, LambdaFolder

INSTALLED = Path(sysconfig.get_path("purelib"))
# The code of this checkout; `make bench` uses what is shipped
SHARED = REPOSITORY / "packages" / "slipway-runtime" / "src"
FOLDER = LambdaFolder(code=REPOSITORY, layer=INSTALLED, runtime=INSTALLED, shared=SHARED)


SERVICES = [name for name in HANDLERS if (REPOSITORY / "services" / name).is_dir()]


@pytest.mark.parametrize("service", SERVICES)
def test_the_largest_requests_fit_into_256_mb(service: str, tmp_path: Path) -> None:
    # Exceeding the memory raises an error
    memory, *requests = worst.measure(FOLDER, service, variables=ENVIRONMENT, work=tmp_path, memory_mb=256)
    assert memory.met
    assert len(requests) >= 3


def test_too_little_memory_is_detected(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        worst.measure(FOLDER, SERVICES[0], variables=ENVIRONMENT, work=tmp_path, memory_mb=30)
