"""Dead letters as they are shown."""

from io import StringIO
from uuid import uuid4

from rich.console import Console

from services.ingest.redrive import report
from services.ingest.runtime.model import UNANSWERED


def test_job_ids_stay_whole_without_a_terminal() -> None:
    table, job, written = report(), str(uuid4()), StringIO()
    table.add_row("WorkQueue", job, UNANSWERED)
    Console(file=written, width=80).print(table)
    assert job in written.getvalue()
