"""The signature of a cursor, which the API makes and the rotation tries out."""

import hashlib
import hmac


def sign(key: str, payload: bytes) -> bytes:
    """Return the HMAC-SHA256 of a cursor's content, under the key in the cursor secret."""
    return hmac.digest(key.encode(), payload, hashlib.sha256)
