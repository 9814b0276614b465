"""The ASGI application of the emulator's process, which saves its accounts on request.

The emulator saves at the end of its lifespan (PERSIST_STATE). A server that is stopped first waits half a minute for
each client with an open connection, so the signal here ends only the application's lifespan.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

SAVED = "SLIPWAY_SAVED"
"""Variable with the file that is created once the accounts are saved."""

NOT_SAVED = ".failed"
"""Suffix of the file that is created instead if some could not be saved; it contains the reason."""

SAVE = signal.SIGUSR1
"""Signal that makes the process save its accounts. Afterwards it serves no more requests."""

ROOT = str(Path(__file__).resolve().parents[3])
"""Folder from which our modules are imported; functions, which run in their own processes, don't inherit it."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _Failures(logging.Handler):
    """Records the parts of an account that the emulator failed to save: it continues without them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def ended(saved: Path, failures: Sequence[str]) -> None:
    """Report whether all accounts were saved.

    Args:
        saved: The file named by SAVED.
        failures: The parts that could not be saved.
    """
    if not failures:
        saved.touch()
        return
    # A full disk may have no room for this file either; then neither file exists.
    with suppress(OSError):
        saved.with_name(f"{saved.name}{NOT_SAVED}").write_text("\n".join(failures), encoding="utf-8")


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Run the ASGI application."""
    from ministack.app import app as emulator  # noqa: PLC0415  # not where SAVED is read

    if scope["type"] != "lifespan":
        if await _meets_fault(scope, send):
            return
        await emulator(scope, receive, without_body(send))
        return
    _install()
    asyncio.get_running_loop().set_exception_handler(_say_what_matters)
    from ministack.core import persistence  # noqa: PLC0415  # as above

    failures = _Failures()
    persistence.logger.addHandler(failures)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(SAVE, told.set)

    async def receive_or_end() -> Message:
        message, end = asyncio.ensure_future(receive()), asyncio.ensure_future(told.wait())
        done, pending = await asyncio.wait((message, end), return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        return message.result() if message in done else {"type": "lifespan.shutdown"}

    async def tell(message: Message) -> None:
        if message["type"] == "lifespan.shutdown.complete":
            ended(Path(os.environ[SAVED]), failures.said)
        if not told.is_set():
            await send(message)

    await emulator(scope, receive_or_end, tell)
    # The server's own shutdown still follows, and it waits for this answer.
    if told.is_set():
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


@cache
def _edge() -> Any:
    from slipway.emulator.extensions import faults  # noqa: PLC0415  # not importable before _install

    return faults.FaultyEdge(Path(os.environ[faults.FAULTS]))


async def _meets_fault(scope: Message, send: Send) -> bool:
    """Return True if a fault answered a request in the emulator's place."""
    from slipway.emulator.extensions import faults  # noqa: PLC0415  # as above

    return faults.FAULTS in os.environ and await faults.meet(_edge(), scope, send)


BODILESS = frozenset({204, 304})
"""Statuses of answers without a body and length: an HTTP/2 client treats either as a broken stream."""


def without_body(send: Send) -> Send:
    """Return a `send` that removes headers and bodies which such an answer must not have.

    https://www.rfc-editor.org/rfc/rfc9110#section-8.6

    Args:
        send: The server's `send`.
    """
    bodiless = False

    async def send_rightly(message: Message) -> None:
        nonlocal bodiless
        if message["type"] == "http.response.start" and message["status"] in BODILESS:
            bodiless = True
            headers = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body" and bodiless:
            message = {**message, "body": b""}
        await send(message)

    return send_rightly


def _say_what_matters(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Keep disconnecting clients out of the log."""
    if not isinstance(context.get("exception"), (OSError, TimeoutError)):
        loop.default_exception_handler(context)


def _install() -> None:
    """Make the emulator refuse what AWS refuses, before it serves requests."""
    if ROOT not in sys.path:
        sys.path.append(ROOT)
    from slipway.emulator.extensions import install  # noqa: PLC0415  # not importable before

    install.install()
