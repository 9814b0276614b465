"""What a build can fail with."""

from __future__ import annotations


class BuildError(Exception):
    """Nothing was built; the message says what is wrong and what to do."""
