"""The pack of our own rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from config import Settings
from gates.nag.names import OWN_PACK
from gates.nag.own import Breach, SynthesizedStack
from gates.packs import environment_of
from gates.rules import assets, delivery, names, observation, outputs, permissions, stateful
from gates.rules.model import Found, Rule, Stack, Templates
from gates.rules.planted import planted

RULES: Sequence[Rule] = (
    *stateful.RULES,
    *delivery.RULES,
    *observation.RULES,
    *permissions.RULES,
    *names.RULES,
    *assets.RULES,
    *outputs.RULES,
)
"""Every rule of our own."""


class SlipwayRules:
    """Our own rules, for `gates.nag.packs.register`.

    Args:
        settings: all of `config/`: what is retained and protected where is configured.
        runbooks: folder of the runbooks that alarms link to.
        rules: the rules. Default: all of them.
    """

    def __init__(self, settings: Settings, runbooks: Path, rules: Sequence[Rule] = RULES) -> None:
        self._settings = settings
        self._runbooks = frozenset(path.stem for path in runbooks.glob("*.md"))
        self._rules = rules

    @property
    def name(self) -> str:
        """What the rules' ids begin with."""
        return OWN_PACK

    def blind(self) -> Iterator[str]:
        """Rules that do not see the fault that is planted for them."""
        templates = planted(self._settings)
        for rule in self._rules:
            if not any(True for _ in rule.check(templates)):
                yield _identifier(rule)

    def judge(self, stacks: Sequence[SynthesizedStack]) -> Iterator[Breach]:
        """What the stacks break, rule by rule."""
        templates = Templates(tuple(self._read(stacks)), self._runbooks)
        for rule in self._rules:
            for found in dict.fromkeys(rule.check(templates)):
                yield _breach(rule, found)

    def _read(self, stacks: Iterable[SynthesizedStack]) -> Iterator[Stack]:
        for stack in sorted(stacks, key=lambda each: each.path):
            properties = _properties(stack.template)
            environment = environment_of(self._settings, stack.path)
            yield Stack(
                path=stack.path,
                name=str(properties.get("stackName", stack.template.name.partition(".")[0])),
                template=stack.template,
                body=json.loads(stack.template.read_text(encoding="utf-8")),
                place=environment or self._settings.pipeline,
                environment=environment.name if environment else None,
                termination_protection=bool(properties.get("terminationProtection", False)),
            )


def _identifier(rule: Rule) -> str:
    return f"{OWN_PACK}-{rule.name}"


def _breach(rule: Rule, found: Found) -> Breach:
    return Breach(
        rule=_identifier(rule) + (f"[{found.finding}]" if found.finding else ""),
        description=rule.says,
        fix=rule.fix,
        stack=found.stack.path,
        template=found.stack.template,
        logical_id=found.logical_id,
    )


def _properties(template: Path) -> dict[str, Any]:
    """What the manifest beside a template says of its stack."""
    manifest = json.loads((template.parent / "manifest.json").read_text(encoding="utf-8"))
    for artifact in manifest["artifacts"].values():
        properties: dict[str, Any] = artifact.get("properties", {})
        if properties.get("templateFile") == template.name:
            return properties
    return {}
