"""Send jobs to the worker by asynchronous invocations, which Lambda stores and retries."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from services.processing.runtime.errors import ForeignMessageError
from services.processing.runtime.model import Job

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class Jobs(Protocol):
    """Accepts jobs to be processed later."""

    def send(self, job: Job) -> None:
        """Send a job; after this returns, the job will run, once or more often."""
        ...


class LambdaJobs:
    """Jobs as events of a Lambda function.

    Args:
        client: Makes the client of Lambda at the first job; the same one each time.
        function_arn: ARN of the worker's alias.
    """

    def __init__(self, client: "Callable[[], LambdaClient]", function_arn: str) -> None:
        self._client = client
        self._function_arn = function_arn

    def send(self, job: Job) -> None:
        """Queue the event; Lambda has stored it durably when it answers."""
        # Without ASCII escapes: an event is limited to 1 MB, and so is the message of a failed one.
        payload = json.dumps(job._asdict(), ensure_ascii=False).encode()
        self._client().invoke(FunctionName=self._function_arn, InvocationType="Event", Payload=payload)


def job_of(event: Mapping[str, Any]) -> Job:
    """Return the job in an event.

    Raises:
        ForeignMessageError: The event is not ours.
    """
    if not isinstance(event, dict) or set(event) != set(Job._fields):
        raise ForeignMessageError("the event does not have the members of a job")
    if not all(isinstance(value, str) and value for value in event.values()):
        raise ForeignMessageError("a member of the event is not text")
    return Job(**event)
