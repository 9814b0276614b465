"""Launch an earlier commit in the accounts directly, without the pipeline's steps.

A rehearsal delivers a change to accounts that already contain a version. Before the first rehearsal they are empty, so
an earlier commit is launched there: its pipeline by `cdk deploy Pipeline`, as a team does once, and its stages by their
change sets, all environments in parallel.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from slipway import git
from slipway.assembly.reader import assets_files, read_assets
from slipway.emulator.accounts import Accounts
from slipway.emulator.deploy import failure
from slipway.emulator.server import EMULATED_SECRET, Credentials
from slipway.emulator.translation import translate
from slipway.errors import RehearsalError
from slipway.process import Progress, follow, run
from slipway.rehearsal.player.artifacts import pack, unpack
from slipway.rehearsal.player.changesets import ChangeSets
from slipway.rehearsal.player.definition import PipelineDefinition
from slipway.rehearsal.player.memory import Memory, Remembered
from slipway.rehearsal.player.source import Commit
from slipway.revisions.synthesis import LOCKS, provide_packages, synthesise_tree
from slipway.settings.groups import selected

HANDOVER = Path("build") / "handover"
"""Folder in which a build collects the files for later builds (`slipway.tasks.reports`)."""

LAYER = "requirements/layer.txt"
"""Inputs of the layer of every function."""


def synthesise(commit: Commit, folder: Path, checkout: Path, variables: dict[str, str], progress: Progress) -> Path:
    """Build and synthesise a commit.

    Args:
        commit: The commit.
        folder: A new folder for its files.
        checkout: The repository whose installed tools are used if the commit locks the same ones.
        variables: Additional environment variables.
        progress: Called with each line.

    Returns:
        Its assembly, not yet converted for the accounts.

    Raises:
        RehearsalError: It cannot be synthesised. The message contains the last lines.
    """
    zipped = folder.with_suffix(".zip")
    commit.archive(zipped)
    unpack(zipped, folder)
    log = folder.parent / "launch.log"

    def execute(command: Sequence[str], tree: Path, environment: Mapping[str, str], failed: str) -> None:
        code, lines = follow(command, folder=tree, environment=environment, log=log, progress=progress)
        if code != 0:
            raise RehearsalError(f"{failed}: {failure(lines)}")

    name = commit.sha[:12]
    provide_packages(folder, checkout, execute, name)
    synthesise_tree(folder, folder / "cdk.out", execute, name, variables)
    return folder / "cdk.out"


class Launch:
    """Deploys a commit directly into the accounts.

    Args:
        accounts: The running, bootstrapped accounts.
        memory: State of the pipeline.
        folder: Working folder.
        stopping: Set when everything must stop.
    """

    def __init__(self, accounts: Accounts, memory: Memory, folder: Path, stopping: threading.Event) -> None:
        self._accounts, self._memory, self._folder, self._stopping = accounts, memory, folder, stopping

    def pipeline(self, assembly: Path, progress: Progress) -> None:
        """Deploy the pipeline's stack, as a team does once.

        Args:
            assembly: The assembly, converted for the accounts.
            progress: Called with each line.

        Raises:
            RehearsalError: The CDK CLI failed.
        """
        tools = self._accounts.tools
        environment = {
            **os.environ,
            **self._accounts.variables(tools, Credentials(tools, EMULATED_SECRET)),
            "HOME": str(self._folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "CI": "true",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }
        cdk = assembly.parent / "node_modules" / ".bin" / "cdk"
        command = [str(cdk), "-a", ".", "deploy", "Pipeline", "--require-approval=never", "--notices", "false", "--ci"]
        code, lines = follow(
            command, environment=environment, log=self._folder / "launch.log", progress=progress, folder=assembly
        )
        if code != 0:
            raise RehearsalError(f"the pipeline could not be deployed: {failure(lines)}")

    def environments(self, commit: Commit, assembly: Path, progress: Progress) -> None:
        """Deploy every stage, all environments in parallel, and record the commit as delivered.

        Args:
            commit: The commit.
            assembly: The assembly, converted for the accounts.
            progress: Called with a description of each step.

        Raises:
            RehearsalError: A stack failed.
        """
        definition = self._memory.definition
        assets = {account: self._assets(assembly, account) for account in self._accounts.ids}
        home = self._accounts.region(self._accounts.tools)
        by_account: dict[str, list[tuple[int, int, str, str, str]]] = {}
        for position, stage in enumerate(definition.stages):
            for action in stage.actions:
                if action.configuration.get("ActionMode") != "CHANGE_SET_REPLACE":
                    continue
                account = (action.role_arn or "").split(":")[4]
                path = action.configuration["TemplatePath"].partition("::")[2]
                place = (position, action.run_order, action.configuration["StackName"], path, action.region or home)
                by_account.setdefault(account, []).append(place)

        def launch(account: str) -> None:
            self._publish(account, assets[account])
            groups: dict[tuple[int, int], list[tuple[str, str, str]]] = {}
            for position, order, *stack in sorted(by_account[account]):
                groups.setdefault((position, order), []).append((stack[0], stack[1], stack[2]))
            for group in groups.values():
                progress(f"{self._accounts.label(account)}: {', '.join(stack for stack, _, _ in group)}")
                for name, path, region in group:
                    self._deploy(account, region, name, (assembly / path).read_text(encoding="utf-8"))

        with ThreadPoolExecutor(max(1, len(by_account))) as pool:
            list(pool.map(launch, by_account))
        self._remember(commit, assembly, definition)

    def _deploy(self, account: str, region: str, stack: str, template: str) -> None:
        emulator = self._accounts.emulator(account, region)
        qualifier = self._accounts.topology.qualifier
        sets = ChangeSets(
            emulator,
            emulator.root,
            bucket=f"cdk-{qualifier}-assets-{account}-{emulator.region}",
            stopping=self._stopping,
        )
        configuration = {
            "StackName": stack,
            "ChangeSetName": "PipelineChange",
            "Capabilities": "CAPABILITY_NAMED_IAM,CAPABILITY_AUTO_EXPAND",
            "RoleArn": f"arn:aws:iam::{account}:role/cdk-{qualifier}-cfn-exec-role-{account}-{emulator.region}",
        }
        changes = sets.replace(configuration, template)
        sets.execute(configuration, changes, lambda _: None)

    def _assets(self, assembly: Path, account: str) -> dict[tuple[str, str], Path]:
        """Return the files that an account receives, by bucket and key."""
        found: dict[tuple[str, str], Path] = {}
        for listed in assets_files(assembly):
            for file in read_assets(listed).files.values():
                path = listed.parent / file["source"]["path"]
                for destination in file["destinations"].values():
                    if account in destination["bucketName"] and path.suffix == ".zip":
                        found[destination["bucketName"], destination["objectKey"]] = path.resolve()
        return found

    def _publish(self, account: str, assets: dict[tuple[str, str], Path]) -> None:
        storage = self._accounts.emulators[account].session().client("s3")
        for (bucket, key), file in assets.items():
            with file.open("rb") as content:
                storage.put_object(Bucket=bucket, Key=key, Body=content)

    def _remember(self, commit: Commit, assembly: Path, definition: PipelineDefinition) -> None:
        """Record a successful execution, as a target for rollbacks."""
        now = datetime.now(UTC).isoformat()
        remembered = Remembered(
            str(uuid4()), commit.sha, commit.message, definition.version, now, status="Succeeded", ended=now
        )
        tools = self._accounts.tools
        storage = self._accounts.emulators[tools].session().client("s3")
        bucket = definition.bucket_in(self._accounts.region(tools))
        for stage in definition.stages:
            remembered.stages[stage.name] = "Succeeded"
            for action in stage.actions:
                for artifact in action.outputs:
                    file = self._artifact(action.category, commit, assembly, artifact)
                    key = f"{definition.name}/{artifact[:20]}/{remembered.id[:8]}"
                    with file.open("rb") as content:
                        storage.put_object(Bucket=bucket, Key=key, Body=content)
                    remembered.artifacts[artifact] = key
                if action.category == "Source" and action.namespace:
                    remembered.variables[action.namespace] = commit.variables
        self._memory.executions.append(remembered)
        self._memory.keep()

    def _artifact(self, category: str, commit: Commit, assembly: Path, artifact: str) -> Path:
        file = self._folder / f"{artifact}.zip"
        if category == "Source":
            commit.archive(file)
        elif artifact.endswith("_".join(HANDOVER.parts)):
            self._hand_over(commit, file)
        else:
            _pack(assembly, file)
        return file

    def _hand_over(self, commit: Commit, file: Path) -> None:
        """Pack the files that the commit's own build passes on to later builds."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            source = Path(folder) / "source"
            commit.archive(file)
            unpack(file, source)
            # By the verb of the commit's own Makefile, because the command behind it may have another name. Nothing
            # needs to be installed.
            command = ["make", "--old-file", ".venv/.installed", f"PYTHON={sys.executable}", "handover"]
            done = run(command, folder=source)
            if done.returncode != 0:
                raise RehearsalError(f"the handover of {commit.sha[:12]} failed: {done.stderr.strip()}")
            _pack(source / HANDOVER, file)


