"""Cursors: the position at which a listing continues, signed so that nobody can forge one."""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Final

from services.items.runtime.errors import InvalidCursorError
from slipway_runtime.secrets import CachedSecret

MAX_LENGTH: Final = 512


def sign(key: str, payload: bytes) -> bytes:
    """Return the HMAC-SHA256 of a cursor's content, under the key in the cursor secret."""
    return hmac.digest(key.encode(), payload, hashlib.sha256)


class SignedCursors:
    """Cursors under HMAC-SHA256 with the cursor secret: the current value signs, current and previous verify."""

    def __init__(self, secret: CachedSecret) -> None:
        self._secret = secret

    def write(self, recency: str, status: str | None) -> str:
        """Return the cursor of the position after an item, under a filter."""
        payload = json.dumps({"r": recency, "s": status}, separators=(",", ":")).encode()
        return f"{_text(payload)}.{_text(sign(self._secret.current(), payload))}"

    def read(self, cursor: str, status: str | None) -> str:
        """Return the `recency` after which a cursor continues.

        Raises:
            InvalidCursorError: It was not issued by this service, or under another filter.
        """
        try:
            payload, signature = map(_bytes, cursor.split("."))
        except (ValueError, binascii.Error):
            raise InvalidCursorError from None
        if not self._secret.matches(lambda key: hmac.compare_digest(sign(key, payload), signature)):
            raise InvalidCursorError
        # Signed, so written by `write`.
        fields = json.loads(payload)
        if fields["s"] != status:
            raise InvalidCursorError
        return str(fields["r"])


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    content = base64.b64decode(f"{text}{'=' * (-len(text) % 4)}", altchars=b"-_", validate=True)
    # Base64 has several spellings of the same bytes; ours is one of them.
    if _text(content) != text:
        raise ValueError(text)
    return content
