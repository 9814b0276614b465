"""Environment variables that a fuzz passes to the hooks in its process. This module imports nothing."""

from __future__ import annotations

HEADERS = {"X-Origin-Verify": "FUZZ_ORIGIN", "x-api-key": "FUZZ_API_KEY", "Authorization": "FUZZ_AUTHORIZATION"}
"""Header with the API key, and the variable with its value, if the service requires one."""

SIGNED = "FUZZ_SIGNED"
"""Set if the service requires signed writes."""

API, EDGE = "FUZZ_API", "FUZZ_EDGE"
"""Address of the API, and of the edge that answers its open reads; the second is unset without an edge."""

RECORD = "FUZZ_RECORD"
"""File to which each failed check is written as a line of JSON. Default: nothing is recorded."""

REQUESTS = "FUZZ_REQUESTS"
"""Maximum number of requests. Default: schemathesis decides."""

COUNT = "FUZZ_COUNT"
"""File to which the number of requests is written: schemathesis doesn't count those of an interrupted scenario."""
