"""Write a new app: the example with a new name and new accounts, and the tool's source."""

from __future__ import annotations

import importlib
import re
import shutil
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway import git
from slipway.scaffold import plan
from slipway.scaffold.plan import ScaffoldError

TEMPLATE = Path(__file__).with_name("app.zip")
"""The example's files. `make wheels` adds them to the wheel; in a checkout they are beside the tool."""

NAME = re.compile(r"[a-z][a-z0-9-]{1,18}[a-z0-9]")
"""Pattern of a name that any AWS name may begin with."""

TOOL = {"slipway": "packages/slipway/src", "slipway_runtime": "packages/slipway-runtime/src"}
"""Package → folder of the app that it is copied to. The app's builds run it from there, and fetch nothing."""

TOOLS_ACCOUNT = "tools"
"""Name of the pipeline's own account beside the environments."""

_ACCOUNT = re.compile(r"\d{12}")


def create(folder: Path, *, name: str, services: Sequence[str] = (), accounts: Mapping[str, str] | None = None) -> None:
    """Write a new app into a folder, and commit it to a new repository.

    Args:
        folder: The new folder, which may exist if it is empty.
        name: Name of the app, and prefix of names on AWS.
        services: Services of the example to keep. Default: all of them.
        accounts: Environment, or `tools` → AWS account. Default: the example's.

    Raises:
        ScaffoldError: An argument is not allowed.
    """
    if not NAME.fullmatch(name):
        raise ScaffoldError(f"{name!r} must be 3 to 20 lower-case letters, digits and hyphens, a letter first")
    if not TEMPLATE.is_file():
        raise ScaffoldError("this slipway runs from a checkout: install the wheel that `make wheels` builds there")
    if folder.exists() and any(folder.iterdir()):
        raise ScaffoldError(f"{folder} is not empty")
    with zipfile.ZipFile(TEMPLATE) as archive:
        for member in archive.infolist():
            written = Path(archive.extract(member, folder))
            # Keep scripts executable.
            if not member.is_dir() and (mode := member.external_attr >> 16 & 0o777):
                written.chmod(mode)
    try:
        _configure(folder, name, accounts or {})
        _keep(folder, services)
    except ScaffoldError:
        shutil.rmtree(folder)
        raise
    for package, place in TOOL.items():
        source = Path(str(importlib.import_module(package).__file__)).parent
        shutil.copytree(source, folder / place / package, ignore=shutil.ignore_patterns("__pycache__", TEMPLATE.name))
    _commit(folder, name)


def _configure(folder: Path, name: str, accounts: Mapping[str, str]) -> None:
    """Put the app's name and accounts into its configuration."""
    config = folder / "config"
    pipeline = config / "pipeline.toml"
    environments = tomllib.loads(pipeline.read_text(encoding="utf-8"))["environments"]
    files = {TOOLS_ACCOUNT: pipeline, **{each: config / f"{each}.toml" for each in environments}}
    for place, account in accounts.items():
        if place not in files:
            raise ScaffoldError(f"--account {place}: unknown environment; choose from {', '.join(files)}")
        if not _ACCOUNT.fullmatch(account):
            raise ScaffoldError(f"--account {place}={account}: an account id must have twelve digits")
    for place, file in files.items():
        text = file.read_text(encoding="utf-8")
        old = str(tomllib.loads(text)["account"])
        text = text.replace(old, accounts.get(place, old))
        text = re.sub(r'^(name|application) = "slipway"$', rf'\1 = "{name}"', text, flags=re.MULTILINE)
        text = text.replace('repository = "example-org/slipway"', f'repository = "example-org/{name}"')
        file.write_text(text, encoding="utf-8")


def _keep(folder: Path, services: Sequence[str]) -> None:
    """Remove every service except those named."""
    known = plan.services(folder)
    if unknown := sorted(set(services) - set(known)):
        raise ScaffoldError(f"--service {unknown[0]}: unknown service; choose from {', '.join(known)}")
    for each in known if services else ():
        if each not in services:
            plan.apply(folder, plan.remove(folder, each))


def _commit(folder: Path, name: str) -> None:
    """Make the folder a repository, with everything in its first commit."""
    author = ("-c", "user.name=slipway", "-c", "user.email=slipway@localhost")
    for words in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        (*author, "commit", "--quiet", "-m", f"Begin {name}"),
    ):
        git.output(folder, *words)
