"""The verbs of the rehearsal: rehearse, approve, reject, remote, drill, forget."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slipway import files, git, project
from slipway import settings as config
from slipway.emulator.environment import services_of
from slipway.emulator.server import EMULATED_SECRET, Emulator
from slipway.errors import RehearsalError, UsageError
from slipway.process import follow
from slipway.project import has_configuration
from slipway.rehearsal import faults, page
from slipway.rehearsal.app import App
from slipway.rehearsal.app_rehearsal import AppOptions, rehearse_app, topology_of
from slipway.rehearsal.back import take_back
from slipway.rehearsal.faults import Fault
from slipway.rehearsal.player.approvals import ApprovalAnswer, Ask, Pending
from slipway.rehearsal.player.bake import AlarmRule
from slipway.rehearsal.player.memory import Memory
from slipway.rehearsal.player.records import PlayedStage, Rehearsal
from slipway.rehearsal.player.rules import Window
from slipway.rehearsal.player.source import Commit, check_readable
from slipway.rehearsal.rehearse import CHECKS, EMPTY, FOLDER, REQUESTS_A_MINUTE, Options, Rehearse, Stand, verdict
from slipway.rehearsal.show import Show
from slipway.settings import Settings
from slipway.settings.quotas import CONCURRENT_BUILDS

ServiceOption = Annotated[
    list[str] | None, typer.Option("--service", help="Only this service; may be repeated. Default: all.")
]
CommitOption = Annotated[
    list[str] | None,
    typer.Option("--commit", help="Commit to deliver; may be repeated for an app of your own. Default: HEAD."),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base",
        help="First content of new accounts: a revision, or `empty`. Default: the newest earlier commit with "
        "different functions.",
    ),
]
FaultOption = Annotated[
    str | None,
    typer.Option("--fault", help="Deliver the commit with this fault; `slipway faults` lists them. Default: none."),
]
ApproveOption = Annotated[
    str, typer.Option("--approve", help="Answer to approvals: yes, no, timeout, or ask (here or by `make approve`).")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Delete the accounts first.")]
SnapshotOption = Annotated[
    bool, typer.Option("--snapshot", help="Deliver the working tree, including uncommitted changes.")
]
ChecksOption = Annotated[
    str, typer.Option("--checks", help="Additional verbs for the build, such as `check unit review`.")
]
RateOption = Annotated[
    int, typer.Option("--rate", min=1, help="Requests to each function per virtual minute of a deployment.")
]
AtOption = Annotated[
    datetime | None,
    typer.Option("--at", help="Virtual time of the start, UTC. Default: the next hour in every deployment window."),
]
AlarmRuleOption = Annotated[
    AlarmRule,
    typer.Option("--alarm-rule", help="How the rule CloudWatchAlarm behaves; AWS's pages contradict each other."),
]
WindowOption = Annotated[
    Window, typer.Option("--window", help="How a closed deployment window behaves; AWS's pages do not say.")
]
AssemblyOption = Annotated[
    Path | None,
    typer.Option(
        "--assembly", metavar="DIR", help="Assembly of an app without config/pipeline.toml. Default: cdk.out."
    ),
]
PipelineOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pipeline", help="Only this pipeline of an app without config/pipeline.toml; may be repeated. Default: all."
    ),
]
IntoOption = Annotated[Path | None, typer.Option("--into", help="Folder of the page and the logs.", hidden=True)]
REMOTE = FOLDER / "remote.git"
NAME = "rehearsal"
"""Name of the remote."""


_WORDS = {
    "y": ApprovalAnswer.APPROVED,
    "yes": ApprovalAnswer.APPROVED,
    "n": ApprovalAnswer.REJECTED,
    "no": ApprovalAnswer.REJECTED,
}


def rehearse(  # noqa: PLR0917  # typer reads a command's options from its parameters
    service: ServiceOption = None,
    commit: CommitOption = None,
    base: BaseOption = None,
    fault: FaultOption = None,
    approve_: ApproveOption = "ask",
    fresh: FreshOption = False,
    snapshot: SnapshotOption = False,
    checks: ChecksOption = CHECKS,
    rate: RateOption = REQUESTS_A_MINUTE,
    at: AtOption = None,
    alarm_rule: AlarmRuleOption = AlarmRule.AT_ONCE,
    window: WindowOption = Window.FAILS,
    assembly: AssemblyOption = None,
    pipeline: PipelineOption = None,
    into: IntoOption = None,
) -> None:
    """Play the delivery of a commit: the real pipeline, in emulated accounts on this machine.

    Without `config/pipeline.toml`, the project counts as an arbitrary app with CDK Pipelines: its pipelines are read
    from its assembly, and its accounts are deleted afterwards.
    """
    console = _console()
    if not has_configuration(project.ROOT):
        _refuse_options(
            {"--service": service, "--base": base, "--fault": fault, "--fresh": fresh, "--snapshot": snapshot}
        )
        _rehearse_app(assembly, pipeline or (), commit or ("HEAD",), approve_, rate)
        return
    _refuse_options({"--assembly": assembly, "--pipeline": pipeline, "a second --commit": (commit or ())[1:]})
    settings = config.load()
    services = services_of(settings.environments[0], service) if service else ()
    planned = faults.find(fault, _faults(settings, services)) if fault else None
    answers = _answers(approve_, planned)
    options = Options(
        services=services,
        base=base,
        checks=checks,
        requests_a_minute=_rates(settings, planned, rate),
        start=at.replace(tzinfo=UTC) if at else None,
        folder=into or FOLDER,
        window=window,
        alarm_rule=alarm_rule,
    )
    options = _faulty(options, planned) if planned else options
    delivered = _commit(settings, (commit or ["HEAD"])[0], snapshot=snapshot, console=console)
    if base not in {None, EMPTY}:
        Commit.of(project.ROOT, str(base), branch=_branch(settings))
    terminal = sys.stdin if sys.stdin.isatty() else None
    record = play(settings, options, delivered, console, answers=answers, fault=planned, fresh=fresh, terminal=terminal)
    _end(record, options.folder, console)


def _faults(settings: Settings, services: Sequence[str]) -> Sequence[Fault]:
    """Return the faults that suit the rehearsed services."""
    return faults.list_faults(faults.find_target(settings, services, folder=project.ROOT))


def play(
    settings: Settings,
    options: Options,
    commit: Commit,
    console: Console,
    *,
    answers: ApprovalAnswer | None,
    fault: Fault | None = None,
    fresh: bool = False,
    wait: float = 0,
    terminal: TextIO | None = None,
) -> Rehearsal:
    """Run one rehearsal, and write its page.

    Args:
        settings: All of `config/`.
        options: Options of the rehearsal.
        commit: The commit to deliver.
        console: The console to print to.
        answers: Answers to approvals. None: a person is asked, at `terminal` or through `answer`.
        fault: Fault to add to the commit. Default: none.
        fresh: True to delete the accounts first.
        wait: Seconds to wait for another rehearsal; -1 for ever.
        terminal: Terminal of the person who answers. Default: none.
    """
    show, stopping = Show(console), threading.Event()

    def stand_for(options: Options) -> Stand:
        return Stand(settings, options, show, _asker(show, answers, terminal), stopping)

    stand = stand_for(options)
    with _interruptible(stopping), stand.accounts.held(seconds=wait):
        if lost := () if fresh else stand.accounts.lost:
            names = ", ".join(stand.accounts.label(account) for account in lost)
            show.say(f"[yellow]lost[/yellow] with their processes: {names}. All accounts are launched again.")
        fresh = fresh or bool(lost)
        if fresh:
            stand.accounts.forget()
        if fault is not None:
            options, commit = _with_fault(options, commit, fault)
        if fresh or fault is not None:
            # It has read the accounts' earlier content.
            stand = stand_for(options)
        run = Rehearse(stand, commit, fault=fault.name if fault else "")
        try:
            try:
                _begin(run, fault)
                run.play()
                take_back(stand, run.record, fault)
                run.finish()
            finally:
                show.close()
                run.stop()
        finally:
            run.record.verdict = run.record.verdict or verdict(run.record)
            page.write(run.record, options.folder)
    return run.record


def _begin(run: Rehearse, fault: Fault | None) -> None:
    """Start the accounts, and bring them to the state that a fault needs."""
    run.begin(anew=fault is not None and bool(fault.base_edits))
    if fault is not None and fault.base_edits:
        run.let_it_fail(minutes=2)
    if fault is not None and fault.found_by:
        run.deliver_base()


def _with_fault(options: Options, commit: Commit, fault: Fault) -> tuple[Options, Commit]:
    """Return the commit with the fault, after setting the base to the commit without it, or with the old bug."""
    folder = options.scope / "faults"
    base = commit
    if fault.base_edits:
        base = faults.commit_with(commit, fault.base_edits, f"An old bug: {fault.what}", folder / "base")
    if fault.edits:
        commit = faults.commit_with(commit, fault.edits, f"Fault: {fault.what}", folder / "commit")
    # The next change is compared with the delivered commit, which is on no branch here.
    _fetch(project.ROOT, commit)
    # Put both commits into one repository.
    if base.repository != commit.repository:
        _fetch(commit.repository, base)
        base = Commit(commit.repository, base.sha, base.branch, base.message, base.author_date)
    return replace(options, base=base.sha), commit


def _fetch(repository: Path, commit: Commit) -> None:
    git.output(repository, "fetch", "--quiet", "--no-write-fetch-head", str(commit.repository), commit.sha)


def _refuse_options(given: Mapping[str, object]) -> None:
    """Refuse options that don't apply to this kind of project."""
    if wrong := [name for name, value in given.items() if value]:
        kind = "an app with" if has_configuration(project.ROOT) else "any app without"
        raise UsageError(f"{', '.join(wrong)}: not allowed for {kind} config/pipeline.toml ({project.ROOT.name})")


