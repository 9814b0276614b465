"""Faults on demand: commits with a fault, and the required result of each.

A fault is an edit of a commit's files, so that everything after it is the pipeline's own reaction. The faults change
one service: the first that declares their inputs in `services/<name>/faults.py`, else the first with an API, else the
first with a worker. A fault that needs an API, a declaration, an approval or a canary is omitted without one. Where a
fault shows depends on the order and kinds of the configured environments, not on their names.
"""

from __future__ import annotations

import re
import runpy
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway import git
from slipway.delivery.names import approval_stage
from slipway.errors import RehearsalError
from slipway.project import ROOT
from slipway.rehearsal.player.approvals import ApprovalAnswer
from slipway.rehearsal.player.bake import AlarmRule
from slipway.rehearsal.player.records import NO_API, Execution, PlayedStage, PlayStatus, Rehearsal
from slipway.rehearsal.player.source import Commit
from slipway.settings import Environment, Settings
from slipway.settings.model import EnvironmentKind
from slipway.settings.shifts import ShiftKind

DELIVERED, ALIASES_MOVED, STAGES_ROLLED_BACK = "delivered", "aliases moved back", "stages rolled back"
"""Steps of `Rehearsal.taken_back`."""
FEW = 10
"""Requests per virtual minute to each function of environments without the fault."""
_RARE_FROM = 3
"""Minute of the bake from which a new kind of request arrives."""

_ENTRIES = ("api", "worker")
"""Entry modules of a service, in order of preference."""


@dataclass(frozen=True, kw_only=True)
class FaultTarget:
    """The service that the faults change, and the environments in which they must show.

    Attributes:
        service: Name of the service.
        entry: Module of the function that they change: `api` or `worker`.
        folder: The project's root.
        first: The environment that a change enters first.
        before_last: The environment before the last one; the last one if there is no other.
        production: The first production environment; the last environment without production.
        shifts: True if production shifts its traffic gradually, under alarms.
        bakes: True if production's alarms are watched for some minutes afterwards.
        approval: The environment that is entered after an approval; None if none is.
        probed: True if a probe checks the service in production while it bakes.
    """

    service: str
    entry: str
    folder: Path
    first: str
    before_last: str
    production: str
    shifts: bool
    bakes: bool
    approval: str | None
    probed: bool = False

    @property
    def has_api(self) -> bool:
        """Return True if the service has an API."""
        return self.entry == "api"

    @property
    def file(self) -> str:
        """The module of its function, from the project's root."""
        return f"services/{self.service}/runtime/{self.entry}.py"

    @property
    def routes(self) -> str:
        """The module of its routes."""
        return f"services/{self.service}/runtime/routes.py"

    @property
    def has_routes(self) -> bool:
        """Return True if that module exists."""
        return (self.folder / self.routes).is_file()

    @property
    def infrastructure(self) -> str:
        """The module of its infrastructure."""
        return f"services/{self.service}/infrastructure.py"

    @property
    def in_production(self) -> str:
        """A Python condition that is only true in production."""
        return _is('os.environ["ENVIRONMENT"]', self.production)

    def declared(self, name: str) -> Mapping[str, Any]:
        """Return a constant that the service declares; empty if it doesn't."""
        file = self.folder / "services" / self.service / "faults.py"
        if not file.is_file():
            return {}
        # By its path, since the project may differ from the one that Python imports from.
        found: Mapping[str, Any] = runpy.run_path(str(file)).get(name, {})
        return found


def find_target(settings: Settings, services: Sequence[str] = (), *, folder: Path = ROOT) -> FaultTarget | None:
    """Return the target of the faults.

    Args:
        settings: All of `config/`.
        services: The rehearsed services. Default: all.
        folder: The project's root. Default: this project's.

    Returns:
        None if no service has an API or a worker.
    """
    found = [
        (not (file.parents[1] / "faults.py").is_file(), place, file.parents[1].name, entry)
        for place, entry in enumerate(_ENTRIES)
        for file in (folder / "services").glob(f"*/runtime/{entry}.py")
        if not services or file.parents[1].name in services
    ]
    if not found:
        return None
    *_, service, entry = min(found)
    environments = settings.environments
    production = (*settings.of_kind(EnvironmentKind.PRODUCTION), environments[-1])[0]
    return FaultTarget(
        service=service,
        entry=entry,
        folder=folder,
        first=environments[0].name,
        before_last=environments[-2:][0].name,
        production=production.name,
        shifts=production.deployment.shift.kind is not ShiftKind.ALL_AT_ONCE,
        bakes=production.deployment.bake_minutes > _RARE_FROM,
        approval=next(iter(settings.pipeline.approval_before), None),
        probed=_is_probed(production, service),
    )


