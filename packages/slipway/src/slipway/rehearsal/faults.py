"""Faults on demand: commits that carry one, and what must become of each.

A fault is an edit of a commit's files, so that everything after it is the pipeline's own doing. They act on one
service with an API: the first that declares in `services/<name>/faults.py` what they need of it. If none does, it is
the first of all, and the faults that need such a declaration are left out.
"""

from __future__ import annotations

import re
import runpy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway import git
from slipway.errors import RehearsalError
from slipway.project import ROOT
from slipway.rehearsal.player.approvals import ApprovalAnswer
from slipway.rehearsal.player.bake import AlarmRule
from slipway.rehearsal.player.records import NO_API, Execution, PlayedStage, PlayStatus, Rehearsal
from slipway.rehearsal.player.source import Commit


def _service(root: Path) -> str:
    """Return the name of the service that the faults act on; empty if none has an API."""
    found = sorted((root / "services").glob("*/runtime/api.py"), key=lambda file: (not _declares(file), str(file)))
    return found[0].parents[1].name if found else ""


def _declares(file: Path) -> bool:
    return (file.parents[1] / "faults.py").is_file()


SERVICE = _service(ROOT)
"""The service that the faults act on."""
FEW = 10
"""Requests to each function in a virtual minute where a fault does nothing."""

_API = f"services/{SERVICE}/runtime/api.py"
_ROUTES = f"services/{SERVICE}/runtime/routes.py"
_INFRASTRUCTURE = f"services/{SERVICE}/infrastructure.py"


def _declared() -> tuple[Mapping[str, str], Mapping[str, Sequence[tuple[str, str]]]]:
    """Return what the service declares: fault → what its handler does first, and fault → what is replaced."""
    file = ROOT / "services" / SERVICE / "faults.py"
    if not file.is_file():
        return {}, {}
    # By its path, since the project may be another one than Python imports from.
    values = runpy.run_path(str(file))
    return values.get("BEFORE_THE_HANDLER", {}), values.get("REPLACED", {})


_BEFORE_THE_HANDLER, _REPLACED = _declared()

# Appended to the module: whatever its handler is called with meets the fault first.
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

