"""Enumerate the worlds of a change: every relevant combination of the deployment's decisions.

A condition on a parameter without a value, or on one read from Parameter Store, is unknown before the deployment. Both
sides of a change are deployed in the same world, so they are compared in each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slipway.review.assembly import Assembly, ReviewedStack
from slipway.review.patterns import OPEN
from slipway.review.values import FAILS, HOLDS, Choice, Values, World, readable

MOST = 32
"""Maximum number of worlds compared. If there are more, a selection is compared, and the review reports it."""


@dataclass(frozen=True, kw_only=True)
class Worlds:
    """Worlds that two assemblies are compared in.

    Args:
        worlds: The worlds, each with its choices; a single empty one without choices.
        choices: The choices.
        all_met: True if they include every combination.
    """

    worlds: Sequence[World]
    choices: Sequence[Choice] = ()
    all_met: bool = True

    def describe(self, world: World) -> str:
        """Return a description of a world.

        Args:
            world: One of the worlds.
        """
        return " and ".join(_described(choice, world[choice.symbol]) for choice in self.choices)


def worlds_of(before: Assembly, after: Assembly) -> Worlds:
    """Return the worlds in which the change from one assembly to another may differ.

    Args:
        before: The deployed assembly.
        after: The new assembly.
    """
    choices: dict[str, Choice] = {}
    for assembly, other in ((before, after), (after, before)):
        values = Values(assembly)
        for stack in _changed(assembly, other):
            values.of(stack).ask()
        for symbol, choice in values.choices.items():
            choices[symbol] = choices[symbol] | choice if symbol in choices else choice
    several = [choices[symbol] for symbol in sorted(choices)]
    number = math.prod(len(choice.outcomes) for choice in several)
    return Worlds(
        worlds=tuple(_all(several) if number <= MOST else _some(several)),
        choices=several,
        all_met=number <= MOST,
    )


def _changed(assembly: Assembly, other: Assembly) -> Iterator[ReviewedStack]:
    """Yield the stacks that contain choices and differ, or are nested in one that differs."""
    for stack in assembly.stacks:
        if not (stack.template.get("Conditions") or stack.template.get("Mappings")):
            continue
        if any(_differs(outer, other.by_key.get(outer.key)) for outer in assembly.lineage(stack)):
            yield stack


def _differs(stack: ReviewedStack, twin: ReviewedStack | None) -> bool:
    return twin is None or (stack is not twin and stack.template != twin.template)


def _all(choices: Sequence[Choice]) -> Iterator[World]:
    for outcomes in itertools.product(*(choice.outcomes for choice in choices)):
        yield {choice.symbol: outcome for choice, outcome in zip(choices, outcomes, strict=True)}


def _some(choices: Sequence[Choice]) -> Iterator[World]:
    """Yield worlds with equal outcomes of all choices, and worlds in which one choice differs from the rest."""
    several = [
        {choice.symbol: choice.outcomes[place % len(choice.outcomes)] for choice in choices}
        for place in range(max(len(choice.outcomes) for choice in choices))
    ]
    first = several[0]
    several += [{**first, choice.symbol: outcome} for choice in choices for outcome in choice.outcomes[1:]]
    yield from itertools.islice(several, MOST)


def _described(choice: Choice, outcome: str | None) -> str:
    symbol = readable(choice.symbol) if choice.symbol.startswith(OPEN) else f"({readable(choice.symbol)})"
    if choice.options == {HOLDS, FAILS} and not choice.otherwise:
        return f"{symbol} {'holds' if outcome == HOLDS else 'does not hold'}"
    if outcome is None:
        return f"{symbol} is not {' or '.join(sorted(choice.options))}"
    return f"{symbol} is {outcome}"
