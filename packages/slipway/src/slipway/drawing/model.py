"""Data of the picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action of a stage.

    Args:
        name: CodePipeline's name. The part before the last dot says where the action runs, the rest what it does.
        detail: Details shown where there is more room, such as provider and account.
        status: CodePipeline's status. Default: it was not played.
    """

    name: str
    detail: str = ""
    status: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage.

    Args:
        name: CodePipeline's name.
        rows: Its actions in the order in which they run; those of a row run side by side.
        before: Conditions before it is entered, one line each.
        after: Conditions and actions after it has ended, one line each.
        status: CodePipeline's status. Default: it was not played.
    """

    name: str
    rows: tuple[tuple[Action, ...], ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    status: str = ""
