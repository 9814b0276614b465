"""The worker's processing of a job."""

from services.processing.runtime.logic import upper
from services.processing.runtime.model import Job, Outcome, Status
from services.processing.runtime.storage import DynamoDBRecordStorage, S3ResultStorage
from slipway_runtime.clock import Clock, instant, now
from slipway_runtime.exact_json import dumps, loads


class Worker:
    """Processes jobs. A repeated job has no further effect, because its result depends only on its data.

    Args:
        records: Store of records.
        results: Store of results.
        clock: Returns the current time. Default: the system clock.
    """

    def __init__(
        self,
        *,
        records: DynamoDBRecordStorage,
        results: S3ResultStorage,
        clock: Clock = now,
    ) -> None:
        self._records = records
        self._results = results
        self._clock = clock

    def do(self, job: Job) -> Outcome:
        """Write the result of a job, and mark its record as processed.

        The result is written first: a record that says `processed` has one. For a job without a record, nothing is
        written: the API records before it sends, so such a job has expired or did not come from the API.
        """
        moment = self._clock()
        record = self._records.get(job.owner, job.id, now=int(moment.timestamp()))
        if record is None or record.status is Status.VALIDATED:
            return Outcome.UNKNOWN
        if record.status is Status.PROCESSED:
            return Outcome.DONE_BEFORE
        self._results.put(job.id, dumps(upper(loads(job.data))))
        done = self._records.complete(job.owner, job.id, updated_at=instant(moment))
        return Outcome.DONE if done else Outcome.DONE_BEFORE
