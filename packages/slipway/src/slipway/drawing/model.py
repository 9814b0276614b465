"""What the picture shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action of a stage.

    Args:
        name: as CodePipeline has it; what comes before its last dot is where, the rest is what.
        detail: what is told of it where there is more room, such as provider and account.
        status: how it ended, in CodePipeline's words. Default: it was not played.
    """

    name: str
    detail: str = ""
    status: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage.

    Args:
        name: as CodePipeline has it.
        rows: its actions in the order in which they run; those of a row run side by side.
        before: what is asked before it is entered, a line each.
        after: what is asked, or done, when its actions have ended, a line each.
        status: how it ended, in CodePipeline's words. Default: it was not played.
    """

    name: str
    rows: tuple[tuple[Action, ...], ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    status: str = ""
