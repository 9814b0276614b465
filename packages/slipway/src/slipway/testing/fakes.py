"""In-memory fakes that functions of several services use: Powertools' records, secrets, a monotonic clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord

from slipway.testing.functions import client_error


class MemoryPersistence(BasePersistenceLayer):
    """Powertools' records in a dict, with the conditions of its DynamoDB layer."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.records: dict[str, DataRecord] = {}
        self.failure: Exception | None = None
        # Called once the record in progress is written: for events while a request is processed.
        self.meanwhile: Callable[[], None] | None = None

    def _get_record(self, idempotency_key: str) -> DataRecord:
        try:
            return self.records[idempotency_key]
        except KeyError:
            raise IdempotencyItemNotFoundError from None

    def _put_record(self, data_record: DataRecord) -> None:
        if self.failure:
            raise self.failure
        old = self.records.get(data_record.idempotency_key)
        if old is not None and not self._lapsed(old):
            self._validate_payload(data_record, old)
            raise IdempotencyItemAlreadyExistsError(old_data_record=old)
        self.records[data_record.idempotency_key] = data_record
        if self.meanwhile:
            self.meanwhile()

    def _update_record(self, data_record: DataRecord) -> None:
        self.records[data_record.idempotency_key] = data_record

    def _delete_record(self, data_record: DataRecord) -> None:
        del self.records[data_record.idempotency_key]

    @staticmethod
    def _lapsed(record: DataRecord) -> bool:
        now = datetime.now(UTC).timestamp()
        if (record.expiry_timestamp or 0) < now:
            return True
        in_progress = record.in_progress_expiry_timestamp
        return record.status == "INPROGRESS" and in_progress is not None and in_progress < now * 1000


class FakeSecretsManager:
    """Secrets Manager with the values of one secret's stages; counts the requests for them.

    Args:
        field_name: Name of the value in the secret's JSON object.
        stages: Stage → value.
    """

    class meta:  # noqa: N801 - Powertools marks the clients it is given
        """The client's metadata."""

        class events:  # noqa: N801
            """Accepts hooks, and never calls them."""

            @staticmethod
            def register(*_: object, **__: object) -> None:
                """Do nothing."""

            unregister = register
            register_first = register

    def __init__(self, field_name: str, **stages: str) -> None:
        self.field = field_name
        self.stages = stages
        self.calls: list[str] = []
        self.away = False

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, str]:  # noqa: ARG002, N803
        """Return a stage's value, as AWS does."""
        self.calls.append(VersionStage)
        if self.away:
            raise client_error("InternalServiceError", "GetSecretValue")
        if VersionStage not in self.stages:
            raise client_error("ResourceNotFoundException", "GetSecretValue")
        return {"SecretString": json.dumps({self.field: self.stages[VersionStage]})}


class Ticks:
    """A monotonic clock that stands still until it is moved, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now
