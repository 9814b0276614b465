"""Settings of `catalog`."""

from __future__ import annotations

from slipway.settings.model import (
    ApiTraffic,
    Capacity,
    CustomDomain,
    FunctionSettings,
    Geo,
    PerSecond,
    RestServiceSettings,
)


class CatalogTraffic(ApiTraffic):
    """Traffic expected of `catalog`."""

    stream_invocations_per_second: PerSecond


class CatalogSettings(RestServiceSettings):
    """Settings of `catalog`."""

    capacity: Capacity
    traffic: CatalogTraffic
    stream: FunctionSettings
    geo: Geo
    custom_domain: CustomDomain | None = None
