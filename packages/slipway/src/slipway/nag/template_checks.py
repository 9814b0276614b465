"""Run CDK's own template checks in a separate process.

Their engine takes a second to start and as long again to check the templates of one app, all of it in the single thread
of jsii's Node. In its own process it starts while the app is built, and checks while the packs run.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TextIO, cast

from slipway.process import start_worker


class TemplateChecksError(Exception):
    """The checks did not complete."""


@dataclass(frozen=True)
class CheckedTemplate:
    """A template to check.

    Args:
        stack: Path of the stack's construct.
        template: Path of the file.
        account: Account of the stack. Default: only known at deployment.
        region: Region of the stack. Default: only known at deployment.
    """

    stack: str
    template: str
    account: str | None = None
    region: str | None = None


class TemplateChecks:
    """The separate process. It starts immediately, and ends with this one."""

    def __init__(self) -> None:
        # The same import path as this process.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._asked = 0
        command = [sys.executable, "-O", "-m", f"{__package__}.template_engine"]
        self._process = start_worker(command, environment=environment)

    @property
    def running(self) -> bool:
        """True until the process ended."""
        return self._process.poll() is None

    def start(self, templates: Sequence[CheckedTemplate]) -> int:
        """Request the checks of some templates.

        Returns:
            The question, to be passed to `result`.

        Raises:
            TemplateChecksError: The process has ended.
        """
        self._asked += 1
        question = {"question": self._asked, "templates": [vars(template) for template in templates]}
        try:
            self._stdin.write(json.dumps(question) + "\n")
            self._stdin.flush()
        except OSError as error:
            raise TemplateChecksError(self._ended()) from error
        return self._asked

    def result(self, question: int) -> Mapping[str, Any]:
        """Wait for the answer to a request; earlier answers are dropped.

        Args:
            question: Result of `start`.

        Returns:
            The engine's `version`, `success`, and `violations` in the order of the checks, as keyword arguments of
            CDK's classes.

        Raises:
            TemplateChecksError: The checks failed, or the process has ended.
        """
        while line := self._stdout.readline():
            answer: Mapping[str, Any] = json.loads(line)
            if answer["question"] != question:
                continue
            if "error" in answer:
                raise TemplateChecksError(f"CDK's checks of the templates failed: {answer['error']}")
            return answer
        raise TemplateChecksError(self._ended())

    def stop(self) -> None:
        """End the process; pending requests get no answer."""
        self._process.terminate()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()

    def _ended(self) -> str:
        return f"the process of CDK's checks of the templates ended with {self._process.wait()}; its log is above"

    @property
    def _stdin(self) -> TextIO:
        return cast("TextIO", self._process.stdin)

    @property
    def _stdout(self) -> TextIO:
        return cast("TextIO", self._process.stdout)
