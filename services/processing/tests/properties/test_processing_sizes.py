"""Nothing that follows from accepted data exceeds AWS's limits."""

import json

from hypothesis import given

from services.processing.runtime.jobs import LambdaJobs, job_of
from services.processing.runtime.logic import upper
from services.processing.tests.unit import fakes as processing
from slipway.testing.sizes import ANSWER_BYTES, ANY_SPEED, EVENT_BYTES, WORST, Recorder, Worst, carried
from slipway_runtime.exact_json import dumps, loads


@ANY_SPEED
@given(worst=WORST)
def test_a_job_and_its_result_fit(worst: Worst) -> None:
    # Given the largest data of some kind
    data = worst.written()
    api = processing.Harness().bind()
    accepted = api.post("/process", f'{{"data":{data}}}', Idempotency_Key="k" * 255)
    assert accepted.status in {202, 413}
    if accepted.status == 413:
        assert "e39" in data or "e-39" in data
        return
    # Then the event fits into an asynchronous invocation, and a failed one's message into its queue
    functions = Recorder()
    LambdaJobs(lambda: functions, "worker").send(job_of(json.loads(api.jobs.sent[0])))  # type: ignore[arg-type, return-value]
    assert len(functions.calls[0]["Payload"]) < EVENT_BYTES - 4096
    # And the result can be returned
    result = dumps(upper(loads(data)))
    answer = {"statusCode": 200, "body": f'{{"result":{result}}}'}
    assert carried(answer) < ANSWER_BYTES
