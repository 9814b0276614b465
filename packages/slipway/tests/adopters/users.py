"""Run commands as a user that owns nothing on this machine."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from slipway.project import ROOT

NOBODY = 65534
"""A user that owns nothing."""

_OPENED = """
hold=$(mktemp -d); closed=$1; shift
for place in $closed; do mkdir -p "$hold$place"; mount --bind "$place" "$hold$place"; done
for place in $closed; do
    folder=/$(echo "$place" | cut -d / -f 2)
    [ -e "$folder/.opened" ] || { mount -t tmpfs -o mode=755 opened "$folder"; touch "$folder/.opened"; }
    mkdir -p "$place"; mount --bind "$hold$place" "$place"
    umount "$hold$place"; (cd "$hold"; rmdir --parents --ignore-fail-on-non-empty "${place#/}")
done
rmdir "$hold"
exec "$@"
"""
"""In mounts of its own, put an open folder in place of each closed one, such as `/root`, with what is needed of it."""


def as_nobody() -> tuple[str, ...]:
    """Return the words before a command that root runs as nobody.

    Python or this checkout may be below a folder such as `/root` that nobody else may enter.
    """
    user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    needed = {Path(sys.base_prefix).resolve(), ROOT.resolve()}
    closed = sorted(str(place) for place in needed if not all(map(_is_open, place.parents)))
    if not closed:
        return user
    return ("unshare", "--mount", "--propagation", "private", "bash", "-euc", _OPENED, "bash", " ".join(closed), *user)


def _is_open(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)
