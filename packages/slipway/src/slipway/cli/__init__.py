"""The command line: `slipway VERB`. The verbs are listed in `slipway.cli.verbs`."""

from __future__ import annotations

import signal
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb.

    Args:
        arguments: Arguments without the program's name. Default: those of this process.

    Returns:
        The exit code: 0 done, 1 something went wrong, 2 wrong input, 130 interrupted.
    """
    # During the imports an interrupt ends the process without a traceback: there is nothing to clean up yet.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from slipway.cli.run import run  # noqa: PLC0415  # must follow the line above

    return run(arguments)
