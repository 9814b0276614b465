"""`ingest` has the same outcome if it is killed at any write, any number of times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.runtime import logic
from services.ingest.runtime.model import JobStatus, RecordStatus
from services.ingest.tests.unit.fakes import OWNER, Killed, Service

Kill = tuple[bool, int]
"""Whether the kill comes before or after a write, and how many writes later."""

kills = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=12)


def killed_sometimes(service: Service, left: list[Kill], run: object) -> None:
    """Run something until it was not killed; each run may be killed again."""
    while True:
        service.fate.before = service.fate.after = None
        if left:
            before, writes = left.pop()
            service.fate.before, service.fate.after = (writes, None) if before else (None, writes)
        try:
            run()  # type: ignore[operator]
        except Killed:
            continue
        finally:
            service.fate.before = service.fate.after = None
        return


@pytest.fixture(scope="module", autouse=True)
def small_batches() -> Iterator[None]:
    """Split jobs with few records into several batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logic, "BATCH_RECORDS", 3)
        yield


@pytest.mark.requirement("ingest: background jobs")
@settings(max_examples=60, deadline=None)
@given(
    records=st.integers(0, 12),
    late=st.integers(0, 4),
    jobs=st.integers(1, 3),
    left=kills,
    order=st.randoms(use_true_random=False),
)
def test_every_record_and_job_completes_once(
    records: int, late: int, jobs: int, left: list[Kill], order: object
) -> None:
    # Given pending records, and several jobs for them
    service = Service()
    first = [service.records.create(OWNER, f"record {number}").id for number in range(records)]
    started = [service.jobs.start(OWNER).id for _ in range(jobs)]
    messages = service.job_queue.take()

    # When planning and work are killed at random writes, and their messages arrive again, in any order and some twice
    for message in messages:
        killed_sometimes(service, left, lambda message=message: service.plan(message))
    for number in range(late):
        service.records.create(OWNER, f"late {number}")
    work = service.work_queue.take()
    order.shuffle(work)  # type: ignore[attr-defined]
    for start in range(0, len(work), 4):
        batch = work[start : start + 4]
        killed_sometimes(service, left, lambda batch=batch: service.work(batch))
    service.work(work[::2])

    # Then every record is completed exactly once
    assert all(service.record(record).status is RecordStatus.COMPLETED for record in first)
    assert service.storage.finished == Counter(first)
    for job_id in started:
        job = service.job(job_id)
        assert job.status(service.jobs.second()) is JobStatus.COMPLETED
        assert (job.total, job.completed, job.failed, job.open) == (records, records, 0, frozenset())
    assert not service.dead_letters.sent
