"""Install all extensions of the emulator, in order."""

from slipway.emulator.extensions import (
    access_logs,
    apis,
    asynchronous,
    changes,
    configurations,
    deployed,
    deployments,
    drift,
    environments,
    experiments,
    functions,
    gateway,
    keys,
    objects,
    outputs,
    principals,
    recovery,
    rotation,
    simulation,
    sources,
    traces,
)

MODULES = (
    *(keys, objects, simulation, deployed, functions, asynchronous, sources, rotation),
    *(
        principals,
        changes,
        recovery,
        outputs,
        apis,
        traces,
        deployments,
        drift,
        environments,
        experiments,
        gateway,
        access_logs,
    ),
    configurations,
)


def install() -> None:
    """Make the emulator refuse what AWS refuses.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    for module in MODULES:
        module.install()
