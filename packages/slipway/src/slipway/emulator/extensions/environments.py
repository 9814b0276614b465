"""Execution environments: how many start at once, and each one's memory limit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from slipway.emulator.extensions.functions import Record
from slipway.emulator.extensions.patches import wrap

STARTS = os.cpu_count() or 1
"""Environments that start at once. More would slow each other down: fifty at once took 40 s on two processors."""

WATCH_SECONDS = 0.05
"""Interval at which the memory of busy environments is checked, seconds."""

_MEGABYTE = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")
_KILLED = "Runtime.ExitError"

_changed = threading.Condition()
_starting: set[int] = set()
"""Identities of the environments that are starting."""

_last: ContextVar[Any] = ContextVar("last_environment", default=None)


# Starts


def _acquire(  # noqa: PLR0917  # as the emulator calls it
    original: Callable[..., Any],
    func_name: str,
    config: Record,
    code_zip: bytes,
    qualifier: str = "$LATEST",
    max_concurrency: int | None = None,
) -> Any:
    """Take an idle environment, or wait to start one; use any that becomes idle in the meantime.

    Starting needs no environment of another function, so a function that calls another one cannot block it here.
    """
    key = lambda_runtime._worker_key(func_name, config, qualifier)
    with _changed:
        while len(_starting) >= STARTS and not any(not each.in_use for each in lambda_runtime._workers.get(key, [])):
            _changed.wait(0.5)
        worker, reason = original(func_name, config, code_zip, qualifier=qualifier, max_concurrency=max_concurrency)
        if reason == "spawn":
            _starting.add(id(worker))
    return worker, reason


def _started(worker: Any) -> None:
    with _changed:
        _starting.discard(id(worker))
        _changed.notify_all()


def _spawn(original: Callable[..., Any], self: Any) -> None:
    self.most_bytes = 0
    try:
        original(self)
    finally:
        _started(self)


def _release(original: Callable[..., Any], worker: Any) -> None:
    original(worker)
    _started(worker)


# Memory


def _resident(pid: int) -> int:
    """Return the resident memory of a process in bytes; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _watch() -> None:
    while True:
        time.sleep(WATCH_SECONDS)
        with lambda_runtime._lock:
            busy = [worker for workers in lambda_runtime._workers.values() for worker in workers if worker.in_use]
        for worker in busy:
            process = worker._proc
            if process is not None:
                look_at(worker, process.pid)


def look_at(worker: Any, pid: int) -> None:
    """Record an environment's memory, and kill it if it exceeds its function's limit.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html

    Args:
        worker: The environment.
        pid: Its process.
    """
    used = _resident(pid)
    worker.most_bytes = max(used, getattr(worker, "most_bytes", 0))
    if used > int(worker.config.get("MemorySize", 128)) * _MEGABYTE:
        worker.out_of_memory = True
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _invoke(original: Callable[..., Any], self: Any, event: Any, request_id: str, **named: Any) -> Record:
    _last.set(self)
    self.out_of_memory = False
    result: Record = original(self, event, request_id, **named)
    process = self._proc
    if process is not None and process.poll() is None:
        look_at(self, process.pid)
    if self.out_of_memory:
        self._proc = None
        result = {
            "status": "error",
            "error": f"RequestId: {request_id} Error: Runtime exited with error: signal: killed",
        }
        result["log"] = f"{result['error']}\n{_KILLED}"
    return result


def _execute(original: Callable[..., Any], func: Record, event: Any, request_id: str) -> Record:
    result: Record = original(func, event, request_id)
    body = result.get("body")
    if result.get("error") and isinstance(body, dict) and "signal: killed" in str(body.get("errorMessage")):
        body["errorType"] = _KILLED
    return result


def _most_used(_: Callable[..., Any], func: Record) -> int:
    """Return the maximum memory of the last invocation's environment, in megabytes, at most its limit."""
    worker = _last.get()
    size = int((func.get("config") or func).get("MemorySize", 128))
    return min(size, round(getattr(worker, "most_bytes", 0) / _MEGABYTE))


def install() -> None:
    """Install the replacements.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(lambda_svc, "acquire_worker", _acquire, "func_name", "config", "code_zip", "qualifier", "max_concurrency")
    wrap(lambda_svc, "release_worker", _release, "worker")
    wrap(lambda_runtime.Worker, "_spawn", _spawn, "self")
    wrap(
        lambda_runtime.Worker,
        "invoke",
        _invoke,
        *("self", "event", "request_id", "trace_id", "depth", "durable", "invoked_function_arn"),
    )
    wrap(lambda_svc, "_execute_function_warm", _execute, "func", "event", "request_id")
    wrap(lambda_svc, "_probe_peak_memory_mb", _most_used, "func")
    threading.Thread(target=_watch, daemon=True, name="memory").start()
