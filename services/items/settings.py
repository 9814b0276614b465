"""Settings of `items`: the table `services.items` of each environment's file."""

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


class ItemsTraffic(ApiTraffic):
    """Traffic expected of `items`."""

    stream_invocations_per_second: PerSecond
    """The stream's reader is invoked per creation, or per batch if many arrive at once."""


class ItemsSettings(RestServiceSettings):
    """Settings of `items`."""

    capacity: Capacity
    traffic: ItemsTraffic
    stream: FunctionSettings
    geo: Geo
    custom_domain: CustomDomain | None = None
