"""A DynamoDB client with one table in memory: the calls and expressions that the storage makes, and no others.

Like the service it says which item made a condition fail, and ends an index's answer early once it is large.
"""

from decimal import Context, Decimal, Inexact
from typing import Any

from botocore.exceptions import ClientError

Attributes = dict[str, Any]


_HELD = Context(prec=38, traps=[Inexact])


def _as_held(value: Any) -> Any:
    """The same with numbers as a table gives them back: normalised, and written out in full."""
    if isinstance(value, dict):
        if isinstance(number := value.get("N"), str):
            return {"N": f"{Decimal(number).normalize(_HELD):f}"}
        return {key: _as_held(element) for key, element in value.items()}
    return [_as_held(element) for element in value] if isinstance(value, list) else value


class ConditionalCheckFailedException(ClientError):  # noqa: N818 - botocore's name
    """As botocore makes it, with the item that was found."""

    def __init__(self, operation: str, item: Attributes | None) -> None:
        response: dict[str, Any] = {"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}}
        if item:
            response["Item"] = item
        super().__init__(response, operation)  # type: ignore[arg-type]


class _Exceptions:
    ConditionalCheckFailedException = ConditionalCheckFailedException


class FakeDynamoDB:
    exceptions = _Exceptions

    def __init__(self, *, most_items: int = 1000) -> None:
        self.table: dict[str, Attributes] = {}
        # How many items fit into 1 MB.
        self.most_items = most_items
        # Whether the next write is carried out and its answer lost, so that botocore sends it again.
        self.lose_answer = False
        self.queries = 0
        self.items_read = 0

    def get_item(self, **call: Any) -> dict[str, Any]:
        item = self.table.get(call["Key"]["id"]["S"])
        return {"Item": dict(item)} if item else {}

    def put_item(self, **call: Any) -> dict[str, Any]:
        assert call["ConditionExpression"] == "attribute_not_exists(id)"

        def write() -> dict[str, Any]:
            item_id = call["Item"]["id"]["S"]
            if item_id in self.table:
                raise ConditionalCheckFailedException("PutItem", self.table[item_id])
            self.table[item_id] = _as_held(call["Item"])
            return {}

        return self._write(write)

    def update_item(self, **call: Any) -> dict[str, Any]:
        def write() -> dict[str, Any]:
            item = self._of_version("UpdateItem", call)
            names = call["ExpressionAttributeNames"]
            values = call["ExpressionAttributeValues"]
            for assignment in call["UpdateExpression"].removeprefix("SET ").split(", "):
                name, value = assignment.split(" = ")
                if value == "version + :one":
                    item["version"] = {"N": str(int(item["version"]["N"]) + int(values[":one"]["N"]))}
                else:
                    item[names.get(name, name)] = _as_held(values[value])
            return {"Attributes": dict(item)}

        return self._write(write)

    def delete_item(self, **call: Any) -> dict[str, Any]:
        self._of_version("DeleteItem", call)
        del self.table[call["Key"]["id"]["S"]]
        return {}

    def query(self, **call: Any) -> dict[str, Any]:
        self.queries += 1
        assert call["ScanIndexForward"] is False
        key = {"by-recency": "shard", "by-status": "status_shard"}[call["IndexName"]]
        assert call["ExpressionAttributeNames"] == {"#shard": key}
        values = call["ExpressionAttributeValues"]
        before = values.get(":before", {"S": "~"})["S"]
        if "ExclusiveStartKey" in call:
            before = min(before, call["ExclusiveStartKey"]["recency"]["S"])
        found = sorted(
            (item for item in self.table.values() if item[key] == values[":shard"] and item["recency"]["S"] < before),
            key=lambda item: item["recency"]["S"],
            reverse=True,
        )
        page = found[: min(call["Limit"], self.most_items)]
        self.items_read += len(page)
        answer: dict[str, Any] = {"Items": page}
        # DynamoDB gives a key to go on from wherever it stopped, though nothing may follow.
        if len(page) < len(found) or len(page) == call["Limit"]:
            answer["LastEvaluatedKey"] = {"recency": page[-1]["recency"]}
        return answer

    def _of_version(self, operation: str, call: dict[str, Any]) -> Attributes:
        operands = call["ConditionExpression"].removeprefix("version IN (").removesuffix(")").split(", ")
        item = self.table.get(call["Key"]["id"]["S"])
        if item is None or item["version"] not in [call["ExpressionAttributeValues"][operand] for operand in operands]:
            raise ConditionalCheckFailedException(operation, dict(item) if item else None)
        return item

    def _write(self, write: Any) -> dict[str, Any]:
        if self.lose_answer:
            self.lose_answer = False
            write()
        answer: dict[str, Any] = write()
        return answer
