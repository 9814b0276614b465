"""The commands that bootstrap the configured accounts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.accounts.bootstrap.plan import Account, accounts
from slipway.accounts.bootstrap.policies import check_sizes, execution_policies, policies, template
from slipway.delivery.names import execution_boundary, policies_stack
from slipway.settings import Settings

DEFAULT_QUALIFIER = "hnb659fds"
"""CDK's default; with another qualifier, the bootstrap stack needs another name too, so that both can exist in one
account.
"""

CDK = "node_modules/.bin/cdk"
"""The CLI that `package.json` pins: a different version writes a different bootstrap stack."""

TEMPLATE_FILE = "policies.template.json"


@dataclass(frozen=True)
class Command:
    """One command line, with the reason to run it."""

    why: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        """Return the command as typed: one option per line."""
        lines = [[]] if not self.words else [[self.words[0]]]
        for word in self.words[1:]:
            if word.startswith("--"):
                lines.append([])
            lines[-1].append(word)
        return " \\\n  ".join(shlex.join(line) for line in lines)


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write the policies of every account, one file per policy, and the template that creates them.

    Args:
        settings: All of `config/`.
        folder: Gets one folder per account.

    Returns:
        The files. Files of earlier runs that are no longer used are removed.

    Raises:
        SlipwayError: IAM or CloudFormation would reject an account's files.
    """
    written: list[Path] = []
    for account in accounts(settings):
        check_sizes(account, settings)
        target = folder / account.account
        target.mkdir(parents=True, exist_ok=True)
        files = {f"{policy.name}.json": policy.text for policy in policies(account, settings)}
        files[TEMPLATE_FILE] = template(account, settings)
        for stale in set(target.glob("*.json")) - {target / name for name in files}:
            stale.unlink()
        for name, text in files.items():
            (target / name).write_text(text, encoding="utf-8")
            written.append(target / name)
    return written


def commands(settings: Settings, folder: Path) -> dict[Account, list[Command]]:
    """Return the commands to run, account by account, the tools account first.

    Args:
        settings: All of `config/`.
        folder: Folder into which `write` put the policies.
    """
    return {account: list(_commands(account, settings, folder)) for account in accounts(settings)}


def _commands(account: Account, settings: Settings, folder: Path) -> Iterator[Command]:
    profile = profile_of(account)
    yield Command(
        "The policies first, because the bootstrap refers to them",
        (
            *("aws", "cloudformation", "deploy"),
            *("--stack-name", policies_stack(settings.pipeline.app)),
            *("--template-file", str(folder / account.account / TEMPLATE_FILE)),
            *("--capabilities", "CAPABILITY_NAMED_IAM"),
            "--no-fail-on-empty-changeset",
            *("--region", account.regions[0]),
            *("--profile", profile),
        ),
    )
    for region in account.regions:
        yield Command(
            f"The roles and the bucket with which the pipeline deploys to {region}",
            (*bootstrap(account, region, settings), "--profile", profile),
        )


def bootstrap(account: Account, region: str, settings: Settings) -> tuple[str, ...]:
    """Return the `cdk bootstrap` of one account and region, without its profile."""
    pipeline = settings.pipeline
    words = [CDK, "bootstrap", f"aws://{account.account}/{region}"]
    # Without an app, the CLI would synthesise the one in cdk.json first.
    words += ["--app", ""]
    words += ["--qualifier", pipeline.qualifier]
    if pipeline.qualifier != DEFAULT_QUALIFIER:
        words += ["--toolkit-stack-name", f"CDKToolkit-{pipeline.qualifier}"]
    if account.account != pipeline.account:
        words += ["--trust", pipeline.account]
        if settings.pipeline.trust_for_lookup:
            words += ["--trust-for-lookup", pipeline.account]
    arns = [account.policy_arn(policy.name) for policy in execution_policies(account, settings)]
    words += ["--cloudformation-execution-policies", ",".join(arns)]
    words += ["--custom-permissions-boundary", execution_boundary(pipeline.app)]
    # Deleting the bootstrap stack would stop every delivery.
    words += ["--termination-protection", "true"]
    return tuple(words)


def profile_of(account: Account) -> str:
    """Return the profile in the commands: a placeholder for one with administrator rights in that account."""
    return f"{account.label}-admin"
