"""Manual approvals: ask for them, and receive the answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import uuid4

POLL_SECONDS = 0.2


class ApprovalAnswer(StrEnum):
    """Answer to a request for approval."""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    TIMED_OUT = "TimedOut"


@dataclass
class Pending:
    """A pending approval."""

    stage: str
    action: str
    comment: str
    link: str
    token: str = field(default_factory=lambda: str(uuid4()))
    answer: ApprovalAnswer | None = None
    summary: str = ""
    """Comment of the person who answered."""


Ask = Callable[[Pending], ApprovalAnswer | None]
"""Asks the person at the terminal, without waiting long; None without an answer."""


class Approvals:
    """The approvals of an execution.

    Args:
        ask: Asks a person. An answer may also come through CodePipeline's API (`make approve`).
        stopping: Set when everything must stop.
    """

    def __init__(self, ask: Ask, stopping: threading.Event) -> None:
        self._ask, self._stopping = ask, stopping
        self._lock = threading.Lock()
        self._pending: dict[str, Pending] = {}

    def wait(self, pending: Pending, *, while_: Callable[[], bool] = lambda: True) -> ApprovalAnswer | None:
        """Wait for an answer.

        Args:
            pending: The approval.
            while_: Returns True while the approval is still wanted. Default: until it is answered.

        Returns:
            The answer; None if it is no longer wanted, or if everything must stop.
        """
        with self._lock:
            self._pending[pending.token] = pending
        try:
            while not self._stopping.is_set() and while_():
                answer = pending.answer or self._ask(pending)
                if answer is not None:
                    return answer
                self._stopping.wait(POLL_SECONDS)
            return None
        finally:
            with self._lock:
                self._pending.pop(pending.token, None)

    def waiting(self) -> list[Pending]:
        """Return the pending approvals."""
        with self._lock:
            return list(self._pending.values())

    def answer(self, token: str, answer: ApprovalAnswer, summary: str) -> bool:
        """Answer an approval, and return True if one with the token was pending. Only the first answer counts."""
        with self._lock:
            pending = self._pending.get(token)
            if pending is None or pending.answer is not None:
                return False
            # The waiting process only reads the answer.
            pending.summary, pending.answer = summary, answer
            return True
