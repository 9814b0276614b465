"""Data of the picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action of a stage.

    Args:
        name: As CodePipeline has it; what comes before its last dot is where, the rest is what.
        detail: Details shown where there is more room, such as provider and account.
        status: How it ended, in CodePipeline's words. Default: it was not played.
    """

    name: str
    detail: str = ""
    status: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage.

    Args:
        name: As CodePipeline has it.
        rows: Its actions in the order in which they run; those of a row run side by side.
        before: What is asked before it is entered, a line each.
        after: What is asked, or done, when its actions have ended, a line each.
        status: How it ended, in CodePipeline's words. Default: it was not played.
    """

    name: str
    rows: tuple[tuple[Action, ...], ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    status: str = ""
