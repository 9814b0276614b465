"""Count the places in the code that accept findings: a committed file, so that one more is seen in the commit.

What is counted follows the code alone: an environment more or fewer, another name or another figure changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from slipway.nag.assembly import UnreadableError

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Service (or `pipeline`) → file → rule → places in that file that accept what the rule finds there."""

_COUNTS = TypeAdapter(dict[str, dict[str, dict[str, Annotated[int, Field(ge=1, strict=True)]]]])


def read_baseline(path: Path) -> Counts:
    """Return the accepted counts.

    Raises:
        UnreadableError: The file is missing, or holds anything but counts.
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
    """Write the counts, sorted, so that a commit shows what changed and nothing else."""
    path.write_text(json.dumps(counts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