def _pack(folder: Path, file: Path) -> None:
    """Pack every file of a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    pack(((path, path.relative_to(folder).as_posix()) for path in files), file)


def prepared(assembly: Path, accounts: Accounts) -> Path:
    """Return an assembly from `synthesise`, converted for the accounts."""
    translate(assembly, accounts, assets=assembly.parent / "build" / "assets")
    return assembly


def earlier(repository: Path, revision: str, *, usable: Callable[[str], bool], most: int = 200) -> str | None:
    """Return the newest ancestor of a commit whose functions differ from the commit's.

    Args:
        repository: The repository.
        revision: The commit.
        usable: Returns True if an ancestor can be launched with the tools that are available.
        most: Maximum number of commits to go back.

    Returns:
        Its name, or None.
    """
    listed = git.run(repository, "log", f"-{most}", "--first-parent", "--format=%H", revision)
    commits = listed.stdout.split()
    present = _shipped(repository, commits[0]) if commits else []
    for commit in commits[1:]:
        if _shipped(repository, commit) != present:
            return commit if usable(commit) else None
    return None


def locks_as(repository: Path, one: str, other: str) -> bool:
    """Return True if two commits lock the same packages, and both or neither contain the tool."""
    tools = [bool(_files(repository, commit, ("packages/slipway/pyproject.toml",))) for commit in (one, other)]
    return tools[0] == tools[1] and _files(repository, one, LOCKS) == _files(repository, other, LOCKS)


def unlike(repository: Path, before: str, commit: str, services: Sequence[str]) -> str | None:
    """Return why an earlier commit cannot be launched in the accounts of a commit; None if it can.

    Args:
        repository: The repository of both commits.
        before: The earlier commit.
        commit: The commit that the accounts belong to.
        services: The rehearsed services. Empty: all.

    Returns:
        The difference; None if nothing prevents it.
    """
    theirs, ours = _places(repository, before), _places(repository, commit)
    if theirs != ours:
        names = sorted({name for name, _ in theirs.items() ^ ours.items()})
        return f"other accounts, regions, environments or names ({', '.join(names)})"
    missing = [name for name in services if not _files(repository, before, (f"services/{name}/",))]
    return f"no service {', '.join(missing)}" if missing else None


_PLACE = ("account", "region", "name", "qualifier")
"""Settings that identify what is deployed."""


def _places(repository: Path, commit: str) -> dict[str, tuple[str, ...]]:
    """Return account, region and names of the pipeline and each environment in a commit's configuration.

    If a group is selected, the pipeline is the group's.
    """
    pipeline = _table(repository, commit, "pipeline")
    if group := selected():
        table = pipeline.get("groups", {}).get(group)
        pipeline |= {
            "name": f"{pipeline.get('name')}-{group}" if table else "",
            "qualifier": (table or {}).get("qualifier"),
        }
    names = [name for name in pipeline.get("environments", []) if isinstance(name, str)]
    tables = {"pipeline": pipeline} | {name: _table(repository, commit, name) for name in names}
    return {name: tuple(str(table.get(key)) for key in _PLACE) for name, table in tables.items()}


def _table(repository: Path, commit: str, name: str) -> dict[str, Any]:
    """Read a file of a commit's configuration; one that cannot be read is empty."""
    try:
        return tomllib.loads(git.run(repository, "show", f"{commit}:config/{name}.toml").stdout)
    except tomllib.TOMLDecodeError:
        return {}


def _shipped(repository: Path, commit: str) -> list[str]:
    """Return the inputs of a commit's functions (`slipway.build`)."""
    files = _files(repository, commit, ("services", LAYER))
    return [
        file
        for file in files
        if file.endswith(LAYER) or "/runtime/" in file or "packages/slipway-runtime/src/slipway_runtime/" in file
    ]


def _files(repository: Path, commit: str, paths: Sequence[str]) -> list[str]:
    return git.run(repository, "ls-tree", "-r", commit, "--", *paths).stdout.splitlines()
