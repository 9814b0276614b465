"""Synthesise a revision's own `app.py` into a given folder; runs in the revision's working tree.

The rule packs don't run: they judge templates and change none (`make synth` runs them). A revision whose `app.py`
builds its app differently is run as the CDK CLI would run it, including the packs.
"""

from __future__ import annotations

import os
import runpy
import sys


def main(outdir: str) -> int:
    """Synthesise into a folder; returns the exit code."""
    root = os.getcwd()  # noqa: PTH109 - nothing is imported here that a revision may have in another version
    # In place of this file's folder, whose modules have common names.
    sys.path[0] = root
    file = os.path.join(root, "app.py")  # noqa: PTH118
    # Before CDK is imported: its process in Node gets these variables once.
    os.environ["CDK_OUTDIR"] = outdir
    app = runpy.run_path(file, run_name="app")
    if not {"build", "config", "AssetStore"} <= app.keys():
        sys.argv[1:] = []
        runpy.run_path(file, run_name="__main__")
        return 0
    app["build"](app["config"].load(), app["AssetStore"](), outdir=outdir).synth()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