def _rehearse_app(
    assembly: Path | None, pipelines: Sequence[str], commits: Sequence[str], approve_: str, rate: int
) -> None:
    """Play the pipelines of any CDK app."""
    console = _console()
    app = App.read(project.ROOT, assembly=assembly)
    options = AppOptions(home=FOLDER, pipelines=tuple(pipelines), revisions=tuple(commits), requests_a_minute=rate)
    # Its repository doesn't ignore these files.
    files.write_text(FOLDER / ".gitignore", "*\n")
    show = Show(console)
    ask = _asker(show, _answers(approve_, None), sys.stdin if sys.stdin.isatty() else None)
    done = rehearse_app(app, options, show=show, ask=ask)
    for each in done.runs:
        console.print(f"\n{each.pipeline}: {os.path.relpath(each.folder / 'index.html')}", markup=False)
        style = "green" if each.record.delivered else "red"
        console.print(each.record.verdict, style=style, markup=False, soft_wrap=True)
    if not all(each.record.delivered for each in done.runs):
        raise typer.Exit(1)


def approve(
    service: ServiceOption = None,
    says: Annotated[str, typer.Option("--says", help="Reason, for the record.")] = "",
) -> None:
    """Approve the waiting step of a rehearsal."""
    _answer(service, ApprovalAnswer.APPROVED, says)


