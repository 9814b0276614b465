"""What the service does with items. It knows nothing of HTTP and nothing of DynamoDB."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4, uuid5

from aws_lambda_powertools.utilities.typing import LambdaContext

from services.common.exact_json import dumps
from services.items.runtime.cursor import Cursors
from services.items.runtime.errors import ItemExistsError, ItemNotFoundError, KeyReusedError
from services.items.runtime.idempotency import CreatedOnce, CreationRequest
from services.items.runtime.model import Item, ItemFields, instant
from services.items.runtime.storage import ItemStorage

# Ids made of a caller and a key are in a namespace of our own.
_NAMESPACE: Final = UUID("6f1c6c0e-6a0b-4d0e-9f64-2f4f4a9f2a55")
# Lambda answers with 6 MB at most, with quotes and other characters escaped once more. An item can be 256 KiB.
PAGE_BYTES: Final = 1024 * 1024


class Created(NamedTuple):
    """A created item: its id, its version, and its document as JSON."""

    id: str
    version: int
    body: str


class ItemService:
    """Creates, reads, lists, replaces and deletes items.

    Args:
        storage: Where items are kept.
        cursors: Writes and reads cursors.
        once: Runs keyed creations once.
        clock: The moment it is. Default: now.
    """

    def __init__(
        self,
        *,
        storage: ItemStorage,
        cursors: Cursors,
        once: CreatedOnce,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._storage = storage
        self._cursors = cursors
        self._once = once
        self._clock = clock

    def create(self, fields: ItemFields) -> Created:
        """Makes an item. Called twice, it makes two."""
        return self._create(str(uuid4()), fields, made_by=uuid4().hex)

    def create_once(self, fields: ItemFields, *, caller: str, key: str, context: LambdaContext) -> Created:
        """Makes one item for a caller and a key, however often it is called.

        The id follows from caller and key, and the write is conditional. So even where an invocation dies between the
        write and its record, the next finds the item instead of making a second.

        Raises:
            KeyReusedError: The key was used for another request.
            CreationInProgressError: The first request has not ended.
        """
        fingerprint = _fingerprint(fields)
        item_id = str(uuid5(_NAMESPACE, f"{caller}\n{key}"))

        def create() -> dict[str, Any]:
            try:
                return self._create(item_id, fields, made_by=fingerprint)._asdict()
            except ItemExistsError:
                raise KeyReusedError from None

        request = CreationRequest(caller=caller, key=key, fingerprint=fingerprint)
        return Created(**self._once.run(request, create, context))

    def get(self, item_id: str) -> Item:
        """The item; raises `ItemNotFoundError`."""
        item = self._storage.get(item_id)
        if item is None:
            raise ItemNotFoundError
        return item

    def replace(self, item_id: str, fields: ItemFields, *, version: int) -> Item:
        """Replaces an item of that version.

        Raises:
            ItemNotFoundError: There is no such item.
            VersionMismatchError: The item is of another version.
        """
        return self._storage.replace(item_id, fields, version=version, updated_at=instant(self._clock()))

    def delete(self, item_id: str, *, version: int) -> None:
        """Deletes an item of that version.

        Raises:
            ItemNotFoundError: There is no such item.
            VersionMismatchError: The item is of another version.
        """
        self._storage.delete(item_id, version=version)

    def newest(self, *, limit: int, cursor: str | None, status: str | None) -> str:
        """A page of items, newest first, as JSON with the cursor of the next page.

        A page can be shorter than `limit` although more follows: it holds at most 1 MiB.

        Raises:
            InvalidCursorError: Not one of ours, or made under another filter.
        """
        before = None if cursor is None else self._cursors.read(cursor, status)
        page = self._storage.page(limit=limit, before=before, status=status)
        documents: list[str] = []
        size, more = 0, page.more
        for item in page.items:
            document = dumps(item.document())
            size += len(document.encode())
            if documents and size > PAGE_BYTES:
                more = True
                break
            documents.append(document)
        following = self._cursors.write(page.items[len(documents) - 1].recency, status) if more else None
        return f'{{"items":[{",".join(documents)}],"next_cursor":{dumps(following)}}}'

    def _create(self, item_id: str, fields: ItemFields, *, made_by: str) -> Created:
        now = instant(self._clock())
        item = self._storage.create(
            Item(
                id=item_id,
                name=fields.name,
                description=fields.description,
                data=fields.data,
                status=fields.status,
                created_at=now,
                updated_at=now,
                version=1,
            ),
            made_by=made_by,
        )
        return Created(item.id, item.version, dumps(item.document()))


def _fingerprint(fields: ItemFields) -> str:
    content = dumps([fields.name, fields.description, fields.data, fields.status])
    return hashlib.sha256(content.encode()).hexdigest()
