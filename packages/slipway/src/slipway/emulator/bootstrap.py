"""Run the commands that `make bootstrap` prints on the accounts of the rehearsal."""

from __future__ import annotations

import shlex
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from botocore.exceptions import ClientError

from slipway import project
from slipway.emulator.accounts import Accounts
from slipway.emulator.deploy import failure
from slipway.errors import RehearsalError
from slipway.process import Progress, follow, run
from slipway.project import ROOT

_DEPLOY = ["aws", "cloudformation", "deploy"]


def bootstrap(accounts: Accounts, progress: Progress, *, checkout: Path = ROOT) -> bool:
    """Run the commands that `make bootstrap` prints, in every account and region that has not been bootstrapped.

    Args:
        accounts: The running accounts.
        progress: Called with a description of each step.
        checkout: The repository that prints the commands. Default: this one.

    Returns:
        True if there was anything to do.

    Raises:
        RehearsalError: A command failed.
    """
    waiting = [account for account in accounts.ids if any(_unprepared(accounts, account))]
    if not waiting:
        return False
    commands = _printed(accounts.folder / "bootstrap", checkout)
    with ThreadPoolExecutor(len(waiting)) as pool:
        list(pool.map(lambda account: _run(accounts, account, commands[account], progress), waiting))
    return True


def _unprepared(accounts: Accounts, account: str) -> Iterator[str]:
    """Yield the regions of an account that have no bootstrap stack."""
    for region in accounts.topology.regions[account]:
        parameters = accounts.emulator(account, region).session().client("ssm")
        try:
            parameters.get_parameter(Name=f"/cdk-bootstrap/{accounts.topology.qualifier}/version")
        except parameters.exceptions.ParameterNotFound:
            yield region


def _printed(folder: Path, checkout: Path) -> dict[str, list[list[str]]]:
    """Return each account's command lines, split into words."""
    command = [sys.executable, "-m", "slipway", "bootstrap", "--output", str(folder)]
    done = run(command, folder=checkout)
    if done.returncode != 0:
        raise RehearsalError(f"the bootstrap prints no commands: {done.stderr.strip()}")
    found: defaultdict[str, list[list[str]]] = defaultdict(list)
    account = ""
    for line in done.stdout.replace("\\\n", " ").splitlines():
        if line.startswith("# === "):
            account = line.rpartition(":")[2].strip(" =")
        elif line and not line.startswith(("#", "set ")):
            found[account].append(shlex.split(line))
    return found


def _run(accounts: Accounts, account: str, commands: Sequence[list[str]], progress: Progress) -> None:
    emulator = accounts.emulators[account]
    done = {f"aws://{account}/{region}" for region in accounts.topology.regions[account]}
    done -= {f"aws://{account}/{region}" for region in _unprepared(accounts, account)}
    for printed in commands:
        if done.intersection(printed):
            continue
        # The commands name the operator's profiles; here the account's root runs them.
        position = printed.index("--profile")
        command = printed[:position] + printed[position + 2 :]
        if command[:3] == _DEPLOY:
            progress(f"{accounts.label(account)}: the policies")
            options = dict(pairwise(command))
            formation = emulator.session().client("cloudformation")
            try:
                formation.create_stack(
                    StackName=options["--stack-name"],
                    TemplateBody=Path(options["--template-file"]).read_text(encoding="utf-8"),
                    Capabilities=[options["--capabilities"]],  # type: ignore[list-item]  # as it is printed
                )
                formation.get_waiter("stack_create_complete").wait(
                    StackName=options["--stack-name"], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
                )
            except formation.exceptions.AlreadyExistsException:
                pass
            except ClientError as error:
                raise RehearsalError(f"{accounts.label(account)}: {error}") from error
            continue
        progress(f"{accounts.label(account)}: cdk bootstrap")
        environment = {**emulator.environment(), "CI": "true", "CDK_DISABLE_CLI_TELEMETRY": "true"}
        log = emulator.folder / "bootstrap.log"
        words = [*command, "--notices", "false", "--ci"]
        code, lines = follow(words, folder=project.ROOT, environment=environment, log=log, progress=progress)
        if code != 0:
            raise RehearsalError(f"{accounts.label(account)}: {failure(lines)} (full log: {log})")