def reject(
    service: ServiceOption = None,
    says: Annotated[str, typer.Option("--says", help="Reason, for the record.")] = "",
) -> None:
    """Reject the waiting step of a rehearsal."""
    _answer(service, ApprovalAnswer.REJECTED, says)


def _answer(service: Sequence[str] | None, status: ApprovalAnswer, says: str) -> None:
    if has_configuration(project.ROOT):
        settings = config.load()
        services = services_of(settings.environments[0], service) if service else ()
        running = running_rehearsal(settings, Options(services=services))
    else:
        _refuse_options({"--service": service})
        running = running_app(App.read(project.ROOT), FOLDER)
    answered = answer(running, status, says)
    _console().print(f"{answered}: {status.lower()}")


@dataclass(frozen=True)
class RunningRehearsal:
    """Connection to a rehearsal that another process plays.

    Attributes:
        folder: Its accounts.
        account: The tools account.
        region: Region of the pipelines.
        memories: Files with CodePipeline's state, one per pipeline.
    """

    folder: Path
    account: str
    region: str
    memories: tuple[Path, ...]


def running_rehearsal(settings: Settings, options: Options) -> RunningRehearsal:
    """Return the connection to the rehearsal of the configured app."""
    folder, pipeline = options.scope / "accounts", settings.pipeline
    return RunningRehearsal(folder, pipeline.account, pipeline.region, (folder / "codepipeline.json",))


