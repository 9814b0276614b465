"""Settings of `sweep`."""

from __future__ import annotations

from slipway.settings.model import FunctionSettings, PerSecond, ServiceSettings, Traffic


class SweepTraffic(Traffic):
    """Traffic expected of `sweep`."""

    worker_invocations_per_second: PerSecond


class SweepSettings(ServiceSettings):
    """Settings of `sweep`."""

    traffic: SweepTraffic
    worker: FunctionSettings
