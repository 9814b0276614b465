"""The chat webhook, if one is configured."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import urllib3

TIMEOUT = urllib3.Timeout(connect=2.0, read=5.0)
RETRIES = urllib3.Retry(total=2, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)


class WebhookError(Exception):
    """The chat refused the message. Contains only the status, because the address is the secret."""


def post(url: str, text: str, *, pool: urllib3.PoolManager | None = None) -> None:
    """Post a message in the format of the incoming webhooks of Slack, Teams and Mattermost.

    Args:
        url: The webhook's address, a secret; HTTPS only.
        text: The message.
        pool: Connection pool. Default: a new pool.

    Raises:
        WebhookError: The address is not HTTPS, or the answer is not 2xx.
    """
    if urlsplit(url).scheme != "https":
        raise WebhookError("the webhook's address is not HTTPS")
    try:
        response = (pool or urllib3.PoolManager()).request(
            "POST",
            url,
            body=json.dumps({"text": text}),
            headers={"Content-Type": "application/json"},
            timeout=TIMEOUT,
            retries=RETRIES,
        )
    except urllib3.exceptions.HTTPError as error:
        raise WebhookError(f"the webhook did not answer: {type(error).__name__}") from None
    if not 200 <= response.status < 300:
        raise WebhookError(f"the webhook answered {response.status}")