def running_app(app: App, home: Path) -> RunningRehearsal:
    """Return the connection to the rehearsal of an app without configuration."""
    topology = topology_of(app)
    memories = tuple(sorted((home / "pipelines").glob("*.json")))
    return RunningRehearsal(home / "accounts", topology.tools, topology.region(topology.tools), memories)


def answer(running: RunningRehearsal, status: ApprovalAnswer, says: str = "") -> str:
    """Answer an approval of another process through CodePipeline's own API, as the console does.

    Args:
        running: The waiting rehearsal.
        status: Approved or rejected.
        says: Reason, for the record.

    Returns:
        Stage and action of the approval.

    Raises:
        RehearsalError: No rehearsal is running, it has no pipeline yet, or no approval is pending.
    """
    folder, account = running.folder, running.account
    state = files.read_json(folder / "accounts.json")
    if state is None or Emulator.running(folder / account, tls=folder / "tls", keep=True) is None:
        raise RehearsalError("no rehearsal is running; start one with `slipway rehearse`")
    client = boto3.Session(
        aws_access_key_id=account,
        # Credentials of the root, as in every account of the emulator.
        aws_secret_access_key=EMULATED_SECRET,
        region_name=running.region,
    ).client(
        "codepipeline", endpoint_url=f"https://localhost:{state['endpoint']}", verify=str(folder / "tls" / "ca.pem")
    )
    names = [memory.definition.name for memory in map(Memory, running.memories) if memory.has_pipeline]
    if not names:
        raise RehearsalError("the rehearsal has no pipeline yet")
    try:
        for name in names:
            for stage in client.get_pipeline_state(name=name)["stageStates"]:
                for action in stage.get("actionStates", []):
                    if token := action.get("latestExecution", {}).get("token"):
                        said = says or f"{status.lower()} at the terminal"
                        client.put_approval_result(
                            pipelineName=name,
                            stageName=stage["stageName"],
                            actionName=action["actionName"],
                            result={"status": status.value, "summary": said},  # type: ignore[typeddict-item]  # TimedOut is nobody's answer
                            token=token,
                        )
                        return f"{stage['stageName']}/{action['actionName']}"
    except (ClientError, BotoCoreError) as error:
        raise RehearsalError(f"the rehearsal cannot be answered now: {error}") from error
    raise RehearsalError("no approval is pending")


