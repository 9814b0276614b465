"""What in parsed JSON could not be given back as it came, every fault with its path."""

from collections.abc import Iterator
from typing import Any, Final

from services.common.api import pointer
from services.common.exact_json import MAX_DEPTH, InexactError, require_exact

MAX_FAULTS: Final = 1000
"""An answer names at most so many, and says how many there are in all: a body of faults would be a larger answer."""

_Path = tuple[str | int, ...]
_Fault = tuple[str, str]


def faults(data: Any) -> list[_Fault]:
    """Every fault in `data`: its JSON pointer from the body's root, and a sentence.

    Args:
        data: What `services.common.exact_json.loads` made of the member `data`.
    """
    found = list(_walk(data, ("data",), 1))
    if len(found) > MAX_FAULTS:
        return [*found[:MAX_FAULTS], (pointer("data"), f"has {len(found)} faults; the first {MAX_FAULTS} are named")]
    return found


def _walk(value: Any, path: _Path, depth: int) -> Iterator[_Fault]:
    if not isinstance(value, dict | list):
        yield from _fault(value, path)
        return
    if depth > MAX_DEPTH:
        yield pointer(*path), f"is nested deeper than {MAX_DEPTH} levels"
        return
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for name, member in members:
        if isinstance(name, str):
            yield from _fault(name, (*path, name), of_key="its key ")
        yield from _walk(member, (*path, name), depth + 1)


def _fault(value: Any, path: _Path, *, of_key: str = "") -> Iterator[_Fault]:
    try:
        require_exact(value, "")
    except InexactError as error:
        yield pointer(*path), f"{of_key}{error.reason}"