# Appended to the routes: it fails inside of them, where the code catches it and answers with 500.
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
        name: as FAULT names it.
        what: what is wrong, in one sentence.
        edits: file → what becomes of its text.
        stops_at: stage that stops the commit; None where it has to get through.
        because: words that the reason holds.
        rolled_back: whether CodeDeploy or CloudFormation has something to put back.
        answer: what becomes of the approval.
        requests_a_minute: requests in the environment that stops it, where the fault needs more or less of them than
            usual. It does nothing in the others then, and they get `FEW`.
        base_edits: of the commit that the accounts hold before; the fault is an old one then.
        kills: stage at whose deployment the player is killed, and started again.
        changes_pipeline: stage during which somebody else changes the pipeline; what is in flight is canceled there.
        rare_from: minute of prod's bake from which a kind of request comes that nobody sent before. Default: none does.
        alarm_rule: what the rule `CloudWatchAlarm` does with its wait time.
        no_builds: whether the account's quota of concurrent builds is used up by others.
        throttles: whether the function has no concurrency left when a hook first calls it.
        goes_back: whether the stage is rolled back, and that succeeds.
        rollback_refused: words of the reason for which the rollback of the stage fails. The accounts are forgotten
            afterwards: what is refused stays refused.
    """

    name: str
    what: str
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

    def rare(self, environment: str, minute: int) -> list[dict[str, Any]]:
        """Return what is in further requests to the functions of an environment in a minute of its bake."""
        begun = self.rare_from is not None and minute >= self.rare_from
        return [_RARE] if begun and environment == "prod" else []

    def requests_in(self, environments: Sequence[str], usual: int) -> dict[str, int]:
        """Requests to each function in a virtual minute.

        Args:
            environments: names of the environments.
            usual: how many where the fault asks for no other number.

        Returns:
            Environment → how many.
        """
        if self.requests_a_minute is None:
            return dict.fromkeys(environments, usual)
        watched = self.stops_at or environments[-1]
        return dict.fromkeys(environments, FEW) | {watched: self.requests_a_minute}


def _appended(text: str) -> Callable[[str], str]:
    return lambda before: before + text


def _around(body: str, *, before: str = "") -> Callable[[str], str]:
    return _appended(f"{before}{_AROUND.format(body=body.rstrip())}")


def _is(variable: str, environment: str) -> str:
    """A condition on the environment that does not name it: the gate lets no asset through that speaks of one."""
    return f'{variable}.encode().hex() == "{environment.encode().hex()}"'


_IN_PROD = _is('os.environ["ENVIRONMENT"]', "prod")


def _failing(every: int, where: str) -> Callable[[str], str]:
    body = _SOME_FAIL.format(every=every, where=where)
    return _around(body, before="\n\n_calls = 0\n")


def _answering_500(every: int) -> Callable[[str], str]:
    return _appended(_SOME_ANSWER_500.format(every=every, where=_IN_PROD))


def _replaced(old: str, new: str) -> Callable[[str], str]:
    def replace(before: str) -> str:
        if before.count(old) != 1:
            raise RehearsalError(f"the fault does not fit this commit: {old!r} stands there {before.count(old)} times")
        return before.replace(old, new)

    return replace


_PATH = '(event.get("path") or event.get("rawPath"))'
"""The path of a request to a REST or an HTTP API."""


def _unwell(where: str) -> Callable[[str], str]:
    """Return the edit with which the health check says `fine` instead of `ok`."""
    return _appended(
        "\n\nimport os\n\n_sound = handler\n\n\n"
        "def handler(event, context):\n"
        '    """Answers with a fault."""\n'
        "    answer = _sound(event, context)\n"
        f'    if {where} and {_PATH} == "/health":\n'
        '        answer["body"] = answer["body"].replace(\'"ok"\', \'"fine"\')\n'
        "    return answer\n"
    )


def _first(fault: str) -> Mapping[str, Callable[[str], str]]:
    """Return the edit of what the service declares that its handler does first; empty if it declares nothing."""
    return {_API: _around(_BEFORE_THE_HANDLER[fault])} if fault in _BEFORE_THE_HANDLER else {}


def _other(fault: str) -> Mapping[str, Callable[[str], str]]:
    """Return the edit of what the service declares to be replaced; empty if it declares nothing."""
    if fault not in _REPLACED:
        return {}

    def edit(text: str) -> str:
        for old, new in _REPLACED[fault]:
            text = _replaced(old, new)(text)
        return text

    return {_INFRASTRUCTURE: edit}


_DECLARED = frozenset({"hook-fails", "permission-missing", "template-invalid", "rollback-refused"})
"""Faults that need something of the service."""

_RARE = {"headers": {"x-rare": "1"}}
"""What is in a kind of request that nobody sends before the bake."""

_RARE_FAILS = {
    _API: _around(
        f'    if {_IN_PROD} and (event.get("headers") or {{}}).get("x-rare"):\n'
        '        raise RuntimeError("nobody thought of this kind of request")\n'
    )
}

_MARK = {_API: _appended("\n# The same again, so that there is a new version.\n")}

FAULTS: tuple[Fault, ...] = (
    Fault(
        name="import-crash",
        what="the function cannot be imported",
        edits={_API: _appended('\n\nraise RuntimeError("this version cannot be imported")\n')},
        stops_at="dev",
        because="BeforeAllowTraffic",
        rolled_back=True,
    ),
    Fault(
        name="error-rate=5%",
        what="in prod alone one request in twenty fails",
        edits={_API: _failing(20, _IN_PROD)},
        stops_at="prod",
        because="Errors",
        rolled_back=True,
        # Thirty of the canary's five minutes to the new version: the twentieth fails.
        requests_a_minute=60,
    ),
    Fault(
        name="server-errors=5%",
        what="in prod alone one request in twenty is answered with 500, which is no error to Lambda",
        edits={_ROUTES: _answering_500(20)},
        stops_at="prod",
        because="Faults",
        rolled_back=True,
        # Forty to the new version, of which two in three reach a route.
        requests_a_minute=80,
    ),
    Fault(
        name="latency=3s",
        what="in prod alone each request takes three seconds more",
        edits={
            _API: _around(
                f'    if {_IN_PROD} and {_PATH} != "/health":\n        time.sleep(3)\n',
                before="\n\nimport time\n",
            )
        },
        stops_at="prod",
        because="Latency",
        rolled_back=True,
        requests_a_minute=30,
    ),
    Fault(
        name="hook-fails",
        what="the new version breaks its contract: it takes an item without a name",
        edits=_first("hook-fails"),
        stops_at="dev",
        because="BeforeAllowTraffic said Failed",
        rolled_back=True,
    ),
    Fault(
        name="permission-missing",
        what="the function may not write to its table any more",
        edits=_other("permission-missing"),
        stops_at="dev",
        because="Verify",
    ),
    Fault(
        name="template-invalid",
        what="a template refers to a resource that it does not have",
        edits=_other("template-invalid"),
        stops_at="Build",
        because="Synth",
    ),
    Fault(
        name="test-fails",
        what="the service stands, and does not do what its tests ask: health says `fine`",
        edits={_API: _unwell("True")},
        stops_at="dev",
        because="Verify",
    ),
    Fault(
        name="already-failing",
        what="prod is in alarm from an old bug that answers with 500, and this commit fixes it",
        # All that reach a route: two of three. Prod's alarm on 5xx goes off above ten in a minute.
        base_edits={_ROUTES: _answering_500(1)},
        edits=_MARK,
        requests_a_minute=30,
    ),
    Fault(
        name="approval-rejected",
        what="the approver says no",
        edits=_MARK,
        stops_at="prod-approval",
        because="rejected",
        answer=ApprovalAnswer.REJECTED,
    ),
    Fault(
        name="alarm-in-bake",
        what="prod fails at a kind of request that comes in the third minute of the bake; the rule of the condition "
        "holds at once",
        edits=_RARE_FAILS,
        stops_at="prod",
        because="was ALARM after",
        goes_back=True,
        rare_from=3,
    ),
    Fault(
        name="alarm-in-watched-bake",
        what="the same; the condition's rule watches for its wait time",
        edits=_RARE_FAILS,
        stops_at="prod",
        because="was ALARM after",
        goes_back=True,
        rare_from=3,
        alarm_rule=AlarmRule.WATCHES,
    ),
    Fault(
        name="pipeline-changed",
        what="somebody changes the pipeline while prod deploys: what is in flight is canceled, and begins again",
        edits=_MARK,
        changes_pipeline="prod",
    ),
    Fault(
        name="hook-throttled",
        what="the function has no concurrency left for the check before traffic, for some seconds",
        edits=_MARK,
        throttles=True,
    ),
    Fault(
        name="build-quota",
        what="other builds of the account use up its quota of concurrent builds",
        edits=_MARK,
        stops_at="Build",
        because="AccountLimitExceededException",
        no_builds=True,
    ),
    Fault(
        name="killed",
        what="the player is killed while staging deploys, and the next run goes on",
        edits=_MARK,
        kills="staging",
    ),
)


ROLLBACK_REFUSED = Fault(
    name="rollback-refused",
    what="a version that adds a key fails its tests in prod, and the stack policy refuses to take the key away again",
    edits={_API: _unwell(_IN_PROD), **_other("rollback-refused")},
    stops_at="prod",
    because="Verify",
    rollback_refused="Action denied by stack policy",
)
# Last: it leaves accounts that no other one can be played in.
FAULTS = tuple(
    fault
    for fault in (*FAULTS, ROLLBACK_REFUSED)
    if SERVICE and (fault.name not in _DECLARED or fault.name in {*_BEFORE_THE_HANDLER, *_REPLACED})
)


def find(name: str) -> Fault:
    """The fault of a name.

    Raises:
        RehearsalError: there is none; the message names those that are.
    """
    for fault in FAULTS:
        if fault.name == name:
            return fault
    known = ", ".join(fault.name for fault in FAULTS)
    raise RehearsalError(f"there is no fault {name!r}; it is one of {known}", exit_code=2)


def commit_with(commit: Commit, edits: Mapping[str, Callable[[str], str]], message: str, folder: Path) -> Commit:
    """A commit on top of another one, in a repository of its own: nothing of it reaches the checkout.

    Args:
        commit: what it stands on.
        edits: file → what becomes of its text.
        message: its first line.
        folder: a new folder for the repository.

    Raises:
        RehearsalError: git refuses, or an edit does not fit.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    git.output(folder.parent, "clone", "--quiet", "--shared", "--no-checkout", str(commit.repository), str(folder))
    git.output(folder, "checkout", "--quiet", "--detach", commit.sha)
    for name, edit in edits.items():
        file = folder / name
        if not file.is_file():
            raise RehearsalError(f"the fault does not fit this commit: it has no {name}")
        before = file.read_text(encoding="utf-8")
        after = edit(before)
        if after == before:
            raise RehearsalError(f"the fault does not fit this commit: it changes nothing of {name}")
        file.write_text(after, encoding="utf-8")
    author = git.identity("Rehearsal", "rehearsal@localhost")
    git.output(folder, "commit", "--quiet", "--all", "--no-verify", "--message", message, variables=author)
    return Commit.of(folder, "HEAD", branch=commit.branch)


