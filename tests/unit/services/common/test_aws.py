from typing import Any

from slipway_runtime import aws
from tests.unit.services import environment  # noqa: F401 - the region of the clients


def test_the_worst_call_ends_well_below_the_function_s_30_seconds() -> None:
    config: Any = aws.client("dynamodb").meta.config
    assert config.retries == {"mode": "adaptive", "total_max_attempts": 3}
    longest = 3 * (config.connect_timeout + config.read_timeout) + 2 * 4
    assert longest <= 20


def test_a_client_is_made_once() -> None:
    assert aws.client("s3") is aws.client("s3")
    assert aws.client("dynamodb", attempts=1) is not aws.client("dynamodb")