def remote() -> None:
    """Set up the remote `rehearsal`: a push to it plays the pipeline."""
    console = _console()
    branch = _branch(config.load())
    if not (REMOTE / "HEAD").is_file():
        REMOTE.parent.mkdir(parents=True, exist_ok=True)
        git.output(project.ROOT, "init", "--quiet", "--bare", f"--initial-branch={branch}", str(REMOTE))
    hook = REMOTE / "hooks" / "post-receive"
    python = project.ROOT / ".venv" / "bin" / "python"
    files.write_text(
        hook,
        "#!/bin/sh\n# Plays the pipeline for the pushed commit, in the pusher's terminal.\n"
        f"unset {' '.join(git.LOCATION_VARIABLES)}\n"
        f"cd {shlex.quote(str(project.ROOT))} && exec {shlex.quote(str(python))} -m slipway receive\n",
        mode=0o755,
    )
    known = git.run(project.ROOT, "remote", "get-url", NAME).stdout.strip()
    if known and known != str(REMOTE) and Path(known).is_dir():
        # Work trees of a repository share its remotes, so another one's remote is kept.
        console.print(f"remote {NAME} points to {known}, which another work tree set up; play the pipeline here with")
        console.print(f"  git push {shlex.quote(str(REMOTE))} {branch}", soft_wrap=True, markup=False)
        return
    git.output(project.ROOT, "remote", "set-url" if known else "add", NAME, str(REMOTE))
    console.print(f"remote {NAME} is set up; play the pipeline with\n  git push {NAME} {branch}")


def receive() -> None:
    """Play the pipeline for a pushed commit; the remote's hook calls this verb."""
    console = _console()
    settings = config.load()
    branch = _branch(settings)
    for line in sys.stdin.read().splitlines():
        _, new, ref = line.split()
        if ref != f"refs/heads/{branch}":
            console.print(f"{ref} is not {branch}: nothing starts")
            continue
        if not new.strip("0"):
            console.print(f"{branch} was removed: nothing starts")
            continue
        commit = Commit.of(REMOTE, new, branch=branch)
        console.print(f"{commit.sha[:12]} {commit.message}: waits for the previous one, if any", markup=False)
        approve_ = os.environ.get("APPROVE", "ask")
        with _terminal() as terminal:
            answers = _answers(approve_, None)
            record = play(
                settings, Options(checks=CHECKS), commit, console, answers=answers, wait=-1, terminal=terminal
            )
        _end(record, FOLDER, console)


@contextmanager
def _terminal() -> Iterator[TextIO | None]:
    """Return the terminal of the person who pushes, which is not the hook's standard input."""
    try:
        terminal = Path("/dev/tty").open(encoding="utf-8")  # noqa: SIM115  # closed below
    except OSError:
        yield None
        return
    with terminal:
        yield terminal


def drill(
    service: ServiceOption = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="Only this fault; may be repeated. Default: all.")
    ] = None,
) -> None:
    """Play every fault, and check that each ends as expected."""
    console = _console()
    settings = config.load()
    services = services_of(settings.environments[0], service) if service else ()
    known = _faults(settings, services)
    chosen = [faults.find(name, known) for name in fault] if fault else known
    rows = [run_fault(settings, services, each, console) for each in chosen]
    table = Table(title="drill", title_justify="left", box=None, pad_edge=False)
    for name in ("", "fault", "what is wrong", "result", "seconds"):
        table.add_column(name, justify="right" if name == "seconds" else "left", overflow="fold")
    for each, record, complaint in rows:
        said = complaint or record.verdict
        mark = "[red]✗[/red]" if complaint else "[green]✓[/green]"
        table.add_row(mark, each.name, each.what, escape(said), f"{record.seconds:.0f}")
    console.print(table)
    files.write_json(
        FOLDER / "drill.json",
        [
            {
                "fault": each.name,
                "what": each.what,
                "as_it_has_to": not complaint,
                "said": complaint or record.verdict,
                "seconds": record.seconds,
            }
            for each, record, complaint in rows
        ],
    )
    if any(complaint for _, _, complaint in rows):
        raise typer.Exit(1)