def judge(fault: Fault, record: Rehearsal) -> str | None:
    """Whether a run with a fault ended as it has to.

    Returns:
        What is not as it has to be; None when all is.
    """
    last = record.executions[-1] if record.executions else None
    if last is None:
        return "nothing was played"
    if fault.base_edits and not record.in_alarm:
        return "nothing was in alarm before it"
    if fault.changes_pipeline and (complaint := _canceled(fault.changes_pipeline, record)):
        return complaint
    if fault.stops_at is None:
        return None if record.delivered else f"it did not get through: {last.reason}"
    stopped = last.stopped
    if stopped is None:
        return "it got through"
    if not stopped.name.startswith(fault.stops_at):
        return f"it was stopped at {stopped.name}, not at {fault.stops_at}: {last.reason}"
    if fault.because not in f"{last.reason} {stopped.reason}":
        return f"it was stopped by another reason than {fault.because}: {last.reason}"
    if fault.rolled_back and not _rolled_back(last):
        return "nothing was rolled back"
    rollback = next((stage for stage in last.stages if stage.kind == "rollback"), None)
    if fault.rollback_refused:
        # The new version stays where it is: that is what the runbook is for.
        return _refused(fault.rollback_refused, rollback)
    if fault.goes_back and (rollback is None or rollback.status is not PlayStatus.SUCCEEDED):
        return f"the stage did not go back: {rollback.reason if rollback else 'nobody tried'}"
    return _prod(record, deployed_again=fault.goes_back)


