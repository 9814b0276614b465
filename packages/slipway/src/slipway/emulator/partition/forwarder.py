"""Lambda function for the player's custom resources: it hands them over without waiting.

The player answers CloudFormation itself, at the address in the event. This file is the function's whole code.
"""

import json
import os
import ssl
import urllib.request

ENDPOINT = "SLIPWAY_PARTITION"
"""Variable with the endpoint of the accounts; functions inherit it from the emulator's process."""


def handler(event, context):  # type: ignore[no-untyped-def]  # runs in the emulator, without our packages
    """Forward the event."""
    account = context.invoked_function_arn.split(":")[4]
    request = urllib.request.Request(  # noqa: S310  # https, on this machine
        f"{os.environ[ENDPOINT]}/_rehearsal/{account}",
        data=json.dumps(event).encode(),
        headers={"Content-Type": "application/json"},
    )
    trusted = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    with urllib.request.urlopen(request, context=trusted, timeout=20):  # noqa: S310  # nosec B310  # our own https
        pass
