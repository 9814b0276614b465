"""Every AWS name that is used before the resource exists.

The names begin with the app's name (`name` in `pipeline.toml`), so that several apps can share a tools account. They
are separate from the constructs, because steps and tools that use them don't need CDK, which takes seconds to import.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slipway.settings import Problem, Settings
from slipway.settings.model import Environment, Place

SECURITY, DATA, COMPUTE, OBSERVABILITY = "security", "data", "compute", "observability"
"""The kinds of stack that a service has."""

PROTECTED_STACKS = (SECURITY, DATA)
"""The stacks of a service whose resources must not be lost."""

DESCRIBED_STACKS = (*PROTECTED_STACKS, COMPUTE)
"""The stacks of a service whose outputs its tests read; they don't need those of observability."""

SERVICE_STACKS = (*DESCRIBED_STACKS, OBSERVABILITY)
"""The stacks of a service, in deployment order."""

EDGE_LOGS = "edge-logs"
"""Suffix of the stack that delivers a distribution's logs from CloudFront's own region."""

EDGE_REGION = "us-east-1"
"""CloudFront's own region, where those stacks are."""

EDGE_FIREWALL = "edge-firewall"
"""Suffix of the stack with a distribution's web ACL in CloudFront's own region."""


def service_stacks(environment: str, service: str) -> tuple[str, ...]:
    """Return the names of a service's stacks; everything in a stack is named after it."""
    return tuple(service_stack(environment, service, kind) for kind in SERVICE_STACKS)


def service_stack(environment: str, service: str, kind: str) -> str:
    """Return the name of a service's stack of this kind.

    Args:
        environment: Its name.
        service: Its name.
        kind: One of `SERVICE_STACKS`.
    """
    return f"{environment}-{service}-{kind}"


def approval_stage(environment: str) -> str:
    """Return the name of the pipeline's stage that waits for an approval."""
    return f"{environment}-approval"


def foundation_stage(environment: str) -> str:
    """Return the name of the pipeline's stage with the foundation of an environment."""
    return f"{environment}-foundation"


def foundation_stack(environment: Environment) -> str:
    """Return the name of the stack that comes before an environment's services; each group has its own.

    The first group's stack keeps the name that it has without groups, so that introducing groups does not replace it.
    """
    if environment.group is None or environment.leads:
        return f"{environment.name}-foundation"
    return f"{environment.name}-{environment.group}-foundation"


def pipeline_name(app: str) -> str:
    """Return the pipeline's name: rules, roles and links refer to it before it exists."""
    return app


def pipeline_stack(app: str) -> str:
    """Return the name of the pipeline's stack; the names of its support stacks in other regions begin with it."""
    return f"{app}-pipeline"


def pipeline_stacks(app: str) -> tuple[str, str]:
    """Return the prefixes of the names of the tools account's resources.

    The second is the first as CDK writes it into generated physical names.
    """
    stack = pipeline_stack(app)
    return stack, stack.replace("-", "")


def delivery_bus(app: str) -> str:
    """Return the name of the bus in the tools account to which the environments relay events."""
    return f"{app}-delivery"


def delivery_namespace(app: str) -> str:
    """Return the metric namespace of the delivery's metrics."""
    return f"{app.title()}/Delivery"


def policy_prefix(app: str) -> str:
    """Return the prefix of the names of the bootstrap's policies and of their stack.

    The execution boundary denies changes to everything with this prefix.
    """
    return f"{app}-bootstrap-"


def policies_stack(app: str) -> str:
    """Return the name of the policies' stack: people deploy it, the pipeline never does."""
    return f"{policy_prefix(app)}policies"


def execution_boundary(app: str) -> str:
    """Return the name of the boundary of CloudFormation's execution role."""
    return f"{policy_prefix(app)}execution-boundary"


STEPS = ("verify", "protect", "bake", "attack", "perform", "experiment")
"""Steps whose builds have named roles in the tools account."""


def step_roles(app: str, environment: str) -> str:
    """Return the name prefix of the roles of an environment's steps, in the tools account and in the environment's."""
    return f"{app}-{environment}-"


def verification_step_role(environment: Environment) -> str:
    """Return the name of the role, in the tools account, of the build that verifies an environment."""
    return f"{step_roles(environment.app, environment.name)}{STEPS[0]}"


def protection_step_role(environment: Environment) -> str:
    """Return the name of the role, in the tools account, of the build that protects an environment's stacks."""
    return f"{step_roles(environment.app, environment.name)}{STEPS[1]}"


