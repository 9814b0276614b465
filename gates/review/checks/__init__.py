"""What a change loosens, type by type. Importing a module registers its checks."""

from gates.review.checks import exposure, keeping, pipeline, restart, rollback, rollout, watching
from gates.review.checks.registry import Context, checked

__all__ = ["Context", "checked", "exposure", "keeping", "pipeline", "restart", "rollback", "rollout", "watching"]