def run_fault(
    settings: Settings, services: tuple[str, ...], fault: Fault, console: Console
) -> tuple[Fault, Rehearsal, str | None]:
    """Play one fault.

    Returns:
        The fault, the run, and the difference from the required result, or None.
    """
    console.rule(f"{fault.name}: {fault.what}", align="left")
    options = _faulty(
        Options(
            services=services,
            requests_a_minute=_rates(settings, fault, REQUESTS_A_MINUTE),
            folder=FOLDER / "drill" / fault.name.replace("=", "-").replace("%", ""),
        ),
        fault,
    )
    commit = Commit.of(project.ROOT, "HEAD", branch=_branch(settings))
    if fault.kills:
        _killed(fault, services, options.folder)
    record = play(settings, options, commit, console, answers=fault.answer, fault=fault)
    if fault.rollback_refused:
        remove(settings, options)
    return fault, record, faults.judge(fault, record)


def _faulty(options: Options, fault: Fault | None) -> Options:
    """Return the options of a run, including parts of the fault outside the commit."""
    if fault is None:
        return options
    waiting = fault.changes_pipeline

    def meanwhile(memory: Memory, stage: PlayedStage) -> None:
        nonlocal waiting
        deploys = any(action.provider == "CloudFormation" for action in stage.actions)
        if waiting and deploys and stage.name.startswith(f"{waiting}-") and "foundation" not in stage.name:
            waiting = None
            memory.change()

    return replace(
        options,
        alarm_rule=fault.alarm_rule,
        rare=fault.rare,
        meanwhile=meanwhile,
        builds=dict.fromkeys(CONCURRENT_BUILDS, 0) if fault.no_builds else options.builds,
        throttles=fault.throttles,
    )


def _killed(fault: Fault, services: Sequence[str], folder: Path) -> None:
    """Start a rehearsal, and kill it while the stage's functions are deployed."""
    command = [
        sys.executable,
        "-m",
        "slipway",
        "rehearse",
        "--approve",
        "yes",
        "--checks",
        "",
        "--fault",
        fault.name,
    ]
    command += [word for service in services for word in ("--service", service)]
    command += ["--into", str(folder / "killed")]
    killed = threading.Event()

    def kill(line: str) -> None:
        if line.startswith(f"{fault.kills}-") and "foundation" not in line:
            # Wait until its functions are being deployed.
            threading.Timer(4, killed.set).start()

    log = folder / "killed.log"
    follow(command, folder=project.ROOT, environment=os.environ, log=log, progress=kill, stopping=killed)


def forget(service: ServiceOption = None) -> None:
    """Delete the accounts of the rehearsal and everything in them."""
    settings = config.load()
    options = Options(services=services_of(settings.environments[0], service) if service else ())
    remove(settings, options)
    _console().print(f"the accounts of {options.scope.name} are deleted")


def remove(settings: Settings, options: Options) -> None:
    """Delete the accounts of a rehearsal and everything in them.

    Raises:
        RehearsalError: A rehearsal is running in them.
    """
    stand = Stand(settings, options, Show(_console()), lambda _: None, threading.Event())
    with stand.accounts.held():
        stand.accounts.forget()
        shutil.rmtree(options.scope, ignore_errors=True)


def say_end(record: Rehearsal, folder: Path, console: Console) -> None:
    """Print the replacements of AWS, the path of the page, and the verdict on the last line."""
    table = Table(title="what replaced AWS", title_justify="left", box=None, pad_edge=False)
    table.add_column("", justify="right")
    for name in ("on AWS", "here", "not shown here"):
        table.add_column(name, overflow="fold")
    for row in record.substitutions:
        table.add_row(str(row["resources"]), row["subject"], row["stand_in"], row["unproven"])
    console.print(table)
    console.print(f"\n{os.path.relpath(folder / 'index.html', project.ROOT)}")
    style = "green" if record.delivered else "red"
    console.print(record.verdict, style=style, markup=False, soft_wrap=True)


def _end(record: Rehearsal, folder: Path, console: Console) -> None:
    say_end(record, folder, console)
    if not record.delivered:
        raise typer.Exit(1)


