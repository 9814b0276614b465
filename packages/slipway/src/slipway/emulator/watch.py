"""Redeploy a service's code to the emulator whenever a file is saved.

Saved code is first imported in a separate process, with the functions' variables: if that fails, the error is shown,
and the running version is kept. Otherwise each function gets a new version with the code, and its aliases point to it.
There is no build, synthesis or deployment; the next `make up` deploys all other changes.
"""

from __future__ import annotations

import io
import json
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from watchfiles import DefaultFilter, watch

from slipway import process
from slipway.build.builder import SHARED, code_files
from slipway.emulator import logs
from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_CHECK: Final = Path(__file__).with_name("import_handlers.py")
_DEBUGGED: Final = Path(__file__).with_name("debugged.py")
_DEBUG_SECONDS: Final = 900
"""Time-out of a function stopped at a breakpoint: Lambda's maximum."""
_DEBOUNCE_MS: Final = 100


@dataclass(frozen=True)
class WatchedFunction:
    """A function of the watched service, as it was before.

    Args:
        name: Its physical name.
        handler: Dotted path of its handler.
        variables: Its environment variables.
        timeout: Its time-out in seconds.
    """

    name: str
    handler: str
    variables: Mapping[str, str]
    timeout: int

    @property
    def module(self) -> str:
        """Name of the handler's module, such as `api`."""
        return self.handler.split(".")[-2]