def _is_probed(environment: Environment, service: str) -> bool:
    """Return True if a probe of a service runs in the minutes of a bake after `_RARE_FROM`."""
    probe = getattr(getattr(environment.services, service, None), "probe", None)
    return probe is not None and environment.deployment.bake_minutes >= _RARE_FROM + probe.every_minutes


# Appended to the module, so that every event meets the fault before its handler.
_AROUND = '''

import os

_sound = handler


def handler(event, context):
    """Answers with a fault."""
{body}
    return _sound(event, context)
'''

_SOME_FAIL = """    global _calls
    _calls += 1
    if {where} and _calls % {every} == 0:
        raise RuntimeError("one request in {every} fails")
"""

# Appended to the routes: it fails inside them, where the code catches the error and answers with 500.
_SOME_ANSWER_500 = '''

import os

_calls = 0


def _fail_some(app, next_middleware):
    """Fails now and then."""
    global _calls
    _calls += 1
    if {where} and _calls % {every} == 0:
        raise RuntimeError("one request in {every} fails")
    return next_middleware(app)


app.use(middlewares=[_fail_some])
'''


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: Its value of FAULT.
        what: Description in one sentence.
        watched: The environment that must answer as before in any case.
        edits: Function from a file's old text to its new text, by file.
        stops_at: Stage that must stop the commit; None if it must be delivered.
        because: Text that the reason must contain.
        rolled_back: True if CodeDeploy or CloudFormation must roll something back.
        answer: Answer to the approval.
        requests_a_minute: Requests in the watched environment, if the fault needs more or fewer than usual. It does
            nothing in the other environments then, which get `FEW`.
        base_edits: Edits of the earlier commit in the accounts, for a fault that is already there.
        kills: Stage during whose deployment the player is killed and restarted.
        changes_pipeline: Stage during which somebody else changes the pipeline, which cancels running executions.
        rare_from: Minute of the watched environment's bake from which a new kind of request arrives. Default: never.
        alarm_rule: What the rule `CloudWatchAlarm` does with its wait time.
        no_builds: True if other builds use up the account's quota of concurrent builds.
        throttles: True if the function has no concurrency left when a hook first calls it.
        goes_back: True if the stage is rolled back successfully.
        rollback_refused: Text in the reason for which the rollback of the stage fails. The accounts are deleted
            afterwards, because the refusal would recur.
        found_by: Headers of the request that finds the fault after the delivery; an operator then rolls the watched
            environment back. Empty: no rollback.
        service: The service that is rolled back. Default: none.
    """

    name: str
    what: str
    watched: str
    edits: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    stops_at: str | None = None
    because: str = ""
    rolled_back: bool = False
    answer: ApprovalAnswer = ApprovalAnswer.APPROVED
    requests_a_minute: int | None = None
    base_edits: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    kills: str | None = None
    changes_pipeline: str | None = None
    rare_from: int | None = None
    alarm_rule: AlarmRule = AlarmRule.AT_ONCE
    no_builds: bool = False
    throttles: bool = False
    goes_back: bool = False
    rollback_refused: str = ""
    found_by: Mapping[str, str] = field(default_factory=dict)
    service: str = ""

    def rare(self, environment: str, minute: int) -> list[dict[str, Any]]:
        """Return the content of additional requests to an environment's functions in a minute of its bake."""
        begun = self.rare_from is not None and minute >= self.rare_from
        return [_RARE] if begun and environment == self.watched else []

    def requests_in(self, environments: Sequence[str], usual: int) -> dict[str, int]:
        """Return the requests to each function per virtual minute.

        Args:
            environments: Names of the environments.
            usual: Number of requests, unless the fault requires a different one.

        Returns:
            Environment → number of requests.
        """
        if self.requests_a_minute is None:
            return dict.fromkeys(environments, usual)
        return dict.fromkeys(environments, FEW) | {self.watched: self.requests_a_minute}


def _appended(text: str) -> Callable[[str], str]:
    return lambda before: before + text


def _around(body: str, *, before: str = "") -> Callable[[str], str]:
    return _appended(f"{before}{_AROUND.format(body=body.rstrip())}")


