"""Environment variables that a run passes to the users in its process. This module imports nothing."""

from __future__ import annotations

SERVICE = "PERFORM_SERVICE"
"""Name of the service."""

OUTPUTS = "PERFORM_OUTPUTS"
"""Outputs of its stacks, as JSON."""

HEADERS = "PERFORM_HEADERS"
"""Headers that authenticate its tests besides signatures, as JSON: header → value."""

REASONS = "PERFORM_REASONS"
"""File that gets why requests failed, as JSON: text → how often. Default: nothing is written."""

SECONDS = "PERFORM_SECONDS"
"""Duration of the run, seconds."""

RATE = "PERFORM_RATE"
"""Tasks per second of each user."""
