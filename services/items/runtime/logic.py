"""Business logic of items, independent of HTTP."""

import hashlib
from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4, uuid5

from aws_lambda_powertools.utilities.typing import LambdaContext

from services.items.runtime.cursor import SignedCursors
from services.items.runtime.errors import ItemExistsError, ItemNotFoundError, KeyReusedError
from services.items.runtime.idempotency import CreatedOnce, Creation, CreationRequest
from services.items.runtime.model import Item, ItemFields
from services.items.runtime.storage import DynamoDBItemStorage
from slipway_runtime.clock import Clock, instant, now
from slipway_runtime.exact_json import dumps

# Ids derived from a caller and a key have their own namespace.
_NAMESPACE: Final = UUID("6f1c6c0e-6a0b-4d0e-9f64-2f4f4a9f2a55")
# Lambda answers with 6 MB at most, with quotes and other characters escaped once more. An item can be 256 KiB.
PAGE_BYTES: Final = 1024 * 1024


class ItemService:
    """Creates, reads, lists, replaces and deletes items.

    Args:
        storage: Store of items.
        cursors: Writes and reads cursors.
        once: Runs keyed creations once.
        clock: Returns the current time. Default: the system clock.
    """

    def __init__(
        self,
        *,
        storage: DynamoDBItemStorage,
        cursors: SignedCursors,
        once: CreatedOnce,
        clock: Clock = now,
    ) -> None:
        self._storage = storage
        self._cursors = cursors
        self._once = once
        self._clock = clock

    def create(self, fields: ItemFields) -> Item:
        """Create an item. Called twice, it creates two."""
        return self._create(str(uuid4()), fields, made_by=uuid4().hex)

    def create_once(self, fields: ItemFields, *, caller: str, key: str, context: LambdaContext) -> Item:
        """Create a single item for a caller and a key, however often it is called.

        The id is derived from caller and key, and the write is conditional. So even if an invocation ends between the
        write and its record, the next one finds the item instead of creating a second one.

        Returns:
            The item as it was created, even if it has changed since: a repeated request contains its fields again, so
            the record need not store them.

        Raises:
            KeyReusedError: The key was used for another request.
            CreationInProgressError: The first request has not ended.
        """
        fingerprint = _fingerprint(fields)
        item_id = str(uuid5(_NAMESPACE, f"{caller}\n{key}"))

        def create() -> Creation:
            try:
                item = self._create(item_id, fields, made_by=fingerprint)
            except ItemExistsError:
                raise KeyReusedError from None
            return Creation(id=item.id, version=1, created_at=item.created_at)

        request = CreationRequest(caller=caller, key=key, fingerprint=fingerprint)
        made = self._once.run(request, create, context)
        return _made(made["id"], fields, made["created_at"])

    def get(self, item_id: str) -> Item:
        """Return the item, or raise `ItemNotFoundError`."""
        item = self._storage.get(item_id)
        if item is None:
            raise ItemNotFoundError
        return item

    def replace(self, item_id: str, fields: ItemFields, *, versions: Sequence[int]) -> Item:
        """Replace an item that has one of these versions.

        Raises:
            ItemNotFoundError: The item does not exist.
            VersionMismatchError: The item has another version.
        """
        return self._storage.replace(item_id, fields, versions=versions, updated_at=instant(self._clock()))

    def delete(self, item_id: str, *, versions: Sequence[int]) -> None:
        """Delete an item that has one of these versions.

        Raises:
            ItemNotFoundError: The item does not exist.
            VersionMismatchError: The item has another version.
        """
        self._storage.delete(item_id, versions=versions)

    def newest(self, *, limit: int, cursor: str | None, status: str | None) -> str:
        """Return a page of items, newest first, as JSON with the cursor of the next page.

        A page can be shorter than `limit` even if more items follow: it contains at most 1 MiB, and no more is read.

        Raises:
            InvalidCursorError: It was not issued by this service, or under another filter.
        """
        before = None if cursor is None else self._cursors.read(cursor, status)
        documents: list[str] = []
        size, last, following = 0, "", None
        for item in self._storage.newest(about=limit, before=before, status=status):
            document = item.document()
            size += len(document.encode())
            if documents and (len(documents) == limit or size > PAGE_BYTES):
                following = self._cursors.write(last, status)
                break
            documents.append(document)
            last = item.recency
        return f'{{"items":[{",".join(documents)}],"next_cursor":{dumps(following)}}}'

    def _create(self, item_id: str, fields: ItemFields, *, made_by: str) -> Item:
        return self._storage.create(_made(item_id, fields, instant(self._clock())), made_by=made_by)


def _made(item_id: str, fields: ItemFields, at: str) -> Item:
    """Return a new item, in version 1."""
    return Item(
        id=item_id,
        name=fields.name,
        description=fields.description,
        data=fields.data,
        status=fields.status,
        created_at=at,
        updated_at=at,
        version=1,
    )


def _fingerprint(fields: ItemFields) -> str:
    content = dumps([fields.name, fields.description, fields.data, fields.status])
    return hashlib.sha256(content.encode()).hexdigest()