def _is(variable: str, environment: str) -> str:
    """Return a condition that identifies an environment without its name: the gate refuses assets that mention one."""
    return f'{variable}.encode().hex() == "{environment.encode().hex()}"'


def _failing(every: int, where: str) -> Callable[[str], str]:
    body = _SOME_FAIL.format(every=every, where=where)
    return _around(body, before="\n\n_calls = 0\n")


def _answering_500(every: int, where: str) -> Callable[[str], str]:
    return _appended(_SOME_ANSWER_500.format(every=every, where=where))


def _replaced(old: str, new: str) -> Callable[[str], str]:
    def replace(before: str) -> str:
        if before.count(old) != 1:
            raise RehearsalError(f"the fault does not apply to this commit: {old!r} occurs {before.count(old)} times")
        return before.replace(old, new)

    return replace


_PATH = '(event.get("path") or event.get("rawPath"))'
"""The path of a request to a REST or an HTTP API."""


def _unwell(where: str) -> Callable[[str], str]:
    """Return the edit that makes the health check answer `fine` instead of `ok`."""
    return _appended(
        "\n\nimport os\n\n_sound = handler\n\n\n"
        "def handler(event, context):\n"
        '    """Answers with a fault."""\n'
        "    answer = _sound(event, context)\n"
        f'    if {where} and {_PATH} == "/health":\n'
        '        answer["body"] = answer["body"].replace(\'"ok"\', \'"fine"\')\n'
        "    return answer\n"
    )


def _first(target: FaultTarget, fault: str) -> Mapping[str, Callable[[str], str]]:
    """Return the service's declared edit at the start of its handler; empty if it declares none."""
    declared = target.declared("BEFORE_THE_HANDLER")
    return {target.file: _around(declared[fault])} if fault in declared else {}


def _other(target: FaultTarget, fault: str) -> Mapping[str, Callable[[str], str]]:
    """Return the service's declared replacement; empty if it declares none."""
    declared = target.declared("REPLACED")
    if fault not in declared:
        return {}

    def edit(text: str) -> str:
        for old, new in declared[fault]:
            text = _replaced(old, new)(text)
        return text

    return {target.infrastructure: edit}


_RARE = {"headers": {"x-rare": "1"}}
"""Content of a kind of request that is not sent before the bake."""

_WRONG_AFTER_RARE = """

import os

_sound, _seen = handler, set()


def handler(event, context):
    \"\"\"Answers with a fault.\"\"\"
    answer = _sound(event, context)
    if {where} and (event.get("headers") or {{}}).get("x-rare"):
        _seen.add("rare")
    return {{**answer, "statusCode": 200, "body": "{{}}"}} if _seen else answer
"""
"""A kind of request that is not sent before the bake corrupts the state, and later answers are wrong."""

_MARK = _appended("\n# The same again, so that there is a new version.\n")


def list_faults(target: FaultTarget | None) -> tuple[Fault, ...]:
    """Return the faults that suit a service and the environments; the one that leaves unusable accounts comes last.

    Args:
        target: The target. None: no faults.
    """
    if target is None:
        return ()
    return (
        *_of_code(target),
        *_of_declarations(target),
        *_of_bake(target),
        *_of_probes(target),
        *_of_hindsight(target),
        *_of_delivery(target),
        *_refused_back(target),
    )


def _of_code(target: FaultTarget) -> Iterator[Fault]:
    """Yield faults in the code of any service."""
    first, last, where = target.first, target.production, target.in_production
    yield Fault(
        name="import-crash",
        what="the function cannot be imported",
        watched=last,
        edits={target.file: _appended('\n\nraise RuntimeError("this version cannot be imported")\n')},
        stops_at=first,
        because="BeforeAllowTraffic",
        rolled_back=True,
    )
    if target.shifts:
        yield Fault(
            name="error-rate=5%",
            what=f"only in {last}, one request in twenty fails",
            watched=last,
            edits={target.file: _failing(20, where)},
            stops_at=last,
            because="Errors",
            rolled_back=True,
            # In the canary's five minutes, thirty requests reach the new version, and the twentieth fails.
            requests_a_minute=60,
        )
    if target.has_routes and target.shifts:
        yield Fault(
            name="server-errors=5%",
            what=f"only in {last}, one request in twenty is answered with 500, which Lambda doesn't count as an error",
            watched=last,
            edits={target.routes: _answering_500(20, where)},
            stops_at=last,
            because="Faults",
            rolled_back=True,
            # Forty to the new version, of which two in three reach a route.
            requests_a_minute=80,
        )
    if target.has_api and target.shifts:
        slow = f'    if {where} and {_PATH} != "/health":\n        time.sleep(3)\n'
        yield Fault(
            name="latency=3s",
            what=f"only in {last}, each request takes three more seconds",
            watched=last,
            edits={target.file: _around(slow, before="\n\nimport time\n")},
            stops_at=last,
            because="Latency",
            rolled_back=True,
            requests_a_minute=30,
        )


