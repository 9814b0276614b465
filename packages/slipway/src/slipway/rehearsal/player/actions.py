"""Execute the actions of a stage: source, build, deployment, approval.

Each runs under the role in its definition, which the pipeline's own role assumes.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from slipway.assembly.reader import is_assembly
from slipway.emulator.accounts import Accounts
from slipway.emulator.server import Credentials, Emulator
from slipway.emulator.substitutions import Substitution
from slipway.emulator.translation import AS_FOR_AWS, translate
from slipway.errors import RehearsalError
from slipway.rehearsal.player.approvals import ApprovalAnswer, Approvals, Pending
from slipway.rehearsal.player.artifacts import ArtifactStore, pack, read_member, unpack
from slipway.rehearsal.player.builds import CLONE, Build, Builder, BuildPlace
from slipway.rehearsal.player.changesets import ChangeSetFailedError, ChangeSets
from slipway.rehearsal.player.clock import VirtualClock
from slipway.rehearsal.player.definition import ActionDefinition, PipelineDefinition
from slipway.rehearsal.player.execution_policies import ExecutionRole
from slipway.rehearsal.player.memory import Remembered
from slipway.rehearsal.player.quota import BuildQuotas
from slipway.rehearsal.player.records import Execution, PlayedAction, PlayedChange
from slipway.rehearsal.player.source import Commit

_SOURCES = frozenset({"CodeStarSourceConnection", "CodeCommit", "GitHub", "S3"})


class ApprovalCanceledError(RehearsalError):
    """The pipeline was changed while an approval was pending; the request is withdrawn."""


@dataclass
class Run:
    """Shared state of the stages of one execution."""

    record: Execution
    definition: PipelineDefinition
    remembered: Remembered
    store: ArtifactStore
    clock: datetime
    """Virtual time."""
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    """Namespace → name → value."""
    files: dict[str, Path] = field(default_factory=dict)
    """Artifact → its zip, if it is on this machine."""
    change_sets: dict[tuple[str, str], list[PlayedChange]] = field(default_factory=dict)
    """Account and stack → changes of its change set."""
    refused: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Account and stack → actions of its change set that its execution role may not perform."""
    is_current: Callable[[PipelineDefinition], bool] = lambda _: True
    """Returns True if the pipeline still has a given definition."""

    def key(self, artifact: str) -> str:
        """Return an artifact's key in the bucket."""
        return f"{self.definition.name}/{artifact[:20]}/{self.remembered.id[:8]}"

    @property
    def known_variables(self) -> dict[str, dict[str, str]]:
        """Namespace → name → value, including the predefined ones.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
        """
        return {"codepipeline": {"PipelineExecutionId": self.remembered.id}, **self.variables}

    def keep(self, artifact: str, file: Path) -> str:
        """Register a zip as an artifact of this execution, and return its key in the bucket."""
        self.files[artifact] = file
        self.remembered.artifacts[artifact] = self.key(artifact)
        return self.remembered.artifacts[artifact]


@dataclass(frozen=True)
class Task:
    """One action to execute.

    Attributes:
        run: State of the execution.
        stage: Name of the stage.
        definition: Definition of the action.
        record: Record of its progress.
        clock: Virtual time of the action.
        commit: The commit for source actions; None for a rollback.
    """

    run: Run
    stage: str
    definition: ActionDefinition
    record: PlayedAction
    clock: VirtualClock
    commit: Commit | None


