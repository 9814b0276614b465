"""Names by which the steps of the pipeline and the roles in the environments know each other.

Apart from the roles, since the steps that use them need no CDK, which takes seconds to start.
"""

from __future__ import annotations

from slipway.settings.model import Place

PROTECTED_STACKS = ("security", "data")
"""The stacks of a service that hold what must not be lost (P16)."""

DESCRIBED_STACKS = (*PROTECTED_STACKS, "compute")
"""The stacks of a service whose outputs its tests read. Nothing reads observability."""

SERVICE_STACKS = (*DESCRIBED_STACKS, "observability")
"""The stacks of a service, in the order in which they are deployed."""

EDGE_LOGS = "edge-logs"
"""What the name of a stack ends with that delivers a distribution's logs from CloudFront's own region."""

EDGE_FIREWALL = "edge-firewall"
"""What the name of a stack ends with that has a distribution's web ACL in CloudFront's own region."""


def service_stacks(environment: str, service: str) -> tuple[str, ...]:
    """Return the names of a service's stacks; everything in a stack is named after it."""
    return tuple(f"{environment}-{service}-{stack}" for stack in SERVICE_STACKS)


def verification_step_role(environment: str) -> str:
    """Name of the role, in the tools account, of the build that verifies an environment."""
    return f"slipway-{environment}-verify"


def protection_step_role(environment: str) -> str:
    """Name of the role, in the tools account, of the build that protects an environment's stacks."""
    return f"slipway-{environment}-protect"


def bake_step_role(environment: str) -> str:
    """Name of the role, in the tools account, of the build that watches an environment's alarms."""
    return f"slipway-{environment}-bake"


def verification_role(environment: str, service: str) -> str:
    """Name of the role, in the environment's account, that a service's tests run under."""
    return f"slipway-{environment}-{service}-verification"


def protection_role(environment: str) -> str:
    """Name of the role, in the environment's account, that sets the protection of stacks."""
    return f"slipway-{environment}-protection"


def bucket_name(place: Place, service: str) -> str:
    """Name of the bucket of a service (P5)."""
    return f"cf-serverless-{place.unique_id(service)}"


def log_bucket_name(place: Place, service: str) -> str:
    """Name of the bucket that takes a service's access logs (P5)."""
    return f"cf-serverless-logs-{place.unique_id(service)}"
