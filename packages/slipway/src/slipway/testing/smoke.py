"""Fixtures of smoke tests: a deployed service, as its outputs describe it, on this machine or in an account.

The smoke tests of a service are in `services/<name>/tests/smoke`; pytest runs them with `-p slipway.testing.smoke`.

`SLIPWAY_OUTPUTS` names a file in the format of `build/local/outputs.json`. The tests sign with the credentials that any
AWS client would find.
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


class DeployedService(NamedTuple):
    """A deployed service, and the ways to its API, if it has one."""

    outputs: dict[str, str]
    http: httpx.Client
    auth: SigV4
    region: str

    def signed(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Send a request signed by the caller to the API itself."""
        return self.http.request(method, self.outputs["ApiEndpoint"] + path, auth=self.auth, **content)

    def unsigned(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Send an unsigned request to the API itself."""
        return self.http.request(method, self.outputs["ApiEndpoint"] + path, **content)

    def edge(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Send a request through CloudFront."""
        domain = self.outputs["DistributionDomain"]
        endpoint = self.outputs.get("EdgeEndpoint", f"https://{domain}/")
        return self.http.request(method, endpoint + path, headers={"Host": domain}, **content)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Yield a client for a service's tests; fail if so many requests are refused that an alarm could trigger."""
    refused = []

    def count(response: httpx.Response) -> None:
        if response.is_client_error:
            refused.append(response.request.url)

    with httpx.Client(timeout=30, event_hooks={"response": [count]}) as client:
        yield client
    assert len(refused) < LEAST_CLIENT_ERROR_FLOOR / 3, f"refused {len(refused)} times: {refused}"


@pytest.fixture(scope="module")
def deployed(request: pytest.FixtureRequest, http: httpx.Client) -> DeployedService:
    """Return the deployed service whose smoke test this is."""
    parts = request.path.parts
    name = parts[parts.index("services") + 1]
    if OUTPUTS not in os.environ:
        pytest.fail(f"needs a deployed environment in {OUTPUTS}: run `make up`", pytrace=False)
    outputs = json.loads(Path(os.environ[OUTPUTS]).read_text(encoding="utf-8"))
    if name not in outputs:
        pytest.fail(f"{name} is not deployed there: run `make up SERVICE={name}`", pytrace=False)
    found = botocore.session.get_session().get_credentials()
    if found is None:
        pytest.fail("found no AWS credentials to sign with", pytrace=False)
    key = found.get_frozen_credentials()
    # botocore refuses credentials without these two.
    assert key.access_key
    assert key.secret_key
    # The service's own region, wherever this runs.
    region = outputs[name]["KeyArn"].split(":")[3]
    credentials = Credentials(key.access_key, key.secret_key, key.token)
    return DeployedService(outputs[name], http, SigV4(credentials, region), region)
