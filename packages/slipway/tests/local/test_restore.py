"""Restoring on an emulated account: a table and a bucket as of a moment, next to the present ones."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

import specimen
from local.bare import Account, emulated_account
from slipway.delivery.names import log_bucket_name
from slipway.restore.command import check_resources, copy_name, data_of, remove_copies, restore_resources
from slipway.restore.tables import RestoreError

ENVIRONMENT, SERVICE = specimen.PROD, "catalog"
STACK = f"{ENVIRONMENT.name}-{SERVICE}-data"
BUCKET = "catalog-data"


account = emulated_account(ENVIRONMENT.account, ENVIRONMENT.region)


def _table(**more: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            **more,
        },
    }


def _bucket(name: str) -> dict[str, Any]:
    rule = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    encryption = {"ServerSideEncryptionConfiguration": [rule]}
    versioning = {"Status": "Enabled"}
    properties = {"BucketName": name, "VersioningConfiguration": versioning, "BucketEncryption": encryption}
    return {"Type": "AWS::S3::Bucket", "Properties": properties}


@pytest.fixture(scope="module")
def resources(account: Account) -> list[tuple[str, str]]:
    """Return the data stack's table and bucket as the verb finds them; a bucket of access logs exists too."""
    recovery = {"PointInTimeRecoveryEnabled": True}
    template = {
        "Resources": {
            "Items": _table(PointInTimeRecoverySpecification=recovery),
            "Bucket": _bucket(BUCKET),
            "Logs": _bucket(log_bucket_name(ENVIRONMENT, SERVICE)),
        }
    }
    formation = account.client("cloudformation")
    formation.create_stack(StackName=STACK, TemplateBody=json.dumps(template))
    formation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    return data_of(account.emulator.session(), ENVIRONMENT, SERVICE)


def _item(name: str, value: str) -> dict[str, Any]:
    return {"id": {"S": name}, "value": {"S": value}, "tags": {"SS": ["b", "a"]}}


def _second() -> None:
    """Wait for the next second, since S3 reports a version's time in whole seconds."""
    time.sleep(1.1)


@pytest.fixture(scope="module")
def moment(account: Account, resources: list[tuple[str, str]]) -> datetime:
    """Return a moment after which items and objects were added, changed and deleted by every kind of write."""
    table = dict(resources)["AWS::DynamoDB::Table"]
    items, storage = account.client("dynamodb"), account.client("s3")
    for name in ("same", "changed", "updated", "gone", "transacted"):
        items.put_item(TableName=table, Item=_item(name, "then"))
        storage.put_object(Bucket=BUCKET, Key=f"{name}.txt", Body=f"{name} then".encode())
    _second()
    found = datetime.now(UTC)
    _second()
    items.put_item(TableName=table, Item=_item("changed", "now"))
    items.put_item(TableName=table, Item=_item("changed", "now, again"))
    items.update_item(
        TableName=table,
        Key={"id": {"S": "updated"}},
        UpdateExpression="SET #v = :v",
        ExpressionAttributeNames={"#v": "value"},
        ExpressionAttributeValues={":v": {"S": "now"}},
    )
    items.delete_item(TableName=table, Key={"id": {"S": "gone"}})
    items.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": _item("added", "now")}}]})
    items.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": _item("transacted", "now")}}])
    storage.put_object(Bucket=BUCKET, Key="changed.txt", Body=b"changed now")
    storage.delete_object(Bucket=BUCKET, Key="gone.txt")
    storage.put_object(Bucket=BUCKET, Key="added.txt", Body=b"added now")
    return found


def _restored(account: Account, resources: list[tuple[str, str]], moment: datetime) -> dict[str, Any]:
    session = account.emulator.session()
    check_resources(session, resources, moment)
    copies = restore_resources(session, resources, moment, console=Console(file=io.StringIO()), poll_seconds=0.1)
    return {each.source: each for each in copies}


def test_the_log_bucket_is_not_restored(resources: list[tuple[str, str]]) -> None:
    assert [name for kind, name in resources if kind == "AWS::S3::Bucket"] == [BUCKET]


def test_data_is_restored_into_copies_and_compared(
    account: Account, resources: list[tuple[str, str]], moment: datetime
) -> None:
    # When table and bucket are restored
    copies = _restored(account, resources, moment)
    table = dict(resources)["AWS::DynamoDB::Table"]
    try:
        # Then each difference from the present is reported
        items = copies[table]
        assert (items.present, items.restored) == (5, 5)
        assert (items.added, items.removed) == ((1, ("added",)), (1, ("gone",)))
        assert items.changed == (3, ("changed", "transacted", "updated"))
        objects = copies[BUCKET]
        assert (objects.present, objects.restored) == (5, 5)
        assert (objects.added, objects.removed) == ((1, ("added.txt",)), (1, ("gone.txt",)))
        assert objects.changed == (1, ("changed.txt",))
        # And the copies have the content of that moment
        found = account.client("dynamodb").scan(TableName=items.copy)["Items"]
        assert {each["id"]["S"]: each["value"]["S"] for each in found} == dict.fromkeys(
            ("same", "changed", "updated", "gone", "transacted"), "then"
        )
        storage = account.client("s3")
        assert storage.get_object(Bucket=objects.copy, Key="gone.txt")["Body"].read() == b"gone then"
        assert storage.get_object(Bucket=objects.copy, Key="changed.txt")["Body"].read() == b"changed then"
        # And the originals are unchanged
        assert storage.get_object(Bucket=BUCKET, Key="changed.txt")["Body"].read() == b"changed now"
    finally:
        remove_copies(account.emulator.session(), resources, moment)
    with pytest.raises(ClientError):
        account.client("dynamodb").describe_table(TableName=copy_name(table, "AWS::DynamoDB::Table", moment))


def test_a_moment_before_the_window_is_refused(
    account: Account, resources: list[tuple[str, str]], moment: datetime
) -> None:
    with pytest.raises(RestoreError, match="can be restored to a time from"):
        check_resources(account.emulator.session(), resources, moment - timedelta(days=40))


def test_a_table_without_recovery_is_refused(account: Account) -> None:
    properties = _table()["Properties"]
    client = account.client("dynamodb")
    client.create_table(TableName="plain", **properties)
    with pytest.raises(RestoreError, match="no point-in-time recovery"):
        check_resources(account.emulator.session(), [("AWS::DynamoDB::Table", "plain")], datetime.now(UTC))
    with pytest.raises(ClientError, match="PointInTimeRecoveryUnavailable"):
        client.restore_table_to_point_in_time(
            SourceTableName="plain", TargetTableName="copy", UseLatestRestorableTime=True
        )
