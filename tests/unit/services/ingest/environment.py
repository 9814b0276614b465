"""The environment variables of the functions of `ingest`, set before their modules are imported."""

import os

# Those that every service has come first.
from tests.unit.services import environment  # noqa: F401

QUEUE = "https://sqs.us-east-1.amazonaws.com/111111111111/"

os.environ.update(
    {
        "JOBS_TABLE_NAME": "jobs",
        "JOB_QUEUE_URL": f"{QUEUE}jobs",
        "WORK_QUEUE_URL": f"{QUEUE}work",
        "QUEUE_URL": f"{QUEUE}inbox",
        "DEAD_LETTER_QUEUE_URL": f"{QUEUE}dead-letters",
        "MAX_RECEIVES": "4",
        "RECORD_HOURS": "24",
        "DEADLINE_SECONDS": "21600",
    }
)