class Actions:
    """Executes actions.

    Args:
        accounts: The running accounts.
        approvals: Source of answers to approvals.
        place: Environment of the builds.
        progress: Called with an action and a description of its step.
        asked: Called when an approval is requested.
        quotas: Quotas of concurrent builds.
        waits: Lets virtual time pass in an action, seconds.
        stopping: Set when everything must stop.
    """

    def __init__(
        self,
        accounts: Accounts,
        approvals: Approvals,
        place: BuildPlace,
        *,
        quotas: BuildQuotas,
        progress: Callable[[PlayedAction, str], None],
        asked: Callable[[Task], None],
        waits: Callable[[Task, float], None] = lambda task, seconds: task.clock.wait(seconds),
        stopping: threading.Event,
    ) -> None:
        self._accounts, self._approvals, self._place = accounts, approvals, place
        self._progress, self._asked, self._stopping = progress, asked, stopping
        self._quotas, self._waits = quotas, waits
        self._tools = accounts.emulators[accounts.tools]
        self._stacks: dict[tuple[str, str], tuple[PlayedAction, VirtualClock]] = {}
        self._lock = threading.Lock()
        self.used: Counter[Substitution] = Counter()
        """Rows of the table of substitutions that were used."""
        self.source: Path | None = None
        """The commit's files, once a source action has run."""

    def deploying(self, account: str, stack: str) -> tuple[PlayedAction, VirtualClock] | None:
        """Return the action that is deploying a stack, and its clock."""
        with self._lock:
            return self._stacks.get((account, stack))

    def do(self, task: Task) -> None:
        """Execute an action.

        Raises:
            RehearsalError: It failed, or uses a feature that the player does not support.
            ApiError: A role lacks a permission.
            ClientError: An account refuses a call.
        """
        configuration = task.definition.resolved(task.run.known_variables)
        kind = (task.definition.category, task.definition.provider)
        match kind:
            case ("Source", provider) if provider in _SOURCES:
                self._take(task, configuration)
            case (_, "CodeBuild"):
                self._build(task, configuration)
            case ("Deploy", "CloudFormation"):
                self._deploy(task, configuration)
            case ("Approval", "Manual"):
                self._ask(task, configuration)
            case _:
                raise RehearsalError(f"the player does not support the action {'/'.join(kind)}")

    def _role(self, task: Task) -> Credentials:
        partition, run = self._accounts.partition, task.run
        pipeline = partition.assume(run.definition.role_arn, run.record.id)
        if task.definition.role_arn is None:
            return pipeline
        return partition.assume(task.definition.role_arn, run.record.id, by=pipeline)

    def _take(self, task: Task, configuration: dict[str, str]) -> None:
        run, commit = task.run, task.commit
        if commit is None:
            raise RehearsalError("a rollback takes no source")
        zipped = self._place.folder / "artifacts" / f"{run.record.id[:8]}-source.zip"
        commit.archive(zipped)
        folder = self._place.folder / "source"
        if not folder.exists():
            unpack(zipped, folder)
        self.source = folder
        if configuration.get("OutputArtifactFormat") == "CODEBUILD_CLONE_REF":
            # Builds clone the repository; the artifact only names the commit.
            reference = zipped.with_name(CLONE)
            content = {"repository": str(commit.repository), "commit": commit.sha}
            reference.write_text(json.dumps(content), encoding="utf-8")
            pack([(reference, CLONE)], zipped)
        (artifact,) = task.definition.outputs
        run.store.put(run.keep(artifact, zipped), zipped, self._role(task))
        if task.definition.namespace:
            run.variables[task.definition.namespace] = commit.variables
        task.record.summary = f"{commit.sha[:12]} {commit.message}"

    def _build(self, task: Task, configuration: dict[str, str]) -> None:
        run, action, definition = task.run, task.record, task.definition
        log = (
            self._place.folder
            / "logs"
            / f"{_slug(run.remembered.id[:4], task.stage, action.name, str(action.attempt))}.log"
        )
        action.log = log.relative_to(self._place.folder).as_posix()
        builder = Builder(self._accounts, run.store, self._place, quotas=self._quotas, stopping=self._stopping)
        built = builder.build(
            Build(
                configuration=configuration,
                inputs={name: run.remembered.artifacts[name] for name in definition.inputs},
                outputs=definition.outputs,
                initiator=f"codepipeline/{run.definition.name}",
                revision=run.remembered.commit,
                log=log,
            ),
            by=self._role(task),
            progress=lambda text: self._progress(action, text),
            wait=lambda seconds: self._waits(task, seconds),
        )
        action.tests = built.tests
        action.summary = f"{built.tests.tests} tests" if built.tests else ""
        for artifact, file in built.outputs.items():
            self._translate(file, built.source / "build" / "assets")
            builder.upload(configuration, run.keep(artifact, file), file)
        if definition.namespace:
            run.variables[definition.namespace] = dict(built.exported)

    def _translate(self, file: Path, assets: Path) -> None:
        """Convert an assembly into one that the accounts can deploy; leave anything else unchanged."""
        folder = file.with_suffix("")
        unpack(file, folder)
        if is_assembly(folder) and (folder / "cdk.out").is_file():
            self.used.update(translate(folder, self._accounts, assets=assets))
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            pack(((path, path.relative_to(folder).as_posix()) for path in files), file)

    def _deploy(self, task: Task, configuration: dict[str, str]) -> None:
        run, action, clock = task.run, task.record, task.clock
        account = task.definition.account or self._accounts.tools
        # An action without a region works in the pipeline's.
        region = task.definition.region or self._accounts.region(self._accounts.tools)
        emulator = self._accounts.emulator(account, region)
        self._replicate(task, configuration)
        bucket = f"cdk-{self._accounts.topology.qualifier}-assets-{account}-{emulator.region}"
        sets = ChangeSets(emulator, self._role(task), bucket=bucket, stopping=self._stopping)
        key = (account, configuration["StackName"])
        match configuration.get("ActionMode"):
            case "CHANGE_SET_REPLACE":
                artifact, _, path = configuration["TemplatePath"].partition("::")
                changes = sets.replace(configuration, read_member(self._file(run, artifact), path))
                run.refused[key] = self._refused(run, configuration, emulator) if changes else []
                action.changes = run.change_sets[key] = changes
                action.summary = f"{len(changes)} changes" if changes else "no changes"
            case "CHANGE_SET_EXECUTE":
                action.changes = run.change_sets.get(key, [])
                with self._lock:
                    self._stacks[key] = (action, clock)
                try:
                    if refused := run.refused.get(key):
                        raise ChangeSetFailedError(f"{key[1]}: {refused[0]}")
                    action.summary = sets.execute(
                        configuration, action.changes, lambda text: self._progress(action, text)
                    )
                    if task.definition.namespace:
                        # https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CloudFormation.html
                        run.variables[task.definition.namespace] = sets.outputs(key[1])
                finally:
                    with self._lock:
                        del self._stacks[key]
                    # A stack's CodeDeploy deployments run in parallel on AWS; here they run one after the other.
                    clock.wait(max((each.virtual_seconds for each in action.deployments), default=0.0))
            case mode:
                raise RehearsalError(f"the player does not support the action mode {mode}")

    def _refused(self, run: Run, configuration: dict[str, str], emulator: Emulator) -> list[str]:
        """Return the actions that the execution role may not perform and that the emulator does not check."""
        artifact, _, path = configuration["TemplatePath"].partition("::")
        try:
            template = json.loads(read_member(self._file(run, artifact), f"{path}{AS_FOR_AWS}"))
        except RehearsalError:
            return []  # The original template, not converted for the accounts.
        return list(ExecutionRole(emulator, configuration["RoleArn"]).refused(template, configuration["StackName"]))

    def _replicate(self, task: Task, configuration: dict[str, str]) -> None:
        """Copy the input artifacts of an action in another region to the bucket there, as CodePipeline does.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-create-cross-region.html
        """
        run, region = task.run, task.definition.region
        if region in {None, self._accounts.region(self._accounts.tools)}:
            return
        tools = self._accounts.emulator(self._accounts.tools, region)
        store = ArtifactStore(tools, run.definition.bucket_in(str(region)), self._accounts.partition)
        artifacts = [path.partition("::")[0] for key, path in configuration.items() if key.startswith("Template")]
        role = self._accounts.partition.assume(run.definition.role_arn, run.record.id)
        for artifact in dict.fromkeys(artifacts):
            store.put(run.remembered.artifacts[artifact], self._file(run, artifact), role)

    def _file(self, run: Run, artifact: str) -> Path:
        """Return an artifact's zip; those of earlier executions are only in the bucket."""
        with self._lock:
            if artifact not in run.files:
                file = self._place.folder / "artifacts" / f"{_slug(run.remembered.id[:8], artifact)}.zip"
                role = self._accounts.partition.assume(run.definition.role_arn, run.record.id)
                run.store.get(run.remembered.artifacts[artifact], file, role)
                run.files[artifact] = file
            return run.files[artifact]

    def _ask(self, task: Task, configuration: dict[str, str]) -> None:
        action, definition = task.record, task.definition
        comment, link = configuration.get("CustomData", ""), configuration.get("ExternalEntityLink", "")
        if topic := configuration.get("NotificationArn"):
            client: Any = self._tools.session(self._role(task)).client("sns")
            subject = f"APPROVAL NEEDED: {task.run.definition.name}"
            client.publish(TopicArn=topic, Subject=subject, Message=f"{comment}\n\n{link}")
        self._asked(task)
        pending = Pending(task.stage, definition.name, comment, link)
        answer = self._approvals.wait(pending, while_=lambda: task.run.is_current(task.run.definition))
        said = f": {pending.summary}" if pending.summary else ""
        match answer:
            case ApprovalAnswer.APPROVED:
                action.summary = f"approved{said}"
            case ApprovalAnswer.REJECTED:
                raise RehearsalError(f"rejected{said}")
            case ApprovalAnswer.TIMED_OUT:
                minutes = definition.timeout_minutes or 7 * 24 * 60
                task.clock.wait(60.0 * minutes)
                raise RehearsalError(f"no answer within {minutes / 60:g} hours")
            case None if self._stopping.is_set():
                raise RehearsalError("interrupted")
            case None:
                raise ApprovalCanceledError("the pipeline was changed: the request for approval is withdrawn")


def _slug(*words: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words)).strip("-")
