"""Variables by which a run and the users in its process agree. Nothing is imported here."""

from __future__ import annotations

SERVICE = "PERFORM_SERVICE"
"""The service that is loaded."""

OUTPUTS = "PERFORM_OUTPUTS"
"""What its stacks say, as JSON."""

HEADERS = "PERFORM_HEADERS"
"""What lets its tests in besides signatures, as JSON: header → value."""

REASONS = "PERFORM_REASONS"
"""File that gets why requests failed, as JSON: text → how often. Default: nothing is written."""

SECONDS = "PERFORM_SECONDS"
"""How long the run takes."""

RATE = "PERFORM_RATE"
"""Tasks a second of each user."""
