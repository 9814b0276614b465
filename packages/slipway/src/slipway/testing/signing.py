"""Sign a finished request of `requests` for API Gateway, with the credentials of this process."""

from __future__ import annotations

import os
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_SIGNED = "Content-Type"


def sign_request(request: Any) -> Any:
    """Add a Signature Version 4 to a request, as `requests` lets an authentication do.

    Args:
        request: A `requests.PreparedRequest`.

    Returns:
        The same request.

    Raises:
        KeyError: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` or `AWS_REGION` is not set.
    """
    key = Credentials(
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ.get("AWS_SESSION_TOKEN")
    )
    signed = AWSRequest(
        method=request.method,
        url=request.url,
        data=request.body,
        headers={_SIGNED: request.headers[_SIGNED]} if _SIGNED in request.headers else {},
    )
    SigV4Auth(key, "execute-api", os.environ["AWS_REGION"]).add_auth(signed)
    request.headers.update(dict(signed.headers.items()))
    return request
