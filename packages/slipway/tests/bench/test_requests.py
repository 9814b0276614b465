"""The measured requests run on the shipped code, with the fakes of the service's own tests."""

from pathlib import Path

import pytest

from bench import requests
from bench.__main__ import ENVIRONMENT
from slipway.blocks.assets import AssetStore
from slipway.testing.shipped import REPOSITORY, unpack_beside, unpack_libraries


@pytest.mark.skipif(not (REPOSITORY / "services" / "items").is_dir(), reason="only requests of items are measured")
def test_each_kind_of_request_is_measured(tmp_path: Path) -> None:
    store = AssetStore()
    libraries = unpack_libraries(tmp_path / "libraries", store)
    folder = unpack_beside(tmp_path / "code", store, service="items", libraries=libraries)
    rows = requests.measure(folder, requests=3, variables=ENVIRONMENT)
    assert len(rows) == 2 * len(requests.GOALS)
    assert all(row.value > 0 for row in rows)
