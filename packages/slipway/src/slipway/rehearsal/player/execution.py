"""The player of the pipeline: stages in order, actions by run order, conditions, self-mutation, retries, rollbacks.

https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html. The played definition is the one
in the tools account.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from slipway.emulator import disk
from slipway.emulator.accounts import Accounts
from slipway.emulator.partition import ApiError, Requester
from slipway.errors import RehearsalError
from slipway.rehearsal.player.actions import Actions, ApprovalCanceledError, Run, Task
from slipway.rehearsal.player.approvals import Approvals
from slipway.rehearsal.player.artifacts import ArtifactStore
from slipway.rehearsal.player.builds import BuildFailedError, BuildPlace
from slipway.rehearsal.player.clock import VirtualClock
from slipway.rehearsal.player.definition import (
    ActionDefinition,
    ConditionDefinition,
    DefinedRule,
    PipelineDefinition,
    StageDefinition,
)
from slipway.rehearsal.player.events import Events
from slipway.rehearsal.player.memory import Memory, Remembered
from slipway.rehearsal.player.pipeline_api import Allowed
from slipway.rehearsal.player.quota import BuildQuotas
from slipway.rehearsal.player.records import Execution, PlayedAction, PlayedCondition, PlayedStage, PlayStatus
from slipway.rehearsal.player.rules import Window, is_in_window, opens_at
from slipway.rehearsal.player.source import Commit

Bakes = Callable[[Mapping[str, str], Sequence[str], datetime], tuple[bool, str]]
"""Plays the rule `CloudWatchAlarm` for its configuration, the environments' accounts and a time; returns whether it
held."""

Passes = Callable[[str, datetime, int], None]
"""Lets minutes of an environment pass, given its account, the start and the number of minutes."""


class View(Protocol):
    """Observer of executions."""

    def execution(self, execution: Execution, definition: PipelineDefinition) -> None:
        """Handle the start of an execution."""

    def stage(self, stage: PlayedStage) -> None:
        """Handle the start or end of a stage, or the evaluation of its condition."""

    def action(self, action: PlayedAction) -> None:
        """Handle the start or end of an action."""

    def progress(self, action: PlayedAction, text: str) -> None:
        """Handle an action's progress."""


class StageFailedError(Exception):
    """A stage failed. The message says why."""


class CanceledError(Exception):
    """The pipeline changed during the execution."""


_EVENT_STATES = {PlayStatus.CANCELED: "CANCELED", PlayStatus.FAILED: "FAILED", PlayStatus.SUCCEEDED: "SUCCEEDED"}
"""Status of an execution or a stage → state in its event.

https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
"""