def _of_declarations(target: FaultTarget) -> Iterator[Fault]:
    """Yield the service-specific faults that it declares, and those that its tests find."""
    first, last = target.first, target.production
    if edits := _first(target, "hook-fails"):
        yield Fault(
            name="hook-fails",
            what="the new version breaks its contract: it accepts an item without a name",
            watched=last,
            edits=edits,
            stops_at=first,
            because="BeforeAllowTraffic reported Failed",
            rolled_back=True,
        )
    if edits := _first(target, "wrong-answer-compared"):
        yield Fault(
            name="wrong-answer-compared",
            what="a list answers 200 with an item that does not exist: only the comparison with the previous "
            "version shows it",
            watched=last,
            edits=edits,
            stops_at=first,
            because="differs from version",
            rolled_back=True,
        )
    if edits := _other(target, "permission-missing"):
        yield Fault(
            name="permission-missing",
            what="the function is no longer allowed to write to its table",
            watched=last,
            edits=edits,
            stops_at=first,
            because="Verify",
        )
    if edits := _other(target, "template-invalid"):
        yield Fault(
            name="template-invalid",
            what="a template refers to a resource that does not exist",
            watched=last,
            edits=edits,
            stops_at="Build",
            because="Synth",
        )
    if target.has_api:
        yield Fault(
            name="test-fails",
            what="the service deploys, but fails its tests: the health check says `fine`",
            watched=last,
            edits={target.file: _unwell("True")},
            stops_at=first,
            because="Verify",
        )


def _of_bake(target: FaultTarget) -> Iterator[Fault]:
    """Yield faults that only time shows: an old bug, and one that appears while the alarms are watched."""
    last, where = target.production, target.in_production
    if target.has_routes:
        yield Fault(
            name="already-failing",
            what=f"{last} is in alarm from an old bug that answers with 500, and this commit fixes it",
            watched=last,
            # Two of three requests reach a route. The environment's alarm on 5xx becomes active above ten per minute.
            base_edits={target.routes: _answering_500(1, where)},
            edits={target.file: _MARK},
            requests_a_minute=30,
        )
    if not target.bakes:
        return
    rare_fails = _failing_rarely(where)
    seen = f"{last} fails on a kind of request that first arrives in the third minute of the bake"
    for name, what, rule in (
        ("alarm-in-bake", f"{seen}; the condition's rule succeeds at once", AlarmRule.AT_ONCE),
        ("alarm-in-watched-bake", "the same, but the condition's rule watches for its wait time", AlarmRule.WATCHES),
    ):
        yield Fault(
            name=name,
            what=what,
            watched=last,
            edits={target.file: rare_fails},
            stops_at=last,
            because="was ALARM after",
            goes_back=True,
            rare_from=_RARE_FROM,
            alarm_rule=rule,
        )


def _of_probes(target: FaultTarget) -> Iterator[Fault]:
    """Yield faults that only a probe detects."""
    if not (target.has_api and target.bakes and target.probed):
        return
    last = target.production
    yield Fault(
        name="wrong-answer",
        what=f"in the third minute of {last}'s bake a new kind of request arrives, after which answers are wrong, "
        f"with status "
        "200: no error for Lambda and no 5xx, so only the probe, which reads the body, notices",
        watched=last,
        edits={target.file: _appended(_WRONG_AFTER_RARE.format(where=target.in_production))},
        stops_at=last,
        because="ProbeFailed",
        goes_back=True,
        rare_from=_RARE_FROM,
    )


def _failing_rarely(where: str) -> Callable[[str], str]:
    """Return the edit that makes a kind of request fail that is not sent before the bake."""
    return _around(
        f'    if {where} and (event.get("headers") or {{}}).get("x-rare"):\n'
        '        raise RuntimeError("nobody thought of this kind of request")\n'
    )


