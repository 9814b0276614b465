"""Server of the endpoint: TLS, and a proxy that routes AWS's host names to it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config

from slipway.emulator.partition.requests import ApiError, HttpRequest
from slipway.emulator.partition.router import ForwardTarget, Partition, forwarded
from slipway.emulator.server import HOST, LOOPBACK, Emulator, certificates, free_port
from slipway.errors import RehearsalError

START_SECONDS = 10.0
THREADS = 48
LONGEST_SECONDS = 120.0
"""Maximum duration of a request: a function's answer through the gateway takes up to 29 s."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HOSTS = re.compile(r"[\w-]+\.execute-api\.[\w-]+\.amazonaws\.com|\w+\.cloudfront\.net")


class Server:
    """Serves a partition in its own thread, on the loopback interface.

    Args:
        partition: The accounts and routes to serve.
        regions: Regions whose host names are served.
        tls: Folder of the certificates.
    """

    def __init__(self, partition: Partition, *, regions: set[str], tls: Path) -> None:
        self._partition = partition
        self._tls = tls
        self.names = (
            *(f"*.execute-api.{region}.amazonaws.com" for region in sorted(regions)),
            "*.cloudfront.net",
        )
        self.port, self.proxy_port = free_port(), free_port()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._addresses: dict[str, asyncio.Future[Any]] = {}
        self._failure: BaseException | None = None

    @property
    def endpoint(self) -> str:
        """Return the endpoint of every API in every account."""
        return f"https://{HOST}:{self.port}"

    @property
    def ca(self) -> Path:
        """The certificate that clients trust."""
        return self._tls / "ca.pem"

    def variables(self) -> dict[str, str]:
        """Return variables that make a client in another process use this server as AWS, including AWS's host names."""
        proxy = f"http://{LOOPBACK}:{self.proxy_port}"
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.ca),
            "NODE_EXTRA_CA_CERTS": str(self.ca),
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": f"{HOST},{LOOPBACK}",
            "no_proxy": f"{HOST},{LOOPBACK}",
        }

    def start(self) -> None:
        """Start serving.

        Raises:
            RehearsalError: It did not start.
        """
        certificates(self._tls, names=self.names)
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="partition", daemon=True)
        self._thread.start()
        if not ready.wait(START_SECONDS) or self._failure is not None:
            raise RehearsalError(f"the endpoint of the accounts did not start: {self._failure or 'no answer'}")

    def stop(self) -> None:
        """Stop serving."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # It has ended by itself.
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(START_SECONDS)

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:  # noqa: BLE001  # reported by the waiting thread
            self._failure = error
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(_say_what_matters)
        # These threads wait for accounts and look up names; four builds may do both at once.
        self._loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="partition"))
        settings = Config()
        settings.bind = [f"{LOOPBACK}:{self.port}"]
        settings.certfile = settings.keyfile = str(self._tls / "server.pem")
        settings.accesslog = settings.errorlog = None
        settings.graceful_timeout = 1
        settings.include_server_header = False
        proxy = await asyncio.start_server(self._proxy, LOOPBACK, self.proxy_port)
        ready.set()
        try:
            await serve(self, settings, shutdown_trigger=self._stop.wait)  # type: ignore[arg-type]  # an ASGI application
        finally:
            proxy.close()
            for client in self._clients.values():
                await client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an ASGI request."""
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["type"] != "http":
            return
        request = await _whole(scope, receive)
        try:
            answer = await asyncio.to_thread(self._partition.answer, request)
            if isinstance(answer, ForwardTarget):
                await self._forward(answer, send)
                return
        except ApiError as error:
            answer = _refusal(request, error)
        except httpx.HTTPError as error:
            unreached = ApiError("ServiceUnavailable", f"the account does not answer: {error!r}", status=503)
            answer = _refusal(request, unreached)
        status, headers, body = answer
        headers = [*headers, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _forward(self, target: ForwardTarget, send: Send) -> None:
        client = self._client(target.emulator)
        response = await client.send(forwarded(client, target.request), stream=True)
        try:
            skipped = {b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server"}
            headers = [(name, value) for name, value in response.headers.raw if name.lower() not in skipped]
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()

    def _client(self, emulator: Emulator) -> httpx.AsyncClient:
        if emulator.endpoint not in self._clients:
            context = ssl.create_default_context(cafile=str(emulator.ca))
            # Idle connections are closed by the emulator after 5 s: slipway.emulator.server.Emulator.http.
            limits = httpx.Limits(keepalive_expiry=2)
            self._clients[emulator.endpoint] = httpx.AsyncClient(
                base_url=emulator.endpoint, verify=context, timeout=LONGEST_SECONDS, trust_env=False, limits=limits
            )
        return self._clients[emulator.endpoint]

    async def _proxy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Proxy TLS connections: AWS's host names are routed here, all others to their own addresses."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, _, rest = head.partition(b" ")
            host, _, port = rest.partition(b" ")[0].decode("latin-1").rpartition(":")
            if method != b"CONNECT":
                writer.write(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n")
                return
            if _HOSTS.fullmatch(host):
                there = await asyncio.open_connection(LOOPBACK, self.port)
            else:
                there = await self._beyond(host, int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            with suppress(OSError):
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
        except asyncio.CancelledError:
            # The server is stopping; asyncio would print a traceback for each connection.
            return
        finally:
            writer.close()

    async def _beyond(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to an outside host, through this machine's own proxy if it has one."""
        proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
        if not proxy:
            return await asyncio.open_connection(await self._address(host), port)
        where = urlsplit(proxy)
        reader, writer = await asyncio.open_connection(where.hostname, where.port or 3128)
        writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in answer.split(b"\r\n", 1)[0]:
            raise OSError(answer.split(b"\r\n", 1)[0].decode("latin-1"))
        return reader, writer

    async def _address(self, host: str) -> str:
        """Return a host's address, looked up once: an installation opens a hundred connections to two hosts."""
        if host not in self._addresses:
            found = asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            self._addresses[host] = asyncio.ensure_future(found)
        try:
            return str((await asyncio.shield(self._addresses[host]))[0][4][0])
        except OSError:
            self._addresses.pop(host, None)
            raise


def _say_what_matters(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log errors of the event loop, except those of clients that disconnect."""
    if not isinstance(context.get("exception"), (OSError, TimeoutError, ssl.SSLError)):
        loop.default_exception_handler(context)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError):
        writer.close()


async def _whole(scope: Scope, receive: Receive) -> HttpRequest:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return HttpRequest(scope["method"], scope["raw_path"], scope["query_string"], tuple(scope["headers"]), body)


def _refusal(request: HttpRequest, error: ApiError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return an error answer in the protocol of the request."""
    if request.header("x-amz-target") or "json" in request.header("content-type"):
        content = json.dumps({"__type": error.code, "message": error.message}).encode()
        return error.status, [(b"content-type", b"application/x-amz-json-1.1")], content
    text = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(error.code)}</Code>"
        f"<Message>{escape(error.message)}</Message></Error><RequestId>rehearsal</RequestId></ErrorResponse>"
    )
    return error.status, [(b"content-type", b"text/xml")], text.encode()
