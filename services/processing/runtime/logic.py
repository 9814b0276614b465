"""Business logic of requests, independent of HTTP and Lambda."""

import base64
import binascii
import re
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4, uuid5

from services.processing.runtime.errors import (
    InvalidCursorError,
    KeyReusedError,
    RecordNotFoundError,
    ResultLostError,
)
from services.processing.runtime.jobs import Jobs
from services.processing.runtime.model import Job, JobStatus, Record, Status, digest_of
from services.processing.runtime.storage import DynamoDBRecordStorage, S3ResultStorage
from slipway_runtime.clock import Clock, instant, now
from slipway_runtime.exact_json import dumps
from slipway_runtime.uploads import UploadForm, UploadForms

# Ids derived from a caller and a key have their own namespace.
_NAMESPACE: Final = UUID("0d3e5a1c-3a63-4d53-9a39-0f1a4d3a8b11")
RESULT_LOST: Final = "its result no longer exists"
_RECENCY: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z#[0-9a-f-]{36}", re.ASCII)


class Upload(NamedTuple):
    """A form, and the id of what is uploaded with it."""

    id: str
    form: UploadForm


class JobState(NamedTuple):
    """A job as its owner sees it, as JSON, and whether its result was lost."""

    document: str
    result_lost: bool


class Processing:
    """Validates and accepts data, and returns callers' own records.

    Args:
        records: Store of records.
        results: Store of results.
        jobs: Accepts jobs.
        uploads: Creates upload forms.
        days: Days that records and results are kept.
        clock: Returns the current time. Default: the system clock.
    """

    def __init__(
        self,
        *,
        records: DynamoDBRecordStorage,
        results: S3ResultStorage,
        jobs: Jobs,
        uploads: UploadForms,
        days: int,
        clock: Clock = now,
    ) -> None:
        self._records = records
        self._results = results
        self._jobs = jobs
        self._uploads = uploads
        self._lifetime = timedelta(days=days)
        self._clock = clock

    @property
    def content_types(self) -> tuple[str, ...]:
        """The media types that may be uploaded."""
        return tuple(self._uploads.content_types)

    @property
    def max_upload_bytes(self) -> int:
        """Size of the largest upload."""
        return self._uploads.max_bytes

    def validated(self, owner: str, data: str) -> Record:
        """Record that data of this owner, JSON text, was found valid."""
        record = self._new(owner, str(uuid4()), Status.VALIDATED, digest_of(data))
        self._records.create(record, now=self._now())
        return record

    def accept(self, owner: str, data: str, *, key: str | None) -> Record:
        """Record data and send it to the worker. Once this returns, the job cannot be lost.

        The record is stored first, so that the worker always finds it. A failure between the two leaves a pending
        record that nobody refers to, and which expires; with a key, the caller's next attempt finds it and sends the
        job. A job that is sent twice takes effect once.

        Args:
            owner: The owner.
            data: Valid data, as canonical JSON text.
            key: The caller's name for this request: requests of one owner under one key are one job.

        Raises:
            KeyReusedError: The key was used for other data.
        """
        record_id = str(uuid4() if key is None else uuid5(_NAMESPACE, f"{owner}\n{key}"))
        record = self._new(owner, record_id, Status.PENDING, digest_of(data))
        existing = self._records.create(record, now=self._now())
        if existing is not None:
            if existing.digest != record.digest:
                raise KeyReusedError
            record = existing
        if record.status is Status.PENDING:
            self._jobs.send(Job(owner, record.id, data))
        return record

    def job(self, owner: str, record_id: str) -> JobState:
        """Return a job of this owner, with its result once it exists.

        A lost result never returns, so the job is reported as failed. Its record does not change: a version that looks
        in the wrong place must not fail jobs for good.

        Raises:
            RecordNotFoundError: The owner has no job with this id.
        """
        record = self._records.get(owner, record_id, now=self._now())
        if record is None or record.status is Status.VALIDATED:
            raise RecordNotFoundError
        if record.status is not Status.PROCESSED:
            return JobState(dumps(record.document()), result_lost=False)
        try:
            result = self._results.get(record.id)
        except ResultLostError:
            failed = {"status": JobStatus.FAILED.value, "reason": RESULT_LOST, "result": None}
            return JobState(dumps(record.document() | failed), result_lost=True)
        return JobState(f'{dumps(record.document())[:-1]},"result":{result}}}', result_lost=False)

    def newest(self, owner: str, status: Status, *, limit: int, cursor: str | None) -> str:
        """Return a page of this owner's records of a status, newest first, as JSON with the cursor of the next page.

        A cursor is a position in the owner's own records. It needs no signature: a forged one, or another owner's,
        leads to another position in the same records.

        Raises:
            InvalidCursorError: It is not a cursor.
        """
        before = None if cursor is None else _recency(cursor)
        page = self._records.page(owner, status, limit=limit, before=before, now=self._now())
        following = None if page.before is None else _cursor(page.before)
        return dumps({"results": [record.document() for record in page.records], "next_cursor": following})

    def upload(self, owner: str, content_type: str) -> Upload:
        """Return a form with which the owner uploads one object, under the owner's prefix."""
        upload_id = str(uuid4())
        return Upload(upload_id, self._uploads.make(f"uploads/{owner}/{upload_id}", content_type))

    def _new(self, owner: str, record_id: str, status: Status, digest: str) -> Record:
        moment = self._clock()
        created_at = instant(moment)
        return Record(
            id=record_id,
            owner=owner,
            status=status,
            created_at=created_at,
            updated_at=created_at,
            digest=digest,
            expires_at=int((moment + self._lifetime).timestamp()),
        )

    def _now(self) -> int:
        return int(self._clock().timestamp())


def upper(value: Any) -> Any:
    """Return a parsed JSON value with its strings in upper case, at any depth; keys stay unchanged.

    Unicode's full mapping: `ß` becomes `SS`, combining characters stay with their letters.
    """
    if isinstance(value, str):
        return value.upper()
    if isinstance(value, list):
        return [upper(element) for element in value]
    if isinstance(value, dict):
        return {key: upper(element) for key, element in value.items()}
    return value


def _cursor(recency: str) -> str:
    return base64.urlsafe_b64encode(recency.encode()).rstrip(b"=").decode()


def _recency(cursor: str) -> str:
    try:
        text = base64.b64decode(f"{cursor}{'=' * (-len(cursor) % 4)}", altchars=b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        raise InvalidCursorError from None
    if not _RECENCY.fullmatch(text):
        raise InvalidCursorError
    return text
