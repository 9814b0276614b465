"""Items in DynamoDB: conditions, indexes, and pages over shards."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from services.items.runtime.errors import ItemExistsError, ItemNotFoundError, VersionMismatchError
from services.items.runtime.model import SHARDS, Item, ItemFields, shard_of
from services.items.runtime.storage import DynamoDBHealthProbe, DynamoDBItemStorage
from tests.unit.services.fake_dynamodb import FakeDynamoDB


def item(number: int = 1, status: str = "draft") -> Item:
    instant = f"2026-01-01T00:00:{number // 1000:02}.{number % 1000:06}Z"
    return Item(
        id=f"item-{number}",
        name=str(number),
        description="",
        data={"price": Decimal("0.1"), "nested": [{"a": None}]},
        status=status,
        created_at=instant,
        updated_at=instant,
        version=1,
    )


FIELDS = ItemFields(name="new", description="d", data={}, status="active")


@pytest.fixture
def dynamodb() -> FakeDynamoDB:
    return FakeDynamoDB()


@pytest.fixture
def storage(dynamodb: FakeDynamoDB) -> DynamoDBItemStorage:
    return DynamoDBItemStorage(dynamodb, "items")  # type: ignore[arg-type]


def test_an_item_comes_back_as_it_was_kept(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    assert storage.get("item-1") == item()
    assert storage.get("item-2") is None


def test_it_stands_in_both_indexes(storage: DynamoDBItemStorage, dynamodb: FakeDynamoDB) -> None:
    storage.create(item(), made_by="a")
    kept = dynamodb.table["item-1"]
    shard = shard_of("item-1")
    assert kept["shard"] == {"S": shard}
    assert kept["status_shard"] == {"S": f"draft#{shard}"}
    assert kept["recency"] == {"S": "2026-01-01T00:00:00.000001Z#item-1"}


def test_an_id_is_taken_once(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    with pytest.raises(ItemExistsError) as caught:
        storage.create(replace(item(), name="other"), made_by="b")
    assert (caught.value.item, caught.value.made_by) == (item(), "a")


def test_the_same_request_finds_what_it_made(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    assert storage.create(replace(item(), created_at="later"), made_by="a") == item()


def test_a_replacement_moves_the_item_to_its_new_status(storage: DynamoDBItemStorage, dynamodb: FakeDynamoDB) -> None:
    storage.create(item(), made_by="a")
    replaced = storage.replace("item-1", FIELDS, version=1, updated_at="later")
    assert (replaced.name, replaced.version, replaced.created_at) == ("new", 2, item().created_at)
    assert dynamodb.table["item-1"]["status_shard"] == {"S": f"active#{shard_of('item-1')}"}
    assert storage.page(limit=5, before=None, status="draft").items == []
    assert storage.page(limit=5, before=None, status="active").items == [replaced]


def test_writes_over_another_version_are_refused(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    with pytest.raises(VersionMismatchError):
        storage.replace("item-1", FIELDS, version=2, updated_at="later")
    with pytest.raises(VersionMismatchError):
        storage.delete("item-1", version=2)
    assert storage.get("item-1") == item()


def test_writes_to_nothing_are_refused(storage: DynamoDBItemStorage) -> None:
    with pytest.raises(ItemNotFoundError):
        storage.replace("item-1", FIELDS, version=1, updated_at="later")
    with pytest.raises(ItemNotFoundError):
        storage.delete("item-1", version=1)


def test_a_write_whose_answer_was_lost_is_not_taken_for_another_writer_s(
    storage: DynamoDBItemStorage, dynamodb: FakeDynamoDB
) -> None:
    # Given a network that loses answers, so that botocore sends a write twice
    dynamodb.lose_answer = True
    assert storage.create(item(), made_by="a") == item()
    dynamodb.lose_answer = True
    # When the second finds the first's version
    replaced = storage.replace("item-1", FIELDS, version=1, updated_at="later")
    # Then it is known as our own
    assert replaced.version == 2


def test_a_deleted_item_is_gone(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    storage.delete("item-1", version=1)
    assert storage.get("item-1") is None


def test_ids_spread_over_all_shards() -> None:
    counted = Counter(shard_of(f"item-{number}") for number in range(4000))
    assert set(counted) == set(SHARDS)
    assert min(counted.values()) > 800


class TestPages:
    @pytest.fixture
    def items(self, storage: DynamoDBItemStorage) -> list[Item]:
        made = [item(number, "even" if number % 2 == 0 else "odd") for number in range(40)]
        for each in made:
            storage.create(each, made_by="a")
        return made[::-1]

    @pytest.mark.parametrize("most_items", [1, 2, 3, 1000])
    @pytest.mark.parametrize("limit", [1, 3, 7, 40, 100])
    def test_they_give_every_item_once_newest_first(
        self, storage: DynamoDBItemStorage, dynamodb: FakeDynamoDB, items: list[Item], limit: int, most_items: int
    ) -> None:
        # Given shards that answer with as much as fits, some with less than was asked for
        dynamodb.most_items = most_items
        # When all pages are read
        seen: list[Item] = []
        before = None
        for _ in range(100):
            page = storage.page(limit=limit, before=before, status=None)
            assert 0 < len(page.items) <= limit
            seen += page.items
            if not page.more:
                break
            before = page.items[-1].recency
        # Then nothing is missing, nothing comes twice, and the order is right
        assert seen == items

    def test_a_status_has_pages_of_its_own(self, storage: DynamoDBItemStorage, items: list[Item]) -> None:
        first = storage.page(limit=15, before=None, status="odd")
        rest = storage.page(limit=15, before=first.items[-1].recency, status="odd")
        assert [*first.items, *rest.items] == [each for each in items if each.status == "odd"]
        assert (first.more, rest.more) == (True, False)

    def test_a_page_asks_each_shard_once(
        self, storage: DynamoDBItemStorage, dynamodb: FakeDynamoDB, items: list[Item]
    ) -> None:
        storage.page(limit=5, before=None, status=None)
        assert dynamodb.queries == len(SHARDS)

    def test_nothing_is_an_empty_page(self, storage: DynamoDBItemStorage) -> None:
        assert storage.page(limit=5, before=None, status=None) == ([], False)


def test_the_probe_reads_a_key_that_no_item_has(dynamodb: FakeDynamoDB) -> None:
    DynamoDBHealthProbe(lambda: dynamodb, "items").check()  # type: ignore[arg-type, return-value]
    assert not dynamodb.table
