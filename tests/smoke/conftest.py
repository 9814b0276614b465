"""A deployed environment, as its outputs describe it: on this machine, or in an account.

`SLIPWAY_OUTPUTS` names a file of the form of `build/local/outputs.json`. Whoever runs the tests signs with the
credentials that every AWS client would find.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
import httpx
import pytest

from slipway.emulator.routes import SigV4
from slipway.emulator.server import Credentials
from slipway.settings.model import LEAST_CLIENT_ERROR_FLOOR

OUTPUTS = "SLIPWAY_OUTPUTS"


class Service(NamedTuple):
    """The three ways to a service."""

    outputs: dict[str, str]
    http: httpx.Client
    auth: SigV4

    def signed(self, method: str, path: str, **content: Any) -> httpx.Response:
        """A request to the API itself that the caller signed."""
        return self.http.request(method, self.outputs["ApiEndpoint"] + path, auth=self.auth, **content)

    def unsigned(self, method: str, path: str, **content: Any) -> httpx.Response:
        """A request to the API itself from nobody in particular."""
        return self.http.request(method, self.outputs["ApiEndpoint"] + path, **content)

    def edge(self, method: str, path: str, **content: Any) -> httpx.Response:
        """A request through CloudFront."""
        domain = self.outputs["DistributionDomain"]
        endpoint = self.outputs.get("EdgeEndpoint", f"https://{domain}/")
        return self.http.request(method, endpoint + path, headers={"Host": domain}, **content)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """A client for the tests of a service, which are refused too seldom to set off an alarm where they run."""
    refused = []

    def count(response: httpx.Response) -> None:
        if response.is_client_error:
            refused.append(response.request.url)

    with httpx.Client(timeout=30, event_hooks={"response": [count]}) as client:
        yield client
    assert len(refused) < LEAST_CLIENT_ERROR_FLOOR / 3, f"refused {len(refused)} times: {refused}"


@pytest.fixture(scope="module")
def items(http: httpx.Client) -> Service:
    """The service `items` where it is deployed."""
    if OUTPUTS not in os.environ:
        pytest.fail(f"needs a deployed environment in {OUTPUTS}: run `make up`", pytrace=False)
    outputs = json.loads(Path(os.environ[OUTPUTS]).read_text(encoding="utf-8"))["items"]
    found = botocore.session.get_session().get_credentials()
    if found is None:
        pytest.fail("found no AWS credentials to sign with", pytrace=False)
    key = found.get_frozen_credentials()
    # botocore refuses credentials without these two.
    assert key.access_key
    assert key.secret_key
    # The service's own region, wherever this runs.
    region = outputs["TableArn"].split(":")[3]
    return Service(outputs, http, SigV4(Credentials(key.access_key, key.secret_key, key.token), region))