def _rates(settings: Settings, fault: Fault | None, usual: int) -> dict[str, int]:
    """Return the requests to each function per virtual minute, by environment."""
    names = [environment.name for environment in settings.environments]
    return fault.requests_in(names, usual) if fault else dict.fromkeys(names, usual)


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def _answers(word: str, fault: Fault | None) -> ApprovalAnswer | None:
    if fault is not None:
        return fault.answer
    known = {
        "yes": ApprovalAnswer.APPROVED,
        "no": ApprovalAnswer.REJECTED,
        "timeout": ApprovalAnswer.TIMED_OUT,
        "ask": None,
    }
    if word not in known:
        raise RehearsalError(f"unknown APPROVE {word!r}; choose from {', '.join(known)}", exit_code=2)
    return known[word]


def _asker(show: Show, answers: ApprovalAnswer | None, terminal: TextIO | None) -> Ask:
    """Return a function that asks the person at the terminal, if there is one; `make approve` can answer too."""
    asked: set[str] = set()

    def ask(pending: Pending) -> ApprovalAnswer | None:
        nonlocal terminal
        if answers is not None:
            return answers
        if pending.token not in asked:
            asked.add(pending.token)
            here = "y or n here, or " if terminal is not None else ""
            # The live display stops while a person types, and continues when the action ends.
            show.close()
            show.say(
                f"[yellow]?[/yellow] {escape(pending.action)} waits: {escape(pending.comment)}\n"
                f"  answer: {here}`make approve` or `make reject` in another terminal"
            )
        if terminal is None or not select.select([terminal], [], [], 0)[0]:
            return None
        line = terminal.readline()
        if not line:
            # The terminal was closed.
            terminal = None
            return None
        said = line.strip().lower()
        if said not in _WORDS:
            show.say("  please answer y or n")
        return _WORDS.get(said)

    return ask


@contextmanager
def _interruptible(stopping: threading.Event) -> Iterator[None]:
    """End the rehearsal on Ctrl-C, and immediately on the second one."""

    def stop(*_: Any) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _commit(settings: Settings, revision: str, *, snapshot: bool, console: Console) -> Commit:
    """Return the commit to deliver."""
    branch = _branch(settings)
    check_readable(project.ROOT)
    if git.run(project.ROOT, "rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        raise RehearsalError(
            "this clone is shallow, and the build compares with an earlier commit: run `git fetch --unshallow`",
            exit_code=2,
        )
    dirty = [line for line in git.output(project.ROOT, "status", "--porcelain").splitlines() if line]
    if snapshot:
        return _snapshot(branch)
    if dirty and revision == "HEAD":
        console.print(
            f"[yellow]{len(dirty)} changes are not committed[/yellow] and will not be delivered; SNAPSHOT=yes "
            f"delivers them"
        )
    head = git.run(project.ROOT, "symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()
    if revision == "HEAD" and not head:
        console.print("[yellow]the head is detached[/yellow]: its commit is delivered as if it were pushed")
    return Commit.of(project.ROOT, revision, branch=branch)


def _snapshot(branch: str) -> Commit:
    """Return a commit of the working tree; neither the branch nor the index changes."""
    index = FOLDER / "snapshot.index"
    index.parent.mkdir(parents=True, exist_ok=True)
    index.unlink(missing_ok=True)
    variables = {"GIT_INDEX_FILE": str(index)}
    git.output(project.ROOT, "read-tree", "HEAD", variables=variables)
    git.output(project.ROOT, "add", "--all", variables=variables)
    tree = git.output(project.ROOT, "write-tree", variables=variables)
    # Unsigned and without an author, so that it also works on a machine without git's name and address.
    author = git.identity("Rehearsal", "rehearsal@localhost")
    made = git.output(project.ROOT, "commit-tree", tree, "-p", "HEAD", "-m", "Snapshot of the tree", variables=author)
    index.unlink(missing_ok=True)
    return Commit.of(project.ROOT, made, branch=branch)


def _branch(settings: Settings) -> str:
    return getattr(settings.pipeline.source, "branch", "main")