def _canceled(stage: str, record: Rehearsal) -> str | None:
    """Return what is wrong about an execution that a changed pipeline has to cancel in a stage."""
    canceled = [each for each in record.executions if each.status is PlayStatus.CANCELED]
    stages = [each for execution in canceled for each in execution.stages if each.status is PlayStatus.CANCELED]
    if not any(each.name.startswith(f"{stage}-") for each in stages):
        return f"nothing was canceled in {stage}"
    if any(each.kind == "rollback" for execution in canceled for each in execution.stages):
        return "what was canceled was rolled back"
    return None


def _refused(words: str, rollback: PlayedStage | None) -> str | None:
    if rollback is None:
        return "nobody tried to roll back"
    if rollback.status is PlayStatus.SUCCEEDED:
        return "the rollback was not refused"
    return None if words in rollback.reason else f"the rollback failed by another reason: {rollback.reason}"


def _prod(record: Rehearsal, *, deployed_again: bool = False) -> str | None:
    """Return what prod answers otherwise than before, whatever was stopped.

    Args:
        record: the run.
        deployed_again: whether what was there before was deployed once more: its code has versions of new numbers then,
            since Lambda publishes one for code that differs from the last one's
            (https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html).
    """
    before, now = record.before.get("prod", {}), record.served.get("prod", {})
    for service in before:
        answer = now.get(service, "nothing")
        if not answer.startswith(("200", NO_API)):
            return f"{service} of prod answers {answer}"
        one, other = (_NUMBER.sub("", each) if deployed_again else each for each in (answer, before[service]))
        if one != other:
            return f"{service} of prod serves {answer}, and not {before[service]} as before"
    return None if before else "nobody looked at what prod served before"


_NUMBER = re.compile(r" \d+(?= \()")
"""Number of a version, before its code (`rehearse.served`)."""


def _rolled_back(execution: Execution) -> bool:
    """Whether CodeDeploy stopped a deployment, and CloudFormation has put its stack back."""
    return any(
        deployment.status is PlayStatus.FAILED and "ROLLBACK_COMPLETE" in action.error
        for stage in execution.stages
        for action in stage.actions
        for deployment in action.deployments
    )
