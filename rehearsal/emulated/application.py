"""What the emulator's process serves: the emulator, which writes its accounts down when it is told to.

It does so at the end of its life (PERSIST_STATE). A server that is asked to end first waits half a minute for each
client that keeps a connection open; so the signal here tells the application alone that its life ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

SAVED = "SLIPWAY_SAVED"
"""Variable with the file that is made when the accounts are written down."""

SAVE = signal.SIGUSR1
"""Signal that tells the process to write its accounts down; it serves nothing of worth after that."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """The ASGI application."""
    from ministack.app import app as emulator  # type: ignore[import-untyped]  # noqa: PLC0415  # not where SAVED is read

    if scope["type"] != "lifespan":
        await emulator(scope, receive, send)
        return
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
            Path(os.environ[SAVED]).touch()
        if not told.is_set():
            await send(message)

    await emulator(scope, receive_or_end, tell)
    # The server's own end is still to come, and it waits for an answer to it.
    if told.is_set():
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
