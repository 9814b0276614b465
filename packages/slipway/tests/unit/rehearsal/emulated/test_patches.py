"""The emulator's functions are only replaced if they are the expected ones."""

from types import SimpleNamespace

import pytest

from slipway.emulator.extensions.patches import UnknownEmulatorError, wrap


def test_the_replacement_is_given_the_original() -> None:
    module = SimpleNamespace(__name__="module", double=lambda number: 2 * number)
    wrap(module, "double", lambda original, number: original(number) + 1, "number")
    assert module.double(3) == 7


def test_a_handler_in_a_table_is_replaced() -> None:
    table = {"create": lambda name: name}
    wrap(table, "create", lambda original, name: original(name).upper(), "name")
    assert table["create"]("a") == "A"


def test_two_replacements_call_each_other_in_order() -> None:
    module = SimpleNamespace(__name__="module", text=lambda word: word)
    wrap(module, "text", lambda original, word: original(word) + "1", "word")
    wrap(module, "text", lambda original, word: original(word) + "2", "word")
    assert module.text("a") == "a12"


def test_a_missing_function_is_refused() -> None:
    with pytest.raises(UnknownEmulatorError, match=r"module\.double doesn't exist"):
        wrap(SimpleNamespace(__name__="module"), "double", lambda original: original)


def test_a_function_with_other_parameters_is_refused() -> None:
    module = SimpleNamespace(__name__="module", double=lambda number, times: number * times)
    with pytest.raises(UnknownEmulatorError, match=r"takes \(number, times\), not \(number\)"):
        wrap(module, "double", lambda original: original, "number")
