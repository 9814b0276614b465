"""`python -m slipway.rehearsal`; the commands are in `slipway.rehearsal.cli`."""

import signal
import sys


def run() -> int:
    """Import the commands, which takes half a second, and run one of them."""
    # Until then an interrupt ends the process as it would any other, without a trace: there is nothing to put in order.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    from slipway.rehearsal.cli import main  # noqa: PLC0415  # after the line above, for the reason it gives

    return main()


if __name__ == "__main__":
    sys.exit(run())
