"""The pack of our own rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from slipway.gates.packs import environment_of
from slipway.nag.names import OWN_PACK
from slipway.nag.own import Breach, SynthesizedStack
from slipway.rules import assets, delivery, names, observation, outputs, permissions, reach, stateful
from slipway.rules.model import Rule, Stack, Templates
from slipway.rules.planted import planted
from slipway.rules.reading import breach, read_stacks
from slipway.settings import Environment, Settings
from slipway.settings.model import Traffic

RULES: Sequence[Rule] = (
    *stateful.RULES,
    *delivery.RULES,
    *reach.RULES,
    *observation.RULES,
    *permissions.RULES,
    *names.RULES,
    *assets.RULES,
    *outputs.RULES,
)
"""Every rule of our own."""


class SlipwayRules:
    """Our own rules, for `slipway.nag.packs.register`.

    Args:
        settings: All of `config/`, which configures retention and protection.
        runbooks: Folder of the runbooks that alarms link to.
        rules: The rules. Default: all of them.
    """

    def __init__(self, settings: Settings, runbooks: Path, rules: Sequence[Rule] = RULES) -> None:
        self._settings = settings
        self._runbooks = frozenset(path.stem for path in runbooks.glob("*.md"))
        self._rules = rules

    @property
    def name(self) -> str:
        """Return the prefix of the rules' ids."""
        return OWN_PACK

    def blind(self) -> Iterator[str]:
        """Yield the rules that miss their planted fault."""
        templates = planted(self._settings)
        for rule in self._rules:
            if not any(True for _ in rule.check(templates)):
                yield _identifier(rule)

    def judge(self, stacks: Sequence[SynthesizedStack]) -> Iterator[Breach]:
        """Yield the breaches of the stacks, rule by rule."""
        templates = Templates(tuple(self._placed(stack) for stack in read_stacks(stacks)), self._runbooks)
        for rule in self._rules:
            for found in dict.fromkeys(rule.check(templates)):
                yield breach(_identifier(rule), found, says=rule.says, fix=rule.fix)

    def _placed(self, stack: Stack) -> Stack:
        """Return the stack with the configuration of its environment."""
        environment = environment_of(self._settings, stack.path)
        return replace(
            stack,
            stateful=(environment or self._settings.pipeline).stateful,
            environment=environment.name if environment else None,
            rate=lambda function: _rate(environment, stack.path, function),
        )


def _rate(environment: Environment | None, path: str, function: str) -> float | None:
    """Return a function's configured invocations per second; None without a configuration."""
    prefix = f"{environment.name}-" if environment else ""
    stage = next((part for part in path.split("/") if prefix and part.startswith(prefix)), "")
    service = getattr(environment.services, stage.removeprefix(prefix), None) if environment else None
    traffic = getattr(service, "traffic", None)
    if not isinstance(traffic, Traffic):
        return None
    try:
        return traffic.of(function)
    except KeyError:
        return None


def _identifier(rule: Rule) -> str:
    return f"{OWN_PACK}-{rule.name}"