@dataclass
class Watch:
    """A service that is watched.

    Args:
        emulator: The emulator that its functions run on.
        environment: Name of the environment.
        service: Name of the service.
        root: The project.
        say: Prints a line.
    """

    emulator: Emulator
    environment: str
    service: str
    root: Path
    say: Callable[[str], object]
    _versions: dict[str, str] = field(default_factory=dict)

    @property
    def runtime(self) -> Path:
        """Folder of the handlers."""
        return self.root / "services" / self.service / "runtime"

    def functions(self) -> list[WatchedFunction]:
        """Return the functions whose handlers are in the service.

        Raises:
            RehearsalError: No function is deployed.
        """
        prefix = f"services.{self.service}.runtime."
        pages = self._client.get_paginator("list_functions").paginate()
        found = [
            WatchedFunction(
                name=one["FunctionName"],
                handler=one["Handler"],
                variables=one.get("Environment", {}).get("Variables", {}),
                timeout=one["Timeout"],
            )
            for page in pages
            for one in page["Functions"]
            if one.get("Handler", "").startswith(prefix)
        ]
        if not found:
            raise RehearsalError(f"{self.service} is not deployed in {self.environment}: run `make up` first")
        return sorted(found, key=lambda one: one.name)

    def run(self, *, debug: str | None = None, port: int = 5678, stop: threading.Event | None = None) -> None:
        """Watch until interrupted.

        Args:
            debug: Module of the handler that a debugger can be attached to, such as `api`. Default: none.
            port: The debugger's port on the loopback interface.
            stop: Ends the watch when set. Default: only an interrupt does.

        Raises:
            RehearsalError: The service, or the function to debug, is not deployed.
        """
        functions = self.functions()
        debugged = self._choose(functions, debug)
        with self._following(), self._debugging(debugged, port):
            self.update(functions)
            self.say(f"watching {self.runtime.relative_to(self.root)}; Ctrl-C stops it")
            for changes in watch(
                self.runtime,
                SHARED,
                watch_filter=_Sources(),
                debounce=_DEBOUNCE_MS,
                step=_DEBOUNCE_MS // 2,
                stop_event=stop,
                raise_interrupt=True,
            ):
                self.say(f"saved {', '.join(sorted({Path(path).name for _, path in changes}))}")
                self.update(functions)

    def update(self, functions: list[WatchedFunction]) -> bool:
        """Deploy the saved code, if it can be imported.

        Args:
            functions: Functions of the service.

        Returns:
            False if it cannot be imported; then the previous version keeps running.
        """
        started = time.perf_counter()
        problems = self.check(functions)
        for problem in problems:
            self.say(problem)
        if problems:
            self.say("not live: the previous version still answers")
            return False
        content = self._zip()
        for function in functions:
            self._publish(function, content)
        self.say(f"live after {time.perf_counter() - started:.1f} s")
        return True

    def check(self, functions: list[WatchedFunction]) -> list[str]:
        """Import every handler in a fresh process.

        Args:
            functions: Functions of the service.

        Returns:
            The traceback of each handler that fails.
        """
        order = {
            "path": [str(self.root), str(SHARED.parent)],
            "handlers": [[one.handler.rpartition(".")[0], dict(one.variables)] for one in functions],
        }
        done = process.run(
            [sys.executable, "-P", _CHECK], given=json.dumps(order), environment=self.emulator.environment()
        )
        if done.returncode != 0:
            return [done.stderr.strip() or f"the import ended with {done.returncode}"]
        problems: list[str] = json.loads(done.stdout.splitlines()[-1])
        return problems

    @cached_property
    def _client(self) -> LambdaClient:
        # Created once: creating a client takes as long as all of a save's calls.
        return self.emulator.session().client("lambda")

    def _zip(self) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, path in sorted(code_files(self.root, self.runtime).items()):
                archive.write(path, name)
            archive.write(_DEBUGGED, _DEBUGGED.name)
        return content.getvalue()

    def _publish(self, function: WatchedFunction, content: bytes | None = None) -> None:
        """Publish a version, point the aliases to it, and delete the previous save's version."""
        client = self._client
        if content is not None:
            client.update_function_code(FunctionName=function.name, ZipFile=content)
        version = client.publish_version(FunctionName=function.name)["Version"]
        for alias in client.list_aliases(FunctionName=function.name)["Aliases"]:
            client.update_alias(FunctionName=function.name, Name=alias["Name"], FunctionVersion=version)
        before, self._versions[function.name] = self._versions.get(function.name), version
        if before is not None and before != version:
            client.delete_function(FunctionName=function.name, Qualifier=before)

    @contextmanager
    def _following(self) -> Iterator[None]:
        """Print the functions' log lines during the block."""
        ended = threading.Event()

        def print_lines() -> None:
            for line in logs.follow(self.emulator, self.environment, self.service, datetime.now(UTC), ended=ended):
                if not line.is_platform:
                    self.say(f"{line.function}  {line.text}")

        thread = threading.Thread(target=print_lines, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=5)

    def _choose(self, functions: list[WatchedFunction], debug: str | None) -> WatchedFunction | None:
        if debug is None:
            return None
        for function in functions:
            if function.module == debug:
                return function
        known = ", ".join(sorted(one.module for one in functions))
        raise RehearsalError(f"{self.service} has no function {debug!r}; choose from {known}", exit_code=2)

    @contextmanager
    def _debugging(self, function: WatchedFunction | None, port: int) -> Iterator[None]:
        """Make a function wait for a debugger's breakpoints during the block."""
        if function is None:
            yield
            return
        variables = {
            **function.variables,
            "SLIPWAY_DEBUGGED": function.handler,
            "SLIPWAY_DEBUG_PORT": str(port),
            # Otherwise it would warn at each start that it cannot stop inside Python's frozen modules.
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "SLIPWAY_DEBUG_PATH": json.dumps([str(self.root), str(SHARED.parent)]),
        }
        self._configure(function, "debugged.handler", variables, _DEBUG_SECONDS)
        self.say(f"attach a debugger to 127.0.0.1:{port}: {function.module} listens from its first request on")
        try:
            yield
        finally:
            self._configure(function, function.handler, function.variables, function.timeout)
            self._publish(function)

    def _configure(self, function: WatchedFunction, handler: str, variables: Mapping[str, str], timeout: int) -> None:
        self._client.update_function_configuration(
            FunctionName=function.name, Handler=handler, Environment={"Variables": dict(variables)}, Timeout=timeout
        )


class _Sources(DefaultFilter):
    """Accepts files that ship, but not those that editors and interpreters leave beside them."""

    def __call__(self, change: Any, path: str) -> bool:
        return path.endswith((".py", ".json")) and super().__call__(change, path)
