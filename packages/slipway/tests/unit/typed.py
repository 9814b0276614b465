"""Run a verb of the command line in this process, as if it were typed."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from slipway.cli import main


@dataclass(frozen=True)
class Said:
    """A verb's exit code and output."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Standard output and standard error."""
        return self.stdout + self.stderr


def typed(*words: str, env: Mapping[str, str] | None = None) -> Said:
    """Run a verb.

    Args:
        words: The verb and its arguments.
        env: Environment variables set during the run. Default: none.
    """
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, env or {}), _signals_kept(), redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    return Said(code, out.getvalue(), err.getvalue())


@contextmanager
def _signals_kept() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