def _of_hindsight(target: FaultTarget) -> Iterator[Fault]:
    """Yield faults that only show after the delivery and need a manual rollback."""
    last = target.production
    if target.has_api:
        yield Fault(
            name="found-after-delivery",
            what=f"{last} fails on a kind of request that only arrives after the delivery; an operator rolls "
            f"{last} back",
            watched=last,
            edits={target.file: _failing_rarely(target.in_production)},
            found_by={"x-rare": "1"},
            service=target.service,
        )


def _of_delivery(target: FaultTarget) -> Iterator[Fault]:
    """Yield faults in the surroundings of a sound commit."""
    last, sound = target.production, {target.file: _MARK}
    if target.approval:
        yield Fault(
            name="approval-rejected",
            what="the approver says no",
            watched=last,
            edits=sound,
            stops_at=approval_stage(target.approval),
            because="rejected",
            answer=ApprovalAnswer.REJECTED,
        )
    yield Fault(
        name="pipeline-changed",
        what=f"somebody changes the pipeline while {last} deploys: the execution is canceled and starts again",
        watched=last,
        edits=sound,
        changes_pipeline=last,
    )
    yield Fault(
        name="hook-throttled",
        what="the function has no concurrency left for the check before traffic, for some seconds",
        watched=last,
        edits=sound,
        throttles=True,
    )
    yield Fault(
        name="build-quota",
        what="other builds of the account use up its quota of concurrent builds",
        watched=last,
        edits=sound,
        stops_at="Build",
        because="AccountLimitExceededException",
        no_builds=True,
    )
    yield Fault(
        name="killed",
        what=f"the player is killed while {target.before_last} deploys, and the next run continues",
        watched=last,
        edits=sound,
        kills=target.before_last,
    )


def _refused_back(target: FaultTarget) -> Iterator[Fault]:
    """Yield the refused rollback, which leaves accounts that no other fault can be played in."""
    last = target.production
    if target.has_api and (edits := _other(target, "rollback-refused")):
        yield Fault(
            name="rollback-refused",
            what=f"a version that adds a key fails its tests in {last}, and the stack policy refuses to remove the key "
            "again",
            watched=last,
            edits={target.file: _unwell(target.in_production), **edits},
            stops_at=last,
            because="Verify",
            rollback_refused="Action denied by stack policy",
        )


def find(name: str, faults: Sequence[Fault]) -> Fault:
    """Return the fault of a name.

    Raises:
        RehearsalError: The name is unknown.
    """
    for fault in faults:
        if fault.name == name:
            return fault
    known = ", ".join(fault.name for fault in faults)
    said = f"choose from {known}" if known else "no service that is rehearsed has runtime/api.py or runtime/worker.py"
    raise RehearsalError(f"unknown fault {name!r}; {said}", exit_code=2)


