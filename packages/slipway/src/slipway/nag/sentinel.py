"""What a pack leaves behind to show that it ran, and over which templates.

A pack that found nothing and a pack that never ran look the same in CDK's report. So each pack adds one entry of its
own: it is written only after the pack found a planted fault and finished, and it carries the digest of every template
that it judged, stage by stage. The gate compares those with the templates that it finds.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SENTINEL_RULE = "Gate-Sentinel"
"""Rule name of the entry; its `ruleMetadata` maps a template's path within the assembly to its SHA-256."""

ABOVE_RULE = "Gate-Acknowledged"
"""Rule name of the entry for an acknowledgement above the stacks, on a stage or the app: no metadata file has those.
Its `ruleMetadata` holds `id` and `reason`, its construct is the place."""


def template_digest(path: Path) -> str:
    """SHA-256 of a template as it lies in the assembly, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