def bake_step_role(environment: Environment) -> str:
    """Return the name of the role, in the tools account, of the build that watches an environment's alarms."""
    return f"{step_roles(environment.app, environment.name)}{STEPS[2]}"


def attack_step_role(environment: Environment) -> str:
    """Return the name of the role, in the tools account, of the build that attacks an environment."""
    return f"{step_roles(environment.app, environment.name)}{STEPS[3]}"


def performance_step_role(environment: Environment) -> str:
    """Return the name of the role, in the tools account, of the build that loads an environment."""
    return f"{step_roles(environment.app, environment.name)}{STEPS[4]}"


def experiment_step_role(environment: Environment) -> str:
    """Return the name of the role, in the tools account, of the build that runs an environment's experiments."""
    return f"{step_roles(environment.app, environment.name)}{STEPS[5]}"


def verification_role(environment: Environment, service: str) -> str:
    """Return the name of the role, in the environment's account, that a service's tests run under."""
    return f"{step_roles(environment.app, environment.name)}{service}-verification"


def experiment_role(environment: Environment, service: str) -> str:
    """Return the name of the role, in the environment's account, that starts a service's experiments."""
    return f"{step_roles(environment.app, environment.name)}{service}-experiment"


def protection_role(environment: Environment) -> str:
    """Return the name of the role, in the environment's account, that sets the protection of stacks."""
    return f"{step_roles(environment.app, environment.name)}protection"


def drift_role(environment: Environment) -> str:
    """Return the name of the role, in the environment's account, that checks for drift."""
    return f"{step_roles(environment.app, environment.name)}drift"


def drift_function_roles(environment: Environment) -> str:
    """Return the name pattern of the drift function's role, in the tools account.

    CloudFormation generates the name: the stack's name, the role's logical id, and random characters.
    """
    return f"{pipeline_stack(environment.app)}-ObservationDrift*"


def bucket_name(place: Place, service: str) -> str:
    """Return the name of a service's bucket."""
    return f"{place.bucket_prefix}-{place.unique_id(service)}"


def log_bucket_name(place: Place, service: str) -> str:
    """Return the name of the bucket for a service's access logs."""
    return f"{place.bucket_prefix}-logs-{place.unique_id(service)}"


def fault_bucket_name(place: Place, service: str) -> str:
    """Return the name of the bucket in which AWS FIS stores the faults of a service's functions."""
    return f"{place.bucket_prefix}-faults-{place.unique_id(service)}"


def deletion_waves(environment: Environment, services: Sequence[str]) -> list[list[tuple[str, str]]]:
    """Return the name and region of every stack that an environment may have, in waves, in the order of deletion.

    Args:
        environment: Settings of the environment.
        services: Names of the services.
    """
    logs, firewalls = (
        [(f"{service_stack(environment.name, service, COMPUTE)}-{name}", EDGE_REGION) for service in services]
        for name in (EDGE_LOGS, EDGE_FIREWALL)
    )
    own = [
        [(service_stack(environment.name, service, kind), environment.region) for service in services]
        for kind in reversed(SERVICE_STACKS)
    ]
    # A distribution uses its web ACL, and the delivery of its logs uses the distribution.
    return [logs, *own, firewalls, [(foundation_stack(environment), environment.region)]]


def too_long(settings: Settings, services: Sequence[str]) -> Iterator[Problem]:
    """Yield each name that exceeds AWS's length limit, among those with the shortest limits.

    CloudFormation shortens the names that it generates. The sources of the limits:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html,
    https://docs.aws.amazon.com/aws-backup/latest/devguide/API_CreateBackupVault.html,
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutDeliverySource.html and
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html.

    Args:
        settings: All of `config/`.
        services: Names of the services that are deployed.
    """
    for environment in settings.environments:
        for service in services:
            for what, name, limit in (
                ("role", verification_role(environment, service), 64),
                ("backup vault", f"{environment.name}-{service}", 50),
                ("source of access logs", f"{service_stack(environment.name, service, COMPUTE)}-edge", 60),
                ("bucket", log_bucket_name(environment, service), 63),
            ):
                if len(name) > limit:
                    allowed = (
                        f"the {what} {name!r} has {len(name)} characters, and AWS allows {limit}; shorten the name of "
                        "the app, the environment or the service"
                    )
                    yield Problem(f"{environment.name}.toml", "", "", allowed)