class Player:
    """Plays executions.

    Args:
        accounts: The running accounts.
        memory: State of the pipeline.
        approvals: Source of answers to approvals.
        events: Receiver of events.
        place: Environment of the builds.
        bake: Plays the bakes.
        view: Shows the progress.
        stopping: Set when everything must stop.
        quotas: Quotas of concurrent builds. Default: those of a new account.
        meanwhile: Called with a stage after each group of its actions. Default: nothing.
        window: Behaviour of a closed deployment window. Default: the execution fails.
        passes: Lets minutes of an environment pass while a build of its stage waits. Default: nothing happens in them.
    """

    def __init__(
        self,
        accounts: Accounts,
        memory: Memory,
        *,
        approvals: Approvals,
        events: Events,
        place: BuildPlace,
        bake: Bakes,
        view: View,
        stopping: threading.Event,
        quotas: BuildQuotas | None = None,
        meanwhile: Callable[[PlayedStage], None] = lambda _: None,
        passes: Passes = lambda *_: None,
        window: Window = Window.FAILS,
    ) -> None:
        self._accounts, self._memory, self._events = accounts, memory, events
        self._bake, self._view, self._stopping = bake, view, stopping
        self._meanwhile, self._passes, self._window = meanwhile, passes, window
        self._tools = accounts.emulators[accounts.tools]
        self._began = time.monotonic()
        self._rolling_back = threading.Lock()
        self._rollback: threading.Thread | None = None
        self.executions: list[Execution] = []
        """All started executions, whatever their result."""
        self.actions = Actions(
            accounts,
            approvals,
            place,
            quotas=quotas or BuildQuotas(),
            progress=view.progress,
            asked=self._tell_of_approval,
            waits=self._wait,
            stopping=stopping,
        )

    def play(self, commit: Commit, start: datetime) -> list[Execution]:
        """Deliver a commit.

        Args:
            commit: The commit for the source action.
            start: Virtual time of its start.

        Returns:
            The execution and those that changes of the pipeline started. The last one has the final result.
        """
        self._memory.end_killed()
        before = len(self.executions)
        while True:
            execution = self._execute(commit, start)
            if execution.status is not PlayStatus.CANCELED or not self._memory.definition.restart_on_update:
                return self.executions[before:]
            start += timedelta(seconds=execution.virtual_seconds)

    def _execute(self, commit: Commit, start: datetime) -> Execution:
        definition = self._memory.definition
        self._began = time.monotonic()
        record = Execution(str(uuid4()), commit.sha, commit.message, definition.version, start.isoformat())
        self.executions.append(record)
        remembered = Remembered(record.id, commit.sha, commit.message, definition.version, start.isoformat())
        self._memory.executions.append(remembered)
        self._memory.keep()
        run = Run(record, definition, remembered, self._store(definition), start, is_current=self._is_current)
        self._view.execution(record, definition)
        self._tell(run, "Pipeline", {"state": "STARTED"})
        try:
            self._stages(run, commit)
        except CanceledError as error:
            record.status, record.reason = PlayStatus.CANCELED, str(error)
            self._events.refresh()
        except (StageFailedError, RehearsalError) as error:
            record.status, record.reason = PlayStatus.FAILED, str(error)
        finally:
            if record.status is PlayStatus.IN_PROGRESS:
                record.status, record.reason = PlayStatus.FAILED, "interrupted"
            record.seconds = time.monotonic() - self._began
            record.virtual_seconds = (run.clock - start).total_seconds()
            remembered.status, remembered.variables = record.status.value, run.variables
            remembered.ended = run.clock.isoformat()
            self._memory.keep()
        played = {stage.name for stage in record.stages}
        record.stages += [
            PlayedStage(each.name, status=PlayStatus.SKIPPED) for each in definition.stages if each.name not in played
        ]
        self._tell(run, "Pipeline", {"state": _EVENT_STATES[record.status]})
        return record

    def _is_current(self, definition: PipelineDefinition) -> bool:
        """Return True if the pipeline still has a definition."""
        return self._memory.has_pipeline and self._memory.definition.version == definition.version

    def _go_on(self, run: Run) -> None:
        """Raise if the pipeline no longer has the definition that the execution plays.

        In QUEUED mode a change of the pipeline cancels every execution once its actions in progress are completed
        (https://docs.aws.amazon.com/codepipeline/latest/userguide/execution-modes.html). That is not a failure of the
        stage: nothing is retried or rolled back.

        Raises:
            CanceledError: The definition has changed.
        """
        if self._is_current(run.definition):
            return
        begins_again = self._memory.has_pipeline and self._memory.definition.restart_on_update
        raise CanceledError(
            "the pipeline was changed, which cancels running executions; "
            + ("it begins again" if begins_again else "they do not start again after the update")
        )

    def _store(self, definition: PipelineDefinition) -> ArtifactStore:
        bucket = definition.bucket_in(self._accounts.region(self._accounts.tools))
        return ArtifactStore(self._tools, bucket, self._accounts.partition)

    def _stages(self, run: Run, commit: Commit) -> None:
        for stage in run.definition.stages:
            if stage.name in run.definition.frozen:
                reason = f"the transition into {stage.name} is disabled: {run.definition.frozen[stage.name]}"
                run.record.stages.append(PlayedStage(stage.name, status=PlayStatus.FAILED, reason=reason))
                raise StageFailedError(reason)
            self._stage(run, stage, commit)
        run.record.status = PlayStatus.SUCCEEDED

    def _stage(self, run: Run, stage: StageDefinition, commit: Commit) -> None:
        record = self._opened(run, stage, "deliver")
        try:
            self._conditions(run, record, "BeforeEntry", stage.before_entry)
            self._groups(run, record, list(stage.groups()), commit)
            self._conditions(run, record, "OnSuccess", stage.on_success)
        except CanceledError as error:
            self._closed(run, record, PlayStatus.CANCELED, str(error))
            raise
        except StageFailedError as error:
            self._closed(run, record, PlayStatus.FAILED, str(error))
            if self._stopping.is_set():
                raise
            self._after_failure(run, stage, record, commit, error)
        else:
            self._closed(run, record, PlayStatus.SUCCEEDED)
        # End the environments of functions that get no more calls, as AWS does.
        for account in {action.account or self._accounts.tools for action in stage.actions}:
            self._accounts.emulators[account].recycle()

    def _after_failure(
        self, run: Run, stage: StageDefinition, failed: PlayedStage, commit: Commit, error: StageFailedError
    ) -> None:
        """Execute the stage's failure condition, or the result of the condition that did not hold."""
        result = stage.on_failure
        unmet = [condition.kind for condition in failed.conditions if condition.status is PlayStatus.FAILED]
        if unmet:
            asked = {"BeforeEntry": stage.before_entry, "OnSuccess": stage.on_success}[unmet[-1]]
            result = asked[0].result
        match result:
            case "RETRY":
                self._retry(run, stage, failed, commit)
            case "ROLLBACK":
                self._roll_back(run, stage)
                raise error
            case _:
                raise error

    def _retry(self, run: Run, stage: StageDefinition, failed: PlayedStage, commit: Commit) -> None:
        """Repeat all actions; or only the failed ones and those after them."""
        groups = list(stage.groups())
        if stage.retry_mode == "FAILED_ACTIONS":
            done = {action.name for action in failed.actions if action.status is PlayStatus.SUCCEEDED}
            groups = [[action for action in group if action.name not in done] for group in groups]
        record = self._opened(run, stage, "retry")
        try:
            self._groups(run, record, [group for group in groups if group], commit, attempt=2)
            self._conditions(run, record, "OnSuccess", stage.on_success)
        except CanceledError as error:
            self._closed(run, record, PlayStatus.CANCELED, str(error))
            raise
        except StageFailedError as error:
            self._closed(run, record, PlayStatus.FAILED, str(error))
            raise
        self._closed(run, record, PlayStatus.SUCCEEDED)

    def _roll_back(self, run: Run, stage: StageDefinition) -> None:
        """Play the stage again with its last successful execution's artifacts."""
        version = run.definition.version
        target = self._memory.last_succeeded(stage.name, version, before=run.record.id)
        record = self._opened(run, stage, "rollback")
        if target is None:
            reason = f"no execution of the pipeline's current structure (version {version}) succeeded there"
            self._closed(run, record, PlayStatus.FAILED, f"nothing to go back to: {reason}")
            return
        if expired := self._expired(run, target):
            self._closed(run, record, PlayStatus.FAILED, expired)
            return
        # The stage now contains the rollback instead of the failed execution.
        run.remembered.stages[stage.name] = PlayStatus.FAILED.value
        back = self._begin_back(run.record, run.definition, stage, target, run.clock)
        try:
            self._play_back(back, stage, record, target)
        finally:
            run.clock = back.clock

    def roll_back(self, stage: str, target: str, at: datetime) -> str:
        """Start a manual rollback of a stage, as RollbackStage does; `join_rollback` waits for its end.

        https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_RollbackStage.html and
        https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html. CodePipeline's pages don't say
        that a rollback evaluates the stage's conditions, so only its actions are played, as after a failed stage.

        Args:
            stage: Name of the stage.
            target: Id of the execution to return to.
            at: Virtual time of its start.

        Returns:
            Id of the rollback's own execution.

        Raises:
            ApiError: CodePipeline refuses it.
        """
        with self._rolling_back:
            definition = self._memory.definition
            found = self._memory.rollback_target(stage, target)
            place = next(each for each in definition.stages if each.name == stage)
            record = Execution(str(uuid4()), found.commit, found.message, definition.version, at.isoformat())
            self.executions.append(record)
            back = self._begin_back(record, definition, place, found, at)
        self._began = time.monotonic()
        self._rollback = threading.Thread(target=self._roll_back_by_hand, args=(back, place, found), daemon=True)
        self._rollback.start()
        return record.id

    def join_rollback(self) -> None:
        """Wait for the end of the rollback that `roll_back` started."""
        if self._rollback is not None:
            self._rollback.join()

    def _roll_back_by_hand(self, back: Run, stage: StageDefinition, target: Remembered) -> None:
        record, began, start = back.record, time.monotonic(), back.clock
        self._view.execution(record, back.definition)
        played = self._opened(back, stage, "rollback")
        try:
            if expired := self._expired(back, target):
                back.remembered.status = PlayStatus.FAILED.value
                self._closed(back, played, PlayStatus.FAILED, expired)
            else:
                self._play_back(back, stage, played, target)
        except CanceledError as error:
            record.reason = str(error)
        finally:
            if played.status is PlayStatus.IN_PROGRESS:
                self._closed(back, played, PlayStatus.FAILED, "interrupted")
                back.remembered.status = PlayStatus.FAILED.value
            record.status, record.reason = played.status, record.reason or played.reason
            record.seconds = time.monotonic() - began
            record.virtual_seconds = (back.clock - start).total_seconds()
            back.remembered.ended = back.clock.isoformat()
            self._memory.keep()
        self._tell(back, "Pipeline", {"state": _EVENT_STATES[record.status]})
        for account in {action.account or self._accounts.tools for action in stage.actions}:
            self._accounts.emulators[account].recycle()

    def _begin_back(
        self,
        record: Execution,
        definition: PipelineDefinition,
        stage: StageDefinition,
        target: Remembered,
        at: datetime,
    ) -> Run:
        """Return the execution of type ROLLBACK that enters a stage, with the target's artifacts and variables."""
        # An automatic rollback has its own id, but is shown within the failed execution.
        own = record.id if record.id not in {each.id for each in self._memory.executions} else str(uuid4())
        remembered = Remembered(
            own, target.commit, target.message, definition.version, at.isoformat(), target=target.id
        )
        remembered.artifacts, remembered.variables = dict(target.artifacts), dict(target.variables)
        remembered.stages[stage.name] = PlayStatus.IN_PROGRESS.value
        self._memory.executions.append(remembered)
        self._memory.keep()
        store = self._store(definition)
        back = Run(record, definition, remembered, store, at, dict(target.variables), is_current=self._is_current)
        self._tell(back, "Pipeline", {"state": "STARTED", "rollback-metadata": {}})
        return back

    def _play_back(self, back: Run, stage: StageDefinition, record: PlayedStage, target: Remembered) -> None:
        """Play the actions of a stage with the artifacts of the execution that it returns to."""
        remembered = back.remembered
        try:
            self._groups(back, record, list(stage.groups()), None)
        except CanceledError as error:
            remembered.status = PlayStatus.CANCELED.value
            self._closed(back, record, PlayStatus.CANCELED, str(error))
            raise
        except StageFailedError as failure:
            remembered.status = PlayStatus.FAILED.value
            self._closed(back, record, PlayStatus.FAILED, str(failure))
        else:
            remembered.status = PlayStatus.SUCCEEDED.value
            self._closed(back, record, PlayStatus.SUCCEEDED, f"back to {target.commit[:12]}: {target.message}")
        remembered.ended = back.clock.isoformat()
        self._memory.keep()

    def _expired(self, run: Run, target: Remembered) -> str:
        """Return S3's error for a rollback target whose artifacts have expired; empty if they exist."""
        days = run.store.expires_after
        if days is None or run.clock - datetime.fromisoformat(target.started) <= timedelta(days=days):
            return ""
        return (
            f"nothing to go back to: the artifacts of {target.commit[:12]} are older than the {days} days that the "
            "bucket keeps them: The specified key does not exist."
        )

    def _opened(self, run: Run, stage: StageDefinition, kind: str) -> PlayedStage:
        record = PlayedStage(stage.name, kind)
        run.record.stages.append(record)
        run.remembered.stages[stage.name] = PlayStatus.IN_PROGRESS.value
        self._memory.keep()
        self._view.stage(record)
        self._tell(run, "Stage", {"stage": stage.name, "state": "STARTED"})
        return record

    def _closed(self, run: Run, record: PlayedStage, status: PlayStatus, reason: str = "") -> None:
        record.status, record.reason = status, reason
        run.remembered.stages[record.name] = status.value
        self._memory.keep()
        self._view.stage(record)
        self._tell(run, "Stage", {"stage": record.name, "state": _EVENT_STATES[status]})

    def _conditions(self, run: Run, record: PlayedStage, kind: str, conditions: Sequence[ConditionDefinition]) -> None:
        for rule in (rule for condition in conditions for rule in condition.rules):
            began = run.clock
            try:
                held, detail = self._rule(run, record, rule)
            except (ClientError, BotoCoreError, ApiError, RehearsalError) as error:
                held, detail = False, str(error)
            except Exception as error:  # noqa: BLE001  # as with an action
                held, detail = False, f"the player failed: {type(error).__name__}: {error}"
            status = PlayStatus.SUCCEEDED if held else PlayStatus.FAILED
            seconds = (run.clock - began).total_seconds()
            record.conditions.append(PlayedCondition(kind, rule.name, status, detail, seconds))
            self._view.stage(record)
            self._go_on(run)
            if not held:
                raise StageFailedError(f"{record.name}: {rule.name} does not hold: {detail}")

    def _rule(self, run: Run, record: PlayedStage, rule: DefinedRule) -> tuple[bool, str]:
        match rule.provider:
            case "DeploymentWindow":
                zone = rule.configuration.get("TimeZone", "UTC")
                text = f"{run.clock:%a %H:%M} UTC; {rule.configuration['Cron']} {zone}"
                if is_in_window(rule.configuration, run.clock) or self._window is Window.FAILS:
                    return is_in_window(rule.configuration, run.clock), text
                opens = opens_at(rule.configuration, run.clock)
                if opens is None:
                    return False, text
                run.clock = opens
                return True, f"{text}; waited until {opens:%a %H:%M} UTC"
            case "CloudWatchAlarm":
                self._may_see(run.definition.role_arn, rule.configuration["AlarmName"])
                held, detail = self._bake(rule.configuration, self._environments(record), run.clock)
                run.clock += timedelta(minutes=float(rule.configuration.get("WaitTime", "0")))
                return held, detail
            case _:
                raise RehearsalError(f"the player does not support the rule {rule.provider}")

    def _wait(self, task: Task, seconds: float) -> None:
        """Let virtual time pass in a build, during which callers use what its stage has deployed."""
        stage = next(each for each in task.run.definition.stages if each.name == task.stage)
        environments = {action.account for action in stage.actions} - {None, self._accounts.tools}
        for account in sorted(filter(None, environments)):
            self._passes(account, task.clock.now, round(seconds / 60))
        task.clock.wait(seconds)

    def _may_see(self, role_arn: str, alarm: str) -> None:
        """Check with IAM that the pipeline's role may read the alarm; the emulator would check it for all alarms."""
        region, account = self._tools.region, self._tools.account
        arn = f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}"
        if not self._accounts.partition.allowed(account, role_arn, "cloudwatch:DescribeAlarms", arn):
            raise RehearsalError(f"{role_arn} may not see the alarm {alarm}")

    def _environments(self, record: PlayedStage) -> list[str]:
        """Return the accounts that a stage deploys to: several if it has environments side by side."""
        labels = {action.account for action in record.actions} - {self._accounts.label(self._accounts.tools)}
        accounts = [account for account in self._accounts.ids if self._accounts.label(account) in labels]
        if not accounts:
            raise RehearsalError(f"{record.name} deploys to no account, so there is nothing to watch")
        return accounts

    def _groups(
        self,
        run: Run,
        record: PlayedStage,
        groups: Sequence[Sequence[ActionDefinition]],
        commit: Commit | None,
        *,
        attempt: int = 1,
    ) -> None:
        """Play groups of actions one after the other, those within a group in parallel."""
        for group in groups:
            if self._stopping.is_set():
                raise StageFailedError("interrupted")
            tasks = [self._task(run, record, definition, commit, attempt) for definition in group]
            with ThreadPoolExecutor(len(tasks)) as pool:
                list(pool.map(self._act, tasks))
            actions = [task.record for task in tasks]
            run.clock += timedelta(seconds=max(action.virtual_seconds for action in actions))
            self._meanwhile(record)
            self._go_on(run)
            failed = [action for action in actions if action.status is PlayStatus.FAILED]
            if failed:
                run.remembered.failed.append(record.name)
                raise StageFailedError(f"{record.name}/{failed[0].name}: {failed[0].error}")

    def _task(
        self, run: Run, record: PlayedStage, definition: ActionDefinition, commit: Commit | None, attempt: int
    ) -> Task:
        action = PlayedAction(
            name=definition.name,
            provider=definition.provider,
            account=self._accounts.label(definition.account or self._accounts.tools),
            run_order=definition.run_order,
            attempt=attempt,
            started=time.monotonic() - self._began,
            virtual_start=run.clock.isoformat(),
        )
        record.actions.append(action)
        return Task(run, record.name, definition, action, VirtualClock(run.clock), commit)

    def _act(self, task: Task) -> None:
        action, begin = task.record, time.monotonic()
        self._view.action(action)
        try:
            self.actions.do(task)
            action.status = PlayStatus.SUCCEEDED
        except ApprovalCanceledError as error:
            action.status, action.error = PlayStatus.CANCELED, str(error)
            self._tell_of_approval(task, "CANCELED")
        except BuildFailedError as error:
            action.error, action.tests = str(error), error.tests
        except (RehearsalError, ApiError) as error:
            action.error = str(error)
        except (ClientError, BotoCoreError) as error:
            action.error = f"refused: {error}"
        except OSError as error:
            action.error = disk.said(error)
        except Exception as error:  # noqa: BLE001  # a fault of the player ends the action, and not the record of the rest
            action.error = f"the player failed: {type(error).__name__}: {error}"
        if action.status not in {PlayStatus.SUCCEEDED, PlayStatus.CANCELED}:
            action.status = PlayStatus.FAILED
            if self._stopping.is_set():
                action.error = "interrupted"
        action.seconds = time.monotonic() - begin
        action.virtual_seconds = max(task.clock.seconds, action.seconds)
        self._view.action(action)

    def _tell_of_approval(self, task: Task, state: str = "STARTED") -> None:
        kind = {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"}
        detail = {"stage": task.stage, "action": task.definition.name, "state": state, "type": kind}
        self._tell(task.run, "Action", detail)

    def _tell(self, run: Run, kind: str, detail: Mapping[str, Any]) -> None:
        about = {
            "pipeline": run.definition.name,
            "execution-id": run.remembered.id,
            "version": float(run.definition.version),
        }
        self._events.pipeline(kind, {**about, **detail}, run.clock)


def allowed(accounts: Accounts, events: Events, pipeline: str) -> Allowed:
    """Return a function that decides, with the tools account's IAM, if a caller may act on the pipeline.

    Args:
        accounts: The running accounts.
        events: Knows the role of the running function.
        pipeline: The pipeline's name.
    """

    def ask(caller: Requester, action: str, stage: str = "") -> bool:
        if caller.account != accounts.tools:
            return False
        if caller.access_key_id == caller.account:
            return True
        role = f"arn:aws:iam::{caller.account}:role/{caller.role}" if caller.role else events.calling
        if role is None:
            return False
        arn = f"arn:aws:codepipeline:{accounts.region(accounts.tools)}:{accounts.tools}:{pipeline}"
        arn += f"/{stage}" if stage else ""
        return accounts.partition.allowed(accounts.tools, role, action, arn)

    return ask
