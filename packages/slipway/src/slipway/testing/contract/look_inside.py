"""Import a handler as Lambda does before a snapshot, and report what the snapshot would keep, for `test_shipped`."""

import gc
import importlib
import json
import logging
import os
import random
import socket
import sys
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

FAR = 9e15
"""Added to the monotonic clock, so that its values can be distinguished from other numbers."""

_monotonic = time.monotonic
time.monotonic = lambda: FAR + _monotonic()

module, marker = sys.argv[1:]
# It contains the marker a second time.
sys.orig_argv.clear()
importlib.import_module(module)
loaded_by_handler = frozenset(sys.modules)
hooks: Any = importlib.import_module("snapshot_restore_py")
for hook in reversed(hooks.BEFORE):
    hook()


def _values() -> Any:
    """Yield everything in the containers in memory; strings and numbers are not tracked separately."""
    gc.unfreeze()
    everything = gc.get_objects()
    # Environment variables don't come from the import; Lambda sets them again. And a rate limiter of botocore stores
    # the time of its creation, to compute how much it may send: at most as much as after a pause.
    limiters = [one for one in everything if str(type(one).__module__).startswith("botocore.retries")]
    variables: Any = os.environ
    left_out = {
        id(variables._data),
        *map(id, limiters),
        *(id(vars(one)) for one in limiters if hasattr(one, "__dict__")),
    }
    for container in everything:
        if id(container) not in left_out:
            yield from gc.get_referents(container)


def _is_of_now(value: object) -> bool:
    if isinstance(value, datetime):
        # The earliest and the latest datetime have no timestamp.
        return 1970 < value.year < 9999 and abs(value.timestamp() - time.time()) < 86_400
    return isinstance(value, float) and (FAR < value < FAR * 2 or abs(value - time.time()) < 86_400)


def _is_open(descriptor: Path) -> bool:
    """Return True for a connection. X-Ray's datagram socket has none: each datagram is routed separately."""
    number = int(descriptor.name)
    try:
        # The first three belong to the caller.
        if number <= 2 or not str(descriptor.readlink()).startswith("socket:"):
            return False
        with socket.socket(fileno=os.dup(number)) as found:
            return found.type == socket.SOCK_STREAM
    except OSError:
        return False


# The importer stores when folders changed, which isn't the current time.
importlib.invalidate_caches()
# Python's logging stores the time of its import, for a field that none of our formatters writes.
setattr(logging, "_startTime", 0)  # noqa: B010 - it is in no stub
values = list(_values())
written = "".join(
    Path(loaded.__file__).read_text(encoding="utf-8")
    for name, loaded in list(sys.modules.items())
    if name.startswith(("services.", "slipway_runtime.")) and loaded.__file__
)
state = random.getstate()
for hook in hooks.AFTER:
    hook()
found = {
    "hooks": [len(hooks.BEFORE), len(hooks.AFTER)],
    "routing": [name for name in ("aws_lambda_powertools.event_handler", "pydantic") if name in loaded_by_handler],
    "collects": gc.isenabled(),
    "secrets": sum(isinstance(value, str) and marker in value and value is not marker for value in values),
    # Text from the source is a constant.
    "unique": sorted(
        {str(one) for one in values if isinstance(one, uuid.UUID) and one.version == 4 and str(one) not in written}
    ),
    "times": sorted({repr(value) for value in values if _is_of_now(value)}),
    "sockets": sum(map(_is_open, Path("/proc/self/fd").iterdir())),
    "reseeded": random.getstate() != state,
}
sys.stderr.write("\n" + json.dumps(found))
