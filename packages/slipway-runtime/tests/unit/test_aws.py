from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from slipway_runtime import aws


@pytest.mark.requirement("retries", "a REST method that waits longer than 29 s")
def test_worst_call_ends_well_below_30_seconds() -> None:
    config: Any = aws.client("dynamodb").meta.config
    assert config.retries == {"mode": "adaptive", "total_max_attempts": 3}
    longest = 3 * (config.connect_timeout + config.read_timeout) + 2 * 4
    assert longest <= 20


def test_a_client_is_created_once() -> None:
    assert aws.client("s3") is aws.client("s3")
    assert aws.client("dynamodb", attempts=1) is not aws.client("dynamodb")


def test_temporary_credentials_can_be_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []

    def fetch() -> dict[str, str]:
        fetched.append(1)
        return {
            "access_key": "key",
            "secret_key": f"secret {len(fetched)}",
            "token": "token",
            "expiry_time": (datetime.now(UTC) + timedelta(hours=6)).isoformat(),
        }

    credentials = RefreshableCredentials.create_from_metadata(fetch(), refresh_using=fetch, method="container-role")
    aws._session.cache_clear()
    monkeypatch.setattr(aws._session(), "_credentials", credentials)
    assert credentials.get_frozen_credentials().secret_key == "secret 1"

    aws.forget_credentials()

    assert "secret 1" not in map(str, vars(credentials).values())
    assert credentials.get_frozen_credentials().secret_key == "secret 2"


def test_permanent_credentials_are_kept() -> None:
    aws.client("sqs")

    aws.forget_credentials()
