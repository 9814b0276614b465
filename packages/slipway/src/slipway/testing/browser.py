"""A real browser for tests of pages: headless Chromium, driven by Selenium.

`make browser` installs both on Debian. If they are missing, a test that needs them is skipped, except in CI, where it
fails. The pipeline's own build has no Debian packages: there such a test is skipped.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.print_page_options import PrintOptions

_SECONDS = 60.0
_A4_CM = (21.0, 29.7)


def why_not() -> str:
    """Return what a browser test lacks here; empty if nothing, or in CI, where no test may be skipped."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    in_ci = os.environ.get("CI") and not os.environ.get("CODEBUILD_BUILD_ID")
    if not missing or in_ci:
        return ""
    return f"no browser: {' and '.join(missing)} not installed; run `make browser`"


class Browser:
    """One session. Every host name that is not allowed fails to resolve.

    Args:
        driver: Selenium's driver of the session.
    """

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def open(self, page: Path) -> None:
        """Open a file, and wait until it is loaded."""
        self._driver.get(page.resolve().as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """Return the result of a script on the page; if the script returns a promise, wait for it."""
        return self._driver.execute_script(script, *arguments)

    def screenshot(self) -> bytes:
        """Return the visible part of the page as PNG."""
        return self._driver.get_screenshot_as_png()

    def printed(self) -> bytes:
        """Return the page on A4 as PDF."""
        options = PrintOptions()
        options.page_width, options.page_height = _A4_CM
        options.shrink_to_fit = False
        return base64.b64decode(self._driver.print_page(options))

    def as_on(self, medium: str) -> None:
        """Lay the page out for a medium: `print`, or `screen` to undo it."""
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium})

    def errors(self) -> list[str]:
        """Return the browser's log messages since the last call."""
        return [entry["message"] for entry in self._driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def requests(self) -> list[str]:
        """Return the addresses requested since the last call, the pages themselves included."""
        log = self._driver.get_log("performance")  # type: ignore[no-untyped-call]
        events = [json.loads(entry["message"])["message"] for entry in log]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


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
    """Yield a browser that is closed at the end.

    Args:
        width: Of the page, in CSS pixels.
        height: Of the page, in CSS pixels.
        mobile: Lay the page out as a phone does.
        dark: Prefer a dark page.
        reaches: Host names that resolve, all of them to this machine. Their certificates are not checked.
        at: Port of host names without one.
    """
    service = ChromeService(executable_path=shutil.which("chromedriver"))
    driver = Chrome(options=_options(width, height, mobile, dark, _rules(reaches, at)), service=service)
    driver.set_page_load_timeout(_SECONDS)
    driver.set_script_timeout(_SECONDS)
    left = psutil.Process(service.process.pid).children(recursive=True)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
        # A browser that isn't notified of its session's end would outlive its driver.
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=_SECONDS)


def _options(width: int, height: int, mobile: bool, dark: bool, rules: str) -> ChromeOptions:
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless",
        # As root, as CI runs, Chromium refuses its sandbox; the pages are our own.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        f"--host-resolver-rules={rules}",
        f"--window-size={width},{height}",
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
        *(["--ignore-certificate-errors"] if "EXCLUDE" in rules or rules.count("MAP") > 1 else []),
    ):
        options.add_argument(argument)
    if mobile:
        metrics = {"width": width, "height": height, "pixelRatio": 2, "touch": True, "mobile": True}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return options


def _rules(reaches: Collection[str], at: int | None) -> str:
    there = "127.0.0.1" if at is None else f"127.0.0.1:{at}"
    local = {"127.0.0.1", "localhost"} & set(reaches)
    found = [f"MAP {host} {there}" for host in sorted(set(reaches) - local)]
    return ",".join([*found, "MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in sorted(local))])
