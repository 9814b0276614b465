"""Variables by which a fuzz and the hooks in its process agree. Nothing is imported here."""

from __future__ import annotations

HEADERS = {"X-Origin-Verify": "FUZZ_ORIGIN", "x-api-key": "FUZZ_API_KEY", "Authorization": "FUZZ_AUTHORIZATION"}
"""Header, and the variable that holds its value where the service wants one."""

SIGNED = "FUZZ_SIGNED"
"""Set where the service wants signatures of what is not a read."""

API, EDGE = "FUZZ_API", "FUZZ_EDGE"
"""Address of the API, and of the edge that answers its open reads; the second is unset without an edge."""

RECORD = "FUZZ_RECORD"
"""File that gets a line of JSON for each failed check. Default: nothing is recorded."""

REQUESTS = "FUZZ_REQUESTS"
"""How many requests are sent at most. Default: as many as schemathesis likes."""

COUNT = "FUZZ_COUNT"
"""File that gets the number of requests at the end: schemathesis counts none of a scenario that it was ended in."""
