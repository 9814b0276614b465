"""Settings of `studio`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from slipway.settings.model import ApiTraffic, Capacity, FunctionSettings, HttpServiceSettings, PerSecond, UserPool


class Uploads(BaseModel):
    """How uploaded objects are stored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    versioned: bool
    expire_days: Annotated[int, Field(ge=1, le=3_650)]


class StudioTraffic(ApiTraffic):
    """Traffic expected of `studio`."""

    worker_invocations_per_second: PerSecond


class StudioSettings(HttpServiceSettings):
    """Settings of `studio`."""

    development_only = ("user_pool.self_sign_up", "user_pool.password_flow", "user_pool.test_user")

    capacity: Capacity
    traffic: StudioTraffic
    user_pool: UserPool
    uploads: Uploads
    worker: FunctionSettings
