"""What a pack of one's own is: rules over the synthesized templates, beside those of cdk-nag over the constructs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class SynthesizedStack:
    """A stack as it lies in the assembly."""

    path: str
    """Path of its construct, such as `Pipeline/prod-<service>/Data`."""
    template: Path


@dataclass(frozen=True)
class Breach:
    """A rule that a stack breaks."""

    rule: str
    """Id of the rule, `<pack>-<name>`; with `[<finding>]` where each is accepted by itself."""
    description: str
    fix: str
    stack: str
    """Path of the stack's construct."""
    template: Path
    logical_id: str | None = None
    """The resource. Default: the stack as a whole."""


class OwnPack(Protocol):
    """Rules of a project's own. cdk-nag's `NagPack` takes rules written in JavaScript alone."""

    @property
    def name(self) -> str:
        """What its rules' ids begin with, and what acknowledgements are qualified with."""

    def blind(self) -> Iterable[str]:
        """Rules that find nothing in a stack that breaks them. With any of them the pack does not count as run."""

    def judge(self, stacks: Sequence[SynthesizedStack]) -> Iterable[Breach]:
        """What the stacks break, in a fixed order.

        Args:
            stacks: those that this pack judges.
        """
