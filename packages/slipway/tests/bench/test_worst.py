"""The largest requests and pages, in processes with little memory; `make bench` gives them what is configured."""

import sysconfig
from pathlib import Path

import pytest

from bench import worst
from bench.__main__ import ENVIRONMENT, HANDLERS
from slipway.testing.shipped import REPOSITORY, LambdaFolder

INSTALLED = Path(sysconfig.get_path("purelib"))
# As it stands here: `make bench` takes what is shipped.
SHARED = REPOSITORY / "packages" / "slipway-runtime" / "src"
FOLDER = LambdaFolder(code=REPOSITORY, layer=INSTALLED, runtime=INSTALLED, shared=SHARED)


SERVICES = [name for name in HANDLERS if (REPOSITORY / "services" / name).is_dir()]


@pytest.mark.parametrize("service", SERVICES)
def test_the_worst_fits_into_256_mb(service: str, tmp_path: Path) -> None:
    # What does not fit raises
    memory, *requests = worst.measure(FOLDER, service, variables=ENVIRONMENT, work=tmp_path, memory_mb=256)
    assert memory.met
    assert len(requests) >= 3


def test_a_function_that_needs_more_than_it_has_is_seen(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        worst.measure(FOLDER, SERVICES[0], variables=ENVIRONMENT, work=tmp_path, memory_mb=30)
