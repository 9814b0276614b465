"""Count the places in the code that accept findings, in a committed file that makes an additional place visible.

The counts depend only on the code, not on the number of environments, their names, or their settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from slipway.nag.assembly import UnreadableError

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Service (or `pipeline`) → file → rule → number of places in the file that accept findings of the rule."""

_COUNTS = TypeAdapter(dict[str, dict[str, dict[str, Annotated[int, Field(ge=1, strict=True)]]]])


def read_baseline(path: Path) -> Counts:
    """Return the accepted counts.

    Raises:
        UnreadableError: The file is missing, or contains anything but counts.
    """
    try:
        return _COUNTS.validate_json(path.read_bytes())
    except OSError as error:
        raise UnreadableError(path, "is missing: write it with `make baseline`") from error
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"]))
        raise UnreadableError(path, f"is damaged ({place or 'file'}: {detail['msg']})") from error


def write_baseline(path: Path, counts: Counts) -> None:
    """Write the counts, sorted, so that a commit only shows changes."""
    path.write_text(json.dumps(counts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
