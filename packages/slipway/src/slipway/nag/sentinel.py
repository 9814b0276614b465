"""The entry that a pack leaves to prove that it ran, and over which templates.

In CDK's report, a pack without findings and a pack that never ran look the same. So each pack adds an entry of its own:
it is written only after the pack found a planted fault and finished, and it contains the digest of every template that
it judged, stage by stage. The gate compares those with the actual templates.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SENTINEL_RULE = "Gate-Sentinel"
"""Rule name of the entry; its `ruleMetadata` maps a template's path within the assembly to its SHA-256."""

ABOVE_RULE = "Gate-Acknowledged"
"""Rule name of the entry for an acknowledgement above the stacks, on a stage or the app, which no metadata file
contains. Its `ruleMetadata` contains `id` and `reason`; its construct is the position.
"""


def template_digest(path: Path) -> str:
    """Return the SHA-256 of a template in the assembly, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
