"""How many findings are accepted, by stage and rule: a committed file, so that more of them is seen in the commit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from slipway.nag.assembly import UnreadableError

Counts = Mapping[str, Mapping[str, int]]
"""Stage → rule → accepted findings."""

_COUNTS = TypeAdapter(dict[str, dict[str, Annotated[int, Field(ge=1, strict=True)]]])


def read_baseline(path: Path) -> Counts:
    """The accepted counts.

    Raises:
        UnreadableError: the file is missing, or holds anything but counts.
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
    content = {stage: dict(sorted(rules.items())) for stage, rules in sorted(counts.items()) if rules}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
