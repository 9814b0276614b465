"""Syntax of metric math, as far as alarms use it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html. A function that is not supported
is an error that names it, when the alarm is read and not when it is evaluated.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput, VisitError

from slipway.cloudwatch.math_functions import FUNCTIONS
from slipway.cloudwatch.math_values import (
    Argument,
    Combine,
    EvaluationContext,
    MathError,
    Node,
    Text,
    Value,
    Word,
    binary,
    each_point,
    node_of,
    series_of,
)

_GRAMMAR = r"""
?start: either
?either: both (("OR" | "||") both)*
?both: comparison (("AND" | "&&") comparison)*
?comparison: sum (COMPARISON sum)*
?sum: product (SIGN product)*
?product: unary (FACTOR unary)*
?unary: SIGN unary -> signed
    | power
?power: atom ("^" unary)?
?atom: NUMBER -> number
    | ID -> identifier
    | STRING -> text
    | FUNCTION "(" [either ("," either)*] ")" -> call
    | FUNCTION -> word
    | "[" either ("," either)* "]" -> array
    | "(" either ")"

COMPARISON: "==" | "!=" | "<=" | ">=" | "<" | ">"
SIGN: "+" | "-"
FACTOR: "*" | "/"
ID: /[a-z][A-Za-z0-9_]*/
FUNCTION: /[A-Z][A-Z0-9_]*/
STRING: /"[^"]*"|'[^']*'/
%import common.NUMBER
%import common.WS
%ignore WS
"""

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Expression:
    """A parsed metric math expression.

    Args:
        text: Its text.
        ids: Ids of the metrics and expressions that it refers to.
    """

    text: str
    ids: frozenset[str]
    _compute: Node

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Parse an expression.

        Raises:
            MathError: It is not a valid expression, or uses a function that is not supported.
        """
        compiler = _Compiler()
        try:
            node = compiler.transform(_parser().parse(text))
        except UnexpectedInput as error:
            near = text[error.pos_in_stream :][:20]
            raise MathError(f"{text!r} cannot be parsed at {near!r}") from None
        except VisitError as error:
            if isinstance(error.orig_exc, MathError):
                raise MathError(f"{text!r}: {error.orig_exc}") from None
            raise
        if not callable(node):
            raise MathError(f"{text!r} is a word, not an expression")
        return cls(text, frozenset(compiler.ids), node)

    def evaluate(self, context: EvaluationContext) -> Value:
        """Compute the expression.

        Raises:
            MathError: A function got an unsuitable argument.
        """
        try:
            return self._compute(context)
        except MathError as error:
            raise MathError(f"{self.text!r}: {error}") from None


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


@v_args(inline=True)
class _Compiler(Transformer[Token, Any]):
    """Compiler from the syntax tree of an expression to its computation."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()

    def number(self, token: Token) -> Node:
        value = float(token)
        return lambda _: value

    def identifier(self, token: Token) -> Node:
        name = str(token)
        self.ids.add(name)
        return lambda context: context.metrics[name] if name in context.metrics else context.results[name]

    def text(self, token: Token) -> Text:
        return Text(str(token)[1:-1])

    def word(self, token: Token) -> Word:
        return Word(str(token))

    def array(self, *items: Argument) -> Node:
        nodes = [node_of(item) for item in items]
        return lambda context: [series for node in nodes for series in series_of(node(context), context)]

    def either(self, *items: Argument) -> Node:
        return _chain(items, lambda one, other: float(bool(one) or bool(other)))

    def both(self, *items: Argument) -> Node:
        return _chain(items, lambda one, other: float(bool(one) and bool(other)))

    def comparison(self, first: Argument, *rest: Any) -> Node:
        node = node_of(first)
        for sign, other in zip(rest[::2], rest[1::2], strict=True):
            node = binary(node, node_of(other), _comparing(_COMPARISONS[str(sign)]))
        return node

    def sum(self, first: Argument, *rest: Any) -> Node:
        node = node_of(first)
        for sign, other in zip(rest[::2], rest[1::2], strict=True):
            node = binary(node, node_of(other), operator.add if sign == "+" else operator.sub)
        return node

    def product(self, first: Argument, *rest: Any) -> Node:
        node = node_of(first)
        for sign, other in zip(rest[::2], rest[1::2], strict=True):
            node = binary(node, node_of(other), operator.mul if sign == "*" else _divide)
        return node

    def signed(self, sign: Token, item: Argument) -> Node:
        node = node_of(item)
        return node if sign == "+" else lambda context: each_point(node(context), operator.neg)

    def power(self, base: Argument, exponent: Argument) -> Node:
        return binary(node_of(base), node_of(exponent), _power)

    def call(self, token: Token, *arguments: Argument | None) -> Node:
        name = str(token)
        if name not in FUNCTIONS:
            raise MathError(f"the function {name} is not supported; {', '.join(FUNCTIONS)} are")
        given = [argument for argument in arguments if argument is not None]
        return FUNCTIONS[name](given)


def _chain(items: Sequence[Argument], combine: Combine) -> Node:
    node, *others = (node_of(item) for item in items)
    for other in others:
        node = binary(node, other, combine)
    return node


def _comparing(compare: Callable[[float, float], bool]) -> Combine:
    return lambda one, other: float(compare(one, other))


def _divide(one: float, other: float) -> float | None:
    """Return the quotient; None, and so no data point, for a division by zero."""
    return one / other if other else None


def _power(one: float, other: float) -> float | None:
    try:
        value = one**other
    except (OverflowError, ZeroDivisionError):
        return None
    return value if isinstance(value, float) else None
