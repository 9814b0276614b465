"""A real browser for tests of pages: headless Chromium, told what to do over WebDriver by chromedriver.

Nothing of it is installed by this project: a machine without both skips the tests that need them (`why_not`).
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

_SECONDS = 60.0


def why_not() -> str:
    """What is missing for a browser; empty when nothing is."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"no browser to look with: {' and '.join(missing)} not installed" if missing else ""


class Browser:
    """One session. Every address but those of files, and of hosts that it is given, is looked up in vain.

    Args:
        client: speaks to the session at chromedriver.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def open(self, page: Path) -> None:
        """Open a file, and wait until it is loaded."""
        self._call("POST", "url", url=page.resolve().as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """The result of a script on the page, once it is there where it is promised."""
        return self._call("POST", "execute/sync", script=script, args=list(arguments))

    def screenshot(self) -> bytes:
        """What is seen now, as PNG."""
        return base64.b64decode(self._call("GET", "screenshot"))

    def printed(self) -> bytes:
        """The page on A4, as PDF."""
        return base64.b64decode(self._call("POST", "print", page={"width": 21.0, "height": 29.7}, shrinkToFit=False))

    def as_on(self, medium: str) -> None:
        """Lay the page out for another medium, `print`, or for `screen` again."""
        self._call("POST", "goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params={"media": medium})

    def errors(self) -> list[str]:
        """What the page complained of since it was asked last."""
        return [entry["message"] for entry in self._call("POST", "se/log", type="browser")]

    def requests(self) -> list[str]:
        """What was asked for since this was asked last, the pages themselves included."""
        entries = [
            json.loads(entry["message"])["message"] for entry in self._call("POST", "se/log", type="performance")
        ]
        return [
            entry["params"]["request"]["url"] for entry in entries if entry["method"] == "Network.requestWillBeSent"
        ]

    def _call(self, method: str, path: str, **content: Any) -> Any:
        answer = self._client.request(method, path, json=content if method == "POST" else None)
        assert answer.is_success, answer.text
        return answer.json()["value"]


@contextmanager
def browser(
    *,
    width: int,
    height: int,
    mobile: bool = False,
    dark: bool = False,
    reaches: Collection[str] = (),
    at: int | None = None,
) -> Iterator[Browser]:
    """A browser, closed at the end.

    Args:
        width: of the page, in CSS pixels.
        height: of the page, in CSS pixels.
        mobile: lay the page out as a phone does.
        dark: prefer a dark page.
        reaches: hosts that are found, all on this machine. Their certificates are not looked at.
        at: the port there of those that are named without one.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_SECONDS, trust_env=False) as client:
            _wait(client, driver)
            answer = client.post(
                "/session",
                json={"capabilities": {"alwaysMatch": _options(width, height, mobile, dark, _rules(reaches, at))}},
            )
            assert answer.is_success, answer.text
            client.base_url = httpx.URL(f"http://127.0.0.1:{port}/session/{answer.json()['value']['sessionId']}")
            try:
                yield Browser(client)
            finally:
                client.delete("")
    finally:
        # A browser that does not hear of its session's end would outlive its driver.
        left = psutil.Process(driver.pid).children(recursive=True)
        driver.terminate()
        driver.wait(timeout=_SECONDS)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=_SECONDS)


def _options(width: int, height: int, mobile: bool, dark: bool, rules: str) -> dict[str, Any]:
    arguments = [
        "--headless",
        # As root, as CI runs, Chromium refuses its sandbox; the page is our own.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        f"--host-resolver-rules={rules}",
        f"--window-size={width},{height}",
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
    ]
    emulation = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2, "touch": True, "mobile": True}}
    if "EXCLUDE" in rules or rules.count("MAP") > 1:
        arguments.append("--ignore-certificate-errors")
    options: dict[str, Any] = {"args": arguments, **({"mobileEmulation": emulation} if mobile else {})}
    return {
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }


def _rules(reaches: Collection[str], at: int | None) -> str:
    there = "127.0.0.1" if at is None else f"127.0.0.1:{at}"
    local = {"127.0.0.1", "localhost"} & set(reaches)
    found = [f"MAP {host} {there}" for host in sorted(set(reaches) - local)]
    return ",".join([*found, "MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in sorted(local))])


def _wait(client: httpx.Client, driver: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            if client.get("/status").json()["value"]["ready"]:
                return
        except httpx.TransportError:
            assert driver.poll() is None, "chromedriver ended"
            assert time.monotonic() < end, "chromedriver does not answer"
        time.sleep(0.05)
