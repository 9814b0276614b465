"""`AWS::CloudWatch::CompositeAlarm`: an alarm on the states of others.

The rule's syntax:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html. The page gives no
precedence of operators; as usual, NOT binds before AND, and AND before OR.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput

from slipway.cloudwatch.alarm import AlarmState
from slipway.cloudwatch.errors import AlarmError

_GRAMMAR = r"""
?start: either
?either: both ("OR" both)*
?both: inverse ("AND" inverse)*
?inverse: "NOT" inverse -> negation
    | atom
?atom: STATE "(" name ")" -> condition
    | "TRUE" -> always
    | "FALSE" -> never
    | "(" either ")"
name: QUOTED | BARE

STATE: "ALARM" | "OK" | "INSUFFICIENT_DATA"
QUOTED: /"[^"]+"/
BARE: /[^\s()"]+/
%import common.WS
%ignore WS
"""

_ARN = ":alarm:"

States = Mapping[str, AlarmState]
_Rule = Callable[[States], bool]


@dataclass(frozen=True)
class CompositeAlarm:
    """A composite alarm.

    Args:
        name: For messages, and for other composite alarms.
        rule: The rule's text.
        alarms: Names of the alarms that the rule refers to.
    """

    name: str
    rule: str
    alarms: frozenset[str]
    _holds: _Rule

    @classmethod
    def from_template(cls, properties: Mapping[str, Any], *, name: str = "") -> CompositeAlarm:
        """Read the properties of an `AWS::CloudWatch::CompositeAlarm`, with every reference resolved.

        Args:
            properties: Only `AlarmName` and `AlarmRule` count; actions and their suppression do not affect the state.
            name: Its name if it has no `AlarmName`.

        Raises:
            AlarmError: The rule is missing or cannot be parsed.
        """
        called = str(properties.get("AlarmName") or name or "a composite alarm")
        rule = properties.get("AlarmRule")
        if not isinstance(rule, str):
            raise AlarmError(f"{called}: AlarmRule is {json.dumps(rule)}, not an expression")
        compiler = _Compiler()
        try:
            holds = compiler.transform(_parser().parse(rule))
        except UnexpectedInput as error:
            near = rule[error.pos_in_stream :][:20]
            raise AlarmError(
                f"{called}: AlarmRule {rule!r} cannot be parsed at {near!r}: it may contain ALARM(…), OK(…), "
                "INSUFFICIENT_DATA(…), TRUE, FALSE, AND, OR, NOT and parentheses"
            ) from None
        return cls(called, rule, frozenset(compiler.alarms), holds)

    def evaluate(self, states: States) -> AlarmState:
        """Return ALARM if the rule holds, else OK.

        Args:
            states: States of the alarms that the rule refers to, by name. An ARN in the rule stands for the name at its
                end.

        Raises:
            AlarmError: The rule refers to an alarm without a state.
        """
        if strangers := self.alarms - states.keys():
            raise AlarmError(f"{self.name}: the rule refers to {', '.join(sorted(strangers))}, which does not exist")
        return AlarmState.ALARM if self._holds(states) else AlarmState.OK


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


@v_args(inline=True)
class _Compiler(Transformer[Token, _Rule]):
    """Compiler from the syntax tree of a rule to a function that evaluates it."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms: set[str] = set()

    def name(self, token: Token) -> str:
        text = str(token).strip('"')
        # A name has no colons, but an ARN does.
        name = text.partition(_ARN)[2] if text.startswith("arn:") and _ARN in text else text
        self.alarms.add(name)
        return name

    def condition(self, token: Token, name: str) -> _Rule:
        wanted = AlarmState(str(token))
        return lambda states: states[name] is wanted

    def always(self) -> _Rule:
        return lambda _: True

    def never(self) -> _Rule:
        return lambda _: False

    def negation(self, rule: _Rule) -> _Rule:
        return lambda states: not rule(states)

    def both(self, *rules: _Rule) -> _Rule:
        return lambda states: all(rule(states) for rule in rules)

    def either(self, *rules: _Rule) -> _Rule:
        return lambda states: any(rule(states) for rule in rules)
