"""Saved code of a service goes live, unless it cannot be imported."""

# ruff: noqa: N803 - the arguments are named as those of boto3

from __future__ import annotations

import io
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.emulator import logs
from slipway.emulator.watch import Watch, WatchedFunction
from slipway.errors import RehearsalError

pytestmark = pytest.mark.programs


API = "import os\nTABLE = os.environ['TABLE']\ndef handler(event, context):\n    return TABLE\n"


class FakeLambda:
    """Functions with versions and aliases, limited to what the watch calls."""

    def __init__(self, *handlers: str) -> None:
        self.functions: dict[str, dict[str, Any]] = {
            f"dev-{handler.split('.')[-2]}": {
                "FunctionName": f"dev-{handler.split('.')[-2]}",
                "Handler": handler,
                "Environment": {"Variables": {"TABLE": "items"}},
                "Timeout": 30,
            }
            for handler in handlers
        }
        self.code: dict[str, bytes] = {}
        self.versions: dict[str, list[str]] = {name: ["1"] for name in self.functions}
        self.aliases: dict[str, dict[str, str]] = {name: {"live": "1", "staging": "1"} for name in self.functions}
        self._count = 1

    def get_paginator(self, _: str) -> FakeLambda:
        return self

    def paginate(self) -> Iterator[dict[str, Any]]:
        yield {"Functions": list(self.functions.values())}

    def update_function_code(self, *, FunctionName: str, ZipFile: bytes) -> None:
        self.code[FunctionName] = ZipFile

    def update_function_configuration(self, *, FunctionName: str, **settings: Any) -> None:
        self.functions[FunctionName] |= settings

    def publish_version(self, *, FunctionName: str) -> dict[str, str]:
        self._count += 1
        self.versions[FunctionName].append(str(self._count))
        return {"Version": str(self._count)}

    def list_aliases(self, *, FunctionName: str) -> dict[str, Any]:
        return {"Aliases": [{"Name": name} for name in self.aliases[FunctionName]]}

    def update_alias(self, *, FunctionName: str, Name: str, FunctionVersion: str) -> None:
        self.aliases[FunctionName][Name] = FunctionVersion

    def delete_function(self, *, FunctionName: str, Qualifier: str) -> None:
        self.versions[FunctionName].remove(Qualifier)


class FakeEmulator:
    region = "us-east-1"

    def __init__(self, client: FakeLambda) -> None:
        self._client = client

    def session(self) -> FakeEmulator:
        return self

    def client(self, _: str) -> FakeLambda:
        return self._client

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}


class Desk:
    """A project with one service, and the output of a watch."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runtime = root / "services" / "shop" / "runtime"
        self.runtime.mkdir(parents=True)
        for folder in (root / "services", root / "services" / "shop", self.runtime):
            (folder / "__init__.py").touch()
        self.save("api.py", API)
        self.save("worker.py", API)
        self.client = FakeLambda("services.shop.runtime.api.handler", "services.shop.runtime.worker.handler")
        self.said: list[str] = []
        emulator: Any = FakeEmulator(self.client)
        self.watch = Watch(emulator, "dev", "shop", root, self.said.append)

    def save(self, name: str, text: str) -> None:
        (self.runtime / name).write_text(text, encoding="utf-8")

    def update(self) -> bool:
        return self.watch.update(self.watch.functions())

    def live(self, function: str, file: str = "services/shop/runtime/api.py") -> str:
        with zipfile.ZipFile(io.BytesIO(self.client.code[function])) as archive:
            return archive.read(file).decode()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(logs, "follow", lambda *_, **__: iter(()))
    return Desk(tmp_path)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.05)


def test_saved_code_goes_live_in_every_function(desk: Desk) -> None:
    assert desk.update()

    assert desk.live("dev-api") == desk.live("dev-worker") == API
    assert desk.client.aliases == {
        "dev-api": {"live": "2", "staging": "2"},
        "dev-worker": {"live": "3", "staging": "3"},
    }


def test_code_that_cannot_be_imported_is_shown(desk: Desk) -> None:
    desk.save("logic.py", "\n\nraise ValueError('odd')\n")
    desk.save("api.py", f"from services.shop.runtime import logic\n{API}")

    assert not desk.update()

    assert "services.shop.runtime.api cannot be imported" in desk.said[0]
    assert 'logic.py", line 3' in desk.said[0]
    assert desk.said[0].endswith("ValueError: odd")
    assert "importlib" not in desk.said[0]


@pytest.mark.parametrize(
    "text", ["def broken(:\n", "import nowhere\n", "import os\nos.environ['ABSENT']\n", "raise SystemExit(3)\n"]
)
def test_code_that_cannot_be_imported_is_not_deployed(desk: Desk, text: str) -> None:
    desk.save("worker.py", text)

    assert not desk.update()
    assert desk.client.code == {}
    assert desk.client.aliases["dev-worker"] == {"live": "1", "staging": "1"}


def test_an_import_that_kills_its_process_is_shown(desk: Desk) -> None:
    desk.save("api.py", "import os\nos._exit(7)\n")

    assert not desk.update()
    assert desk.said[0] == "the import ended with 7"


def test_only_the_last_version_of_a_watch_is_kept(desk: Desk) -> None:
    desk.update()
    desk.update()

    assert desk.client.versions == {"dev-api": ["1", "4"], "dev-worker": ["1", "5"]}


def test_a_save_goes_live_while_watched(desk: Desk) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=lambda: desk.watch.run(stop=stop))
    thread.start()
    try:
        wait_for(lambda: any(line.startswith("watching") for line in desk.said))
        # The watcher starts after it has printed this: save until it notices
        changed = f"{API}# changed\n"

        def seen() -> bool:
            desk.save("api.py", changed)
            time.sleep(0.3)
            return desk.live("dev-api") == changed

        wait_for(seen)
    finally:
        stop.set()
        thread.join()

    assert any(line == "saved api.py" for line in desk.said)


def test_a_debugger_can_be_attached_and_ends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    stop.set()
    seen: list[dict[str, Any]] = []
    update = desk.watch.update

    def note(functions: list[WatchedFunction]) -> bool:
        seen.append(dict(desk.client.functions["dev-api"]))
        return update(functions)

    monkeypatch.setattr(desk.watch, "update", note)

    desk.watch.run(debug="api", port=5999, stop=stop)

    (during,) = seen
    assert (during["Handler"], during["Timeout"]) == ("debugged.handler", 900)
    variables = during["Environment"]["Variables"]
    assert variables["SLIPWAY_DEBUGGED"] == "services.shop.runtime.api.handler"
    assert (variables["SLIPWAY_DEBUG_PORT"], variables["TABLE"]) == ("5999", "items")
    assert desk.client.functions["dev-api"]["Handler"] == "services.shop.runtime.api.handler"
    assert desk.client.functions["dev-api"]["Environment"] == {"Variables": {"TABLE": "items"}}
    assert desk.client.aliases["dev-api"]["live"] == desk.client.versions["dev-api"][-1]


def test_a_missing_function_is_named(desk: Desk) -> None:
    with pytest.raises(RehearsalError, match="shop has no function 'web'; choose from api, worker"):
        desk.watch.run(debug="web")


def test_an_undeployed_service_is_reported_with_a_fix(desk: Desk) -> None:
    desk.client.functions.clear()

    with pytest.raises(RehearsalError, match="shop is not deployed in dev: run `make up` first"):
        desk.watch.functions()
