"""Unit tests need no network: a test that opens a socket fails, whatever it meant to reach."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket

from tests import specimen

specimen.install()


@pytest.fixture(autouse=True)
def _no_sockets() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
