"""Items in DynamoDB: conditions, indexes, and pages across shards."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest
from botocore.exceptions import ConnectionClosedError

from services.items.runtime.errors import ItemExistsError, ItemNotFoundError, VersionMismatchError
from services.items.runtime.model import Item, ItemFields
from services.items.runtime.storage import DynamoDBItemStorage
from services.items.tests.unit.fakes import account
from slipway.testing.in_process import InProcess
from slipway_runtime.shards import SHARDS, shard_of


def item(number: int = 1, status: str = "draft") -> Item:
    instant = f"2026-01-01T00:00:{number // 1000:02}.{number % 1000:06}Z"
    return Item(
        id=f"item-{number}",
        name=str(number),
        description="",
        data='{"nested":[{"a":null}],"price":0.1}',
        status=status,
        created_at=instant,
        updated_at=instant,
        version=1,
    )


FIELDS = ItemFields(name="new", description="d", data="{}", status="active")


@pytest.fixture
def aws() -> InProcess:
    return account()


@pytest.fixture
def storage(aws: InProcess) -> DynamoDBItemStorage:
    return DynamoDBItemStorage(aws.client("dynamodb"), "items")


def test_an_item_is_returned_as_stored(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    assert storage.get("item-1") == item()
    assert storage.get("item-2") is None


@pytest.mark.requirement("items: the item")
def test_an_item_is_in_both_indexes(storage: DynamoDBItemStorage, aws: InProcess) -> None:
    storage.create(item(), made_by="a")
    (kept,) = aws.items("items")
    shard = shard_of("item-1")
    assert kept["shard"] == {"S": shard}
    assert kept["status_shard"] == {"S": f"draft#{shard}"}
    assert kept["recency"] == {"S": "2026-01-01T00:00:00.000001Z#item-1"}


def test_an_id_can_be_used_once(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    with pytest.raises(ItemExistsError) as caught:
        storage.create(replace(item(), name="other"), made_by="b")
    assert (caught.value.item, caught.value.made_by) == (item(), "a")


def test_a_repeated_request_finds_its_item(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    assert storage.create(replace(item(), created_at="later"), made_by="a") == item()


def test_a_replacement_moves_the_item_to_its_new_status(storage: DynamoDBItemStorage, aws: InProcess) -> None:
    storage.create(item(), made_by="a")
    replaced = storage.replace("item-1", FIELDS, versions=[1], updated_at="later")
    assert (replaced.name, replaced.version, replaced.created_at) == ("new", 2, item().created_at)
    assert aws.items("items")[0]["status_shard"] == {"S": f"active#{shard_of('item-1')}"}
    assert list(storage.newest(about=5, before=None, status="draft")) == []
    assert list(storage.newest(about=5, before=None, status="active")) == [replaced]


def test_any_of_several_versions_is_replaced(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    assert storage.replace("item-1", FIELDS, versions=[7, 1], updated_at="later").version == 2
    storage.delete("item-1", versions=[1, 2])
    assert storage.get("item-1") is None


def test_data_that_was_stored_as_a_map_is_read(storage: DynamoDBItemStorage, aws: InProcess) -> None:
    storage.create(item(), made_by="a")
    nested = {"L": [{"M": {"a": {"NULL": True}}}]}
    (kept,) = aws.items("items")
    kept["data"] = {"M": {"price": {"N": "0.1"}, "nested": nested}}
    aws.client("dynamodb").put_item(TableName="items", Item=kept)
    assert storage.get("item-1") == item()


def test_writes_over_another_version_are_refused(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    with pytest.raises(VersionMismatchError):
        storage.replace("item-1", FIELDS, versions=[2], updated_at="later")
    with pytest.raises(VersionMismatchError):
        storage.delete("item-1", versions=[2])
    assert storage.get("item-1") == item()


def test_writes_to_missing_items_are_refused(storage: DynamoDBItemStorage) -> None:
    with pytest.raises(ItemNotFoundError):
        storage.replace("item-1", FIELDS, versions=[1], updated_at="later")
    with pytest.raises(ItemNotFoundError):
        storage.delete("item-1", versions=[1])


def test_write_with_lost_answer_is_recognised_as_ours(storage: DynamoDBItemStorage, aws: InProcess) -> None:
    # Given a network that loses the first answer to each kind of write, so that botocore sends it twice
    def lose(operation: str) -> None:
        if aws.calls.count(operation) == 1:
            raise ConnectionClosedError(endpoint_url="https://dynamodb.us-east-1.amazonaws.com")

    aws.after = lose
    assert storage.create(item(), made_by="a") == item()
    # When the second attempt finds the first one's version
    replaced = storage.replace("item-1", FIELDS, versions=[1], updated_at="later")
    # Then it is recognised as our own
    assert replaced.version == 2
    assert (aws.calls.count("PutItem"), aws.calls.count("UpdateItem")) == (2, 2)


def test_a_deleted_item_is_not_found(storage: DynamoDBItemStorage) -> None:
    storage.create(item(), made_by="a")
    storage.delete("item-1", versions=[1])
    assert storage.get("item-1") is None


@pytest.mark.requirement("items: the item")
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

    @pytest.mark.parametrize("most_items", [2, 1000])
    @pytest.mark.parametrize("about", [1, 7, 100])
    def test_pages_return_every_item_once_newest_first(
        self, storage: DynamoDBItemStorage, aws: InProcess, items: list[Item], about: int, most_items: int
    ) -> None:
        # Given shards that return as much as fits, some less than requested
        aws.most_items = most_items
        # Then every item is returned once, in the right order, from any starting point
        for start in range(0, 40, 7):
            before = items[start - 1].recency if start else None
            assert list(storage.newest(about=about, before=before, status=None)) == items[start:]

    def test_a_status_has_its_own_list(self, storage: DynamoDBItemStorage, items: list[Item]) -> None:
        odd = [each for each in items if each.status == "odd"]
        assert list(storage.newest(about=15, before=None, status="odd")) == odd

    @pytest.mark.parametrize("taken", [1, 2, 10, 20])
    def test_little_more_is_read_than_returned(
        self, storage: DynamoDBItemStorage, aws: InProcess, items: list[Item], taken: int
    ) -> None:
        # When a page and one more item are read
        assert len(list(islice(storage.newest(about=taken, before=None, status=None), taken + 1))) == taken + 1
        # Then each shard was queried for its part, and once more if that was used up
        assert aws.calls.count("Query") <= 2 * len(SHARDS)

    def test_an_empty_table_has_no_items(self, storage: DynamoDBItemStorage) -> None:
        assert list(storage.newest(about=5, before=None, status=None)) == []
