"""Interface of a custom pack, whose rules read synthesised templates, unlike cdk-nag's, which read constructs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class SynthesizedStack:
    """A stack in the assembly."""

    path: str
    """Path of its construct, such as `Pipeline/prod-<service>/Data`."""
    template: Path


@dataclass(frozen=True)
class Breach:
    """A rule that a stack breaks."""

    rule: str
    """Id of the rule, `<pack>-<name>`; with `[<finding>]` if findings are accepted one by one."""
    description: str
    fix: str
    stack: str
    """Path of the stack's construct."""
    template: Path
    logical_id: str | None = None
    """The resource. Default: the whole stack."""


class OwnPack(Protocol):
    """A project's own rules. cdk-nag's `NagPack` only accepts rules written in JavaScript."""

    @property
    def name(self) -> str:
        """Return the prefix of its rules' ids, which also qualifies acknowledgements."""

    def blind(self) -> Iterable[str]:
        """Return the rules that miss a planted violation. If there are any, the pack does not count as run."""

    def judge(self, stacks: Sequence[SynthesizedStack]) -> Iterable[Breach]:
        """Return the breaches of the stacks, in a fixed order.

        Args:
            stacks: The stacks that this pack judges.
        """
