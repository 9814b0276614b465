"""Avoid useless work while a function's modules load.

Import this before anything else in a handler module, and call `finished` at its end. Loading creates tens of thousands
of objects that all stay alive; the garbage collector traverses them repeatedly and frees none (10 to 15 % of the time
to import the `api` handler, measured on CPython 3.11). Freezing them afterwards also keeps them out of every later
collection.

In addition, pydantic searches the metadata of every installed package for plug-ins when the first model is created; no
package here has any.
"""

import gc
import os

gc.disable()
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def finished() -> None:
    """Register the hooks of snapshots, move what was loaded out of the collector's sight, and turn that on."""
    # Here, since it imports what this module must come before.
    from slipway_runtime import snapshots  # noqa: PLC0415

    snapshots.register()
    gc.freeze()
    gc.enable()
