"""Checks by resource type. Importing a module registers its checks."""

from slipway.review.checks import (
    answers,
    caching,
    exposure,
    flags,
    keeping,
    openapi,
    pipeline,
    restart,
    rollback,
    rollout,
    updates,
    watching,
)
from slipway.review.checks.registry import CheckContext, checked

__all__ = [
    "CheckContext",
    "answers",
    "caching",
    "checked",
    "exposure",
    "flags",
    "keeping",
    "openapi",
    "pipeline",
    "restart",
    "rollback",
    "rollout",
    "updates",
    "watching",
]