def commit_with(commit: Commit, edits: Mapping[str, Callable[[str], str]], message: str, folder: Path) -> Commit:
    """Create a commit on top of another one, in its own repository: the checkout does not change.

    Args:
        commit: The parent commit.
        edits: Function from a file's old text to its new text, by file.
        message: First line of its message.
        folder: A new folder for the repository.

    Raises:
        RehearsalError: git fails, or an edit does not apply.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    git.output(folder.parent, "clone", "--quiet", "--shared", "--no-checkout", str(commit.repository), str(folder))
    git.output(folder, "checkout", "--quiet", "--detach", commit.sha)
    for name, edit in edits.items():
        file = folder / name
        if not file.is_file():
            raise RehearsalError(f"the fault does not apply to this commit: it has no {name}")
        before = file.read_text(encoding="utf-8")
        after = edit(before)
        if after == before:
            raise RehearsalError(f"the fault does not apply to this commit: it doesn't change {name}")
        file.write_text(after, encoding="utf-8")
    author = git.identity("Rehearsal", "rehearsal@localhost")
    git.output(folder, "commit", "--quiet", "--all", "--no-verify", "--message", message, variables=author)
    return Commit.of(folder, "HEAD", branch=commit.branch)


def judge(fault: Fault, record: Rehearsal) -> str | None:
    """Return why a run with a fault did not end as it must; None if it did.

    Returns:
        The difference from the required end, or None.
    """
    last = record.executions[-1] if record.executions else None
    if last is None:
        return "nothing was played"
    if fault.base_edits and not record.in_alarm:
        return "no alarm was active before it"
    if fault.changes_pipeline and (complaint := _canceled(fault.changes_pipeline, record)):
        return complaint
    if fault.found_by:
        return _taken_back(fault, record)
    if fault.stops_at is None:
        return None if record.delivered else f"it was not delivered: {last.reason}"
    stopped = last.stopped
    if stopped is None:
        return "it was not stopped"
    if not _is_at(stopped.name, fault.stops_at):
        return f"it was stopped at {stopped.name}, not at {fault.stops_at}: {last.reason}"
    if fault.because not in f"{last.reason} {stopped.reason}":
        return f"it was stopped for a reason other than {fault.because}: {last.reason}"
    if fault.rolled_back and not _rolled_back(last):
        return "nothing was rolled back"
    rollback = next((stage for stage in last.stages if stage.kind == "rollback"), None)
    if fault.rollback_refused:
        # The new version stays deployed: the runbook says how to continue.
        return _refused(fault.rollback_refused, rollback)
    if fault.goes_back and (rollback is None or rollback.status is not PlayStatus.SUCCEEDED):
        return f"the stage did not roll back: {rollback.reason if rollback else 'no rollback was attempted'}"
    return _changed(record, fault.watched, deployed_again=fault.goes_back)


def _taken_back(fault: Fault, record: Rehearsal) -> str | None:
    """Return what is wrong with a manual rollback, first of the aliases, then of the stages; None if nothing is."""
    first, *others = record.executions
    if first.status is not PlayStatus.SUCCEEDED:
        return f"it was not delivered: {first.reason}"
    for step, answers in record.taken_back.items():
        answer = answers.get(fault.service, "nothing")
        if not answer.startswith("5" if step == DELIVERED else "200"):
            return f"{step}: {fault.service} of {fault.watched} answers {answer}"
    if set(record.taken_back) != {DELIVERED, ALIASES_MOVED, STAGES_ROLLED_BACK}:
        return f"the rollback only reached {', '.join(record.taken_back)}"
    if not others or any(each.status is not PlayStatus.SUCCEEDED for each in others):
        return f"a stage was not rolled back: {', '.join(each.reason for each in others)}"
    return _changed(record, fault.watched, deployed_again=True)


def _is_at(stage: str, place: str) -> bool:
    """Return True if a stage has the name, or belongs to the environment."""
    return stage == place or stage.startswith(f"{place}-")


def _canceled(stage: str, record: Rehearsal) -> str | None:
    """Return the fault in an execution that a changed pipeline must cancel in a stage."""
    canceled = [each for each in record.executions if each.status is PlayStatus.CANCELED]
    stages = [each for execution in canceled for each in execution.stages if each.status is PlayStatus.CANCELED]
    if not any(each.name.startswith(f"{stage}-") for each in stages):
        return f"nothing was canceled in {stage}"
    if any(each.kind == "rollback" for execution in canceled for each in execution.stages):
        return "the canceled execution was rolled back"
    return None


def _refused(words: str, rollback: PlayedStage | None) -> str | None:
    if rollback is None:
        return "no rollback was attempted"
    if rollback.status is PlayStatus.SUCCEEDED:
        return "the rollback was not refused"
    return None if words in rollback.reason else f"the rollback failed for a different reason: {rollback.reason}"


def _changed(record: Rehearsal, environment: str, *, deployed_again: bool = False) -> str | None:
    """Return how an environment's answers differ from those before the run; None if they don't.

    Args:
        record: The run.
        environment: Name of the environment.
        deployed_again: True if the earlier code was deployed again: its versions have new numbers then,
            since Lambda publishes one for code that differs from the last one's
            (https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html).
    """
    before, now = record.before.get(environment, {}), record.served.get(environment, {})
    for service in before:
        answer = now.get(service, "nothing")
        if not answer.startswith(("200", NO_API)):
            return f"{service} of {environment} answers {answer}"
        one, other = (_NUMBER.sub("", each) if deployed_again else each for each in (answer, before[service]))
        if one != other:
            return f"{service} of {environment} serves {answer}, not {before[service]} as before"
    return None if before else f"the earlier answers of {environment} were not recorded"


_NUMBER = re.compile(r" \d+(?= \()")
"""Number of a version, before its code (`rehearse.served`)."""


def _rolled_back(execution: Execution) -> bool:
    """Return True if CodeDeploy stopped a deployment, and CloudFormation has rolled its stack back."""
    return any(
        deployment.status is PlayStatus.FAILED and "ROLLBACK_COMPLETE" in action.error
        for stage in execution.stages
        for action in stage.actions
        for deployment in action.deployments
    )
