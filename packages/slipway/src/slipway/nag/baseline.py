"""Count the places in the code that accept findings, in committed files that make an additional place visible.

Each service's counts are in its folder, and the counts of the pipeline and the foundation are in `config/`. They depend
only on the code, not on the number of environments, their names, or their settings.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from slipway.nag.assembly import UnreadableError

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Service (or `pipeline`) → file → rule → number of places in the file that accept findings of the rule."""

SHARED = "config/baseline.json"
"""File with the counts of all parts of the app that have no folder of their own, by part."""

_Places = dict[str, dict[str, Annotated[int, Field(ge=1, strict=True)]]]
_OWN: TypeAdapter[Any] = TypeAdapter(_Places)
_SHARED: TypeAdapter[Any] = TypeAdapter(dict[str, _Places])


def baseline_file(root: Path, unit: str) -> str:
    """Return the file, from the root, with the counts of a service or another part of the app."""
    return f"services/{unit}/baseline.json" if (root / "services" / unit).is_dir() else SHARED


def read_baseline(root: Path, units: Iterable[str]) -> tuple[Counts, tuple[UnreadableError, ...]]:
    """Return the accepted counts, and why files cannot be read.

    Args:
        root: The project.
        units: Parts of the app that must have accepted counts, even if they accept nothing.
    """
    counts: dict[str, Mapping[str, Mapping[str, int]]] = {}
    unreadable = []
    for file in sorted({SHARED, *_own_files(root), *(baseline_file(root, unit) for unit in units)}):
        try:
            if file == SHARED:
                counts |= _read(root / file, _SHARED)
            else:
                counts[Path(file).parent.name] = _read(root / file, _OWN)
        except UnreadableError as error:
            unreadable.append(error)
    return counts, tuple(unreadable)


def write_baseline(root: Path, counts: Counts) -> None:
    """Write the counts, sorted, so that a commit only shows changes. A service without any has no file."""
    own = {unit: file for unit in counts if (file := baseline_file(root, unit)) != SHARED}
    files = {file: counts[unit] for unit, file in own.items()}
    for gone in set(_own_files(root)) - set(files):
        (root / gone).unlink()
    shared = {unit: places for unit, places in counts.items() if unit not in own}
    for file, content in {**files, SHARED: shared}.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _own_files(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in (root / "services").glob("*/baseline.json")]


def _read(path: Path, content: TypeAdapter[Any]) -> Any:
    try:
        return content.validate_json(path.read_bytes())
    except OSError as error:
        raise UnreadableError(path, "is missing: write it with `make baseline`") from error
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"]))
        raise UnreadableError(path, f"is damaged ({place or 'file'}: {detail['msg']})") from error
