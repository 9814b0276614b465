"""Convert the assembly that a build of the pipeline wrote, in place, into one that the accounts here can deploy.

This happens once, when the assembly leaves the build: the later steps (self-mutation, assets, change sets) use the
artifact unchanged, so no step can skip a substitution.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from pathlib import Path

from slipway.assembly.reader import TEMPLATE_SUFFIX
from slipway.emulator.accounts import Accounts
from slipway.emulator.deploy import Deployer
from slipway.emulator.stages import translate_stage
from slipway.emulator.substitutions import Substitution
from slipway.emulator.topology import folders, stacks
from slipway.errors import RehearsalError

AS_FOR_AWS = ".aws"
"""Suffix of the file with the original template."""


def translate(assembly: Path, accounts: Accounts, *, assets: Path) -> Counter[Substitution]:
    """Apply the table of substitutions to an assembly and to every stage in it.

    Args:
        assembly: `cdk.out` of the build, which is changed in place.
        accounts: The running accounts.
        assets: Folder with the layer for this machine.

    Returns:
        The used rows, with the number of resources that each matched.

    Raises:
        RehearsalError: It deploys to an account outside the rehearsal, or contains a resource type that the emulator
            does not support and no row of the table names.
    """
    used: Counter[Substitution] = Counter()
    together: defaultdict[tuple[Path, str, str], list[str]] = defaultdict(list)
    for stack in stacks(assembly):
        if stack.account not in accounts.emulators:
            raise RehearsalError(f"{stack.name} deploys to {stack.account}, which is not an account of this rehearsal")
        if stack.region not in accounts.topology.regions[stack.account]:
            raise RehearsalError(f"{stack.name} deploys to {stack.region}, which is not a region of this rehearsal")
        together[stack.folder, stack.account, stack.region].append(stack.id)
    for folder in folders(assembly):
        for template in folder.glob(f"*{TEMPLATE_SUFFIX}"):
            # The review of a rehearsal reads the original template.
            shutil.copyfile(template, f"{template}{AS_FOR_AWS}")
    for (folder, account, region), names in together.items():
        emulator = accounts.emulator(account, region)
        used.update(
            translate_stage(
                folder,
                folder,
                plain_port=emulator.plain_port,
                assets=assets,
                unknown_types=Deployer(emulator, qualifier="", trust="").unknown_types,
                player=accounts.player(account, region),
                only=names,
                rows=accounts.rows,
            ).used
        )
    return used
