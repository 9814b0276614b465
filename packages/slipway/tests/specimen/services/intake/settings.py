"""Settings of `intake`."""

from __future__ import annotations

from slipway.settings.model import (
    ApiTraffic,
    Capacity,
    PerSecond,
    QueueReaderSettings,
    RestServiceSettings,
    StageCache,
    UsagePlan,
)


class IntakeTraffic(ApiTraffic):
    """Traffic expected of `intake`."""

    worker_invocations_per_second: PerSecond


class IntakeSettings(RestServiceSettings):
    """Settings of `intake`."""

    capacity: Capacity
    traffic: IntakeTraffic
    usage_plan: UsagePlan
    stage_cache: StageCache | None = None
    worker: QueueReaderSettings
