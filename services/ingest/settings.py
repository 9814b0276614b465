"""Settings of `ingest`: the table `services.ingest` of each environment's file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from slipway.settings.model import (
    ApiTraffic,
    Capacity,
    PerSecond,
    QueueReaderSettings,
    RestServiceSettings,
    StageCache,
    UsagePlan,
)


class IngestTraffic(ApiTraffic):
    """Traffic expected of `ingest`."""

    processor_invocations_per_second: PerSecond
    """Invocations: one per job."""
    worker_invocations_per_second: PerSecond
    """Invocations: one per batch of a job's records."""


class IngestSettings(RestServiceSettings):
    """Settings of `ingest`."""

    capacity: Capacity
    traffic: IngestTraffic
    usage_plan: UsagePlan
    stage_cache: StageCache | None = None
    record_hours: Annotated[int, Field(ge=1, le=8_760)] = 24
    """Hours that a record is kept."""
    processor: QueueReaderSettings
    worker: QueueReaderSettings
