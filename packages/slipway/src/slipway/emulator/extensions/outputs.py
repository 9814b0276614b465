"""Read outputs of stacks in another region, as `Fn::GetStackOutput` with `Region` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core import responses
from ministack.services.cloudformation import engine

from slipway.emulator.extensions.patches import wrap

_CONTEXT = ("resources", "params", "conditions", "mappings", "stack_name", "stack_id")


def _resolve(original: Callable[..., Any], value: Any, *context: Any) -> Any:
    """Resolve a reference to a stack of another region there: the emulator only looks in its own region."""
    match value:
        case {"Fn::GetStackOutput": {"Region": str(region)}} if region != responses.get_region():
            here = responses._request_region.set(region)
            try:
                return original(value, *context)
            finally:
                responses._request_region.reset(here)
    return original(value, *context)


def install() -> None:
    """Make references between stacks work across regions."""
    wrap(engine, "_resolve_refs", _resolve, "value", *_CONTEXT)
