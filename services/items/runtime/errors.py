"""Errors of items, in the service's own words. `routes` maps each to an answer."""

from services.items.runtime.model import Item


class ItemNotFoundError(Exception):
    """No item has this id."""


class VersionMismatchError(Exception):
    """The item was written since its reader read it."""


class ItemExistsError(Exception):
    """Another request created an item with this id.

    Args:
        item: The item as it is now.
        made_by: Which request made it.
    """

    def __init__(self, item: Item, made_by: str) -> None:
        super().__init__(item.id)
        self.item = item
        self.made_by = made_by


class KeyReusedError(Exception):
    """An `Idempotency-Key` came again with another request."""


class CreationInProgressError(Exception):
    """Another request with the same `Idempotency-Key` is being worked on."""


class InvalidCursorError(Exception):
    """A cursor that this service did not give, or gave for another filter."""
