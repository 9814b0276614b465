"""Items, and their positions in the indexes."""

from dataclasses import dataclass

from slipway_runtime.exact_json import dumps


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFields:
    """The part of an item that its writer sets.

    Attributes:
        data: A JSON object as canonical text. It is stored and returned unparsed, so the cost of a page depends only on
            its bytes, not on its number of values.
    """

    name: str
    description: str
    data: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(ItemFields):
    """An item as stored.

    Attributes:
        created_at: Time in UTC, ISO 8601 with microseconds and `Z`.
        updated_at: Instant of the last write, in the same form.
        version: 1 at creation, one more at every write. The `ETag` is this number.
    """

    id: str
    created_at: str
    updated_at: str
    version: int

    @property
    def recency(self) -> str:
        """Sort key of both indexes: the instant of creation, then the id, so that no two are equal."""
        return f"{self.created_at}#{self.id}"

    def document(self) -> str:
        """Return the item as clients see it, as JSON."""
        members = {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "status": self.status,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "version": self.version,
        }
        return f'{dumps(members)[:-1]},"data":{self.data}}}'
