"""Give schemathesis, which imports this, the credentials of its requests (`SCHEMATHESIS_HOOKS`).

It runs in a separate process; `slipway.testing.contract.fuzz` starts it and sets the variables.
"""

from __future__ import annotations

import os

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests.auth import AuthBase

HEADERS = {"X-Origin-Verify": "FUZZ_ORIGIN", "x-api-key": "FUZZ_API_KEY", "Authorization": "FUZZ_AUTHORIZATION"}
"""Header, and the variable that holds its value where the service wants one."""


class Authorised(AuthBase):
    """Add to a finished request what the service wants to see of its caller."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add it."""
        for header, variable in HEADERS.items():
            if variable in os.environ:
                request.headers[header] = os.environ[variable]
        if "FUZZ_SIGNED" in os.environ and request.method not in {"GET", "HEAD"}:
            self._sign(request)
        return request

    def _sign(self, request: requests.PreparedRequest) -> None:
        key = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        names = ("Content-Type",)
        signed = AWSRequest(
            method=request.method,
            url=request.url,
            data=request.body,
            headers={name: request.headers[name] for name in names if name in request.headers},
        )
        SigV4Auth(key, "execute-api", os.environ["AWS_REGION"]).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))


schemathesis.auth.set_from_requests(Authorised())  # type: ignore[attr-defined]  # it is put there at import
