"""The assembly that a build of the pipeline made, changed where it lies into one that the accounts here can deploy.

It happens once, as the assembly leaves the build: what follows (self-mutation, assets, change sets) plays what is in
the artifact, and no step has a way of its own to leave something out.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from slipway.emulator.accounts import Accounts
from slipway.emulator.deploy import Deployer
from slipway.emulator.stages import rehearse
from slipway.emulator.substitutions import Substitution
from slipway.errors import RehearsalError

_TARGET = re.compile(r"aws://(?P<account>\d{12})/(?P<region>[\w-]+)")


AS_FOR_AWS = ".aws"
"""End of the name of a template as it was before it was changed."""


def translate(assembly: Path, accounts: Accounts, *, assets: Path) -> Counter[Substitution]:
    """Apply the table of substitutions to an assembly and to every stage in it.

    Args:
        assembly: `cdk.out` of the build; it is changed.
        accounts: they run.
        assets: folder with the layer for this machine.

    Returns:
        The rows that were used, with the number of resources that each met.

    Raises:
        RehearsalError: it deploys to an account that is not in the configuration, or holds something that no account
            here knows and no row of the table names.
    """
    used: Counter[Substitution] = Counter()
    for folder in (assembly, *sorted(path.parent for path in assembly.glob("assembly-*/manifest.json"))):
        account = _account(folder)
        if account not in accounts.emulators:
            raise RehearsalError(f"{folder.name} deploys to {account}, which config/ does not name")
        emulator = accounts.emulators[account]
        for template in folder.glob("*.template.json"):
            # What CloudFormation would be asked for is read there.
            shutil.copyfile(template, f"{template}{AS_FOR_AWS}")
        used.update(
            rehearse(
                folder,
                folder,
                plain_port=emulator.plain_port,
                assets=assets,
                unknown_types=Deployer(emulator, qualifier="", trust="").unknown_types,
                player=accounts.player[account],
            ).used
        )
    return used


def _account(folder: Path) -> str:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RehearsalError(f"{folder.name} is not an assembly of the CDK") from None
    targets = {
        match["account"]
        for artifact in manifest["artifacts"].values()
        if artifact["type"] == "aws:cloudformation:stack"
        and (match := _TARGET.fullmatch(artifact.get("environment", "")))
    }
    return _only(targets, folder.name)


def _only(values: Iterable[str], name: str) -> str:
    found = sorted(values)
    if len(found) != 1:
        raise RehearsalError(f"{name} deploys to {', '.join(found) or 'no account'}: a stage has one")
    return found[0]
