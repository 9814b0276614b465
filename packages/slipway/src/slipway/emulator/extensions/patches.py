"""Replace functions of the emulator, and refuse to start one whose functions aren't the expected ones."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


class UnknownEmulatorError(RuntimeError):
    """The emulator isn't the version that these modules were written for."""


def wrap(owner: Any, name: str, replacement: Callable[..., Any], *parameters: str) -> None:
    """Replace a function of the emulator by one that receives the original as its first argument.

    Args:
        owner: Module, class or dictionary that holds the function.
        name: Its name there.
        replacement: Called with the original and the call's own arguments.
        parameters: Names of the original's parameters, in order.

    Raises:
        UnknownEmulatorError: The function doesn't exist, or its parameters differ.
    """
    where = f"{getattr(owner, '__name__', 'the table of handlers')}.{name}"
    original = owner.get(name) if isinstance(owner, dict) else getattr(owner, name, None)
    if original is None:
        raise UnknownEmulatorError(
            f"{where} doesn't exist; adapt slipway.emulator.extensions to this version of the emulator"
        )
    found = tuple(inspect.signature(original).parameters)
    if found != parameters:
        raise UnknownEmulatorError(
            f"{where} takes ({', '.join(found)}), not ({', '.join(parameters)}): adapt slipway.emulator.extensions"
        )

    @functools.wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        return replacement(original, *arguments, **named)

    if isinstance(owner, dict):
        owner[name] = wrapped
    else:
        setattr(owner, name, wrapped)
