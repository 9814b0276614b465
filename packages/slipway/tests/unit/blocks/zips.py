"""Built assets for tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from slipway.blocks.assets import MANIFEST_FILE


def fill(folder: Path) -> None:
    """Write a zip and a manifest that lists it. The content isn't a valid zip; no test opens it."""
    content = b"zip!"
    digest = hashlib.sha256(content).hexdigest()
    (folder / "items.zip").write_bytes(content)
    record = {"sha256": digest, "inputs": digest, "unzipped_bytes": len(content)}
    (folder / MANIFEST_FILE).write_text(json.dumps({"assets": {"items": record}}), encoding="utf-8")
