"""Settings of `processing`: the table `services.processing` of each environment's file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from slipway.settings.model import ApiTraffic, Capacity, FunctionSettings, HttpServiceSettings, PerSecond, UserPool


class Uploads(BaseModel):
    """Uploads by presigned POST."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    versioned: bool
    """True if the bucket keeps the old versions of an object."""
    expire_days: Annotated[int, Field(ge=1, le=3_650)]
    """Days after which an upload is deleted."""
    maximum_bytes: Annotated[int, Field(ge=1, le=5_368_709_120)]
    """Largest size of an upload, bytes."""
    content_types: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9.+-]+$")], ...] = Field(
        strict=False, min_length=1
    )
    """Content types that are accepted."""


class ProcessingTraffic(ApiTraffic):
    """Traffic expected of `processing`."""

    worker_invocations_per_second: PerSecond
    """Invocations: one per request to process."""


class ProcessingSettings(HttpServiceSettings):
    """Settings of `processing`."""

    development_only = ("user_pool.self_sign_up", "user_pool.password_flow", "user_pool.test_user")

    capacity: Capacity
    traffic: ProcessingTraffic
    user_pool: UserPool
    uploads: Uploads
    worker: FunctionSettings
