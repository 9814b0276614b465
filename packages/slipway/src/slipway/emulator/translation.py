"""Convert the assembly that a build of the pipeline wrote, in place, into one that the accounts here can deploy.

This happens once, when the assembly leaves the build: the later steps (self-mutation, assets, change sets) play the
artifact unchanged, and no step can leave anything out.
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
"""End of the name of a template as it was before it was changed."""


def translate(assembly: Path, accounts: Accounts, *, assets: Path) -> Counter[Substitution]:
    """Apply the table of substitutions to an assembly and to every stage in it.

    Args:
        assembly: `cdk.out` of the build; it is changed.
        accounts: They run.
        assets: Folder with the layer for this machine.

    Returns:
        The rows that were used, with the number of resources that each met.

    Raises:
        RehearsalError: It deploys to an account that is not in the rehearsal, or holds something that no account here
            knows and no row of the table names.
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
            # What CloudFormation would be asked for is read there.
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
