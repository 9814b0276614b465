"""The service's exceptions. `routes` maps each to an answer."""

from services.items.runtime.model import Item


class ItemNotFoundError(Exception):
    """No item has this id."""


class VersionMismatchError(Exception):
    """The item has changed since the caller read it."""


class ItemExistsError(Exception):
    """Another request created an item with this id.

    Args:
        item: The current item.
        made_by: The request that created it.
    """

    def __init__(self, item: Item, made_by: str) -> None:
        super().__init__(item.id)
        self.item = item
        self.made_by = made_by


class KeyReusedError(Exception):
    """An `Idempotency-Key` was reused for a different request."""


class CreationInProgressError(Exception):
    """Another request with the same `Idempotency-Key` is in progress."""


class InvalidCursorError(Exception):
    """A cursor that this service did not issue, or issued for another filter."""
