"""Find what is to be compared, synthesise it, and judge the change."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from slipway import settings as config
from slipway.project import ROOT
from slipway.review.assembly import MANIFEST_FILE, Assembly, read_assembly
from slipway.review.comparison import compare
from slipway.review.deployed import deployed_revision, pipeline_of_build
from slipway.review.errors import ReviewError
from slipway.review.outcome import Outcome, State
from slipway.review.revisions import Repository, Revision
from slipway.review.synthesis import Processes, synthesised, synthesised_here
from slipway.review.waivers import WAIVERS_FILE, Waiver, judge, read_waivers
from slipway.settings.model import ReviewPolicy, S3Source

REPORT_BUCKET: Final = "REPORT_BUCKET"
"""Variable by which the pipeline's build is told where reports are kept. A definition without it is older than the
review: its build has no history, and the pipeline changes itself before it deploys anything."""

SKEW = timedelta(hours=1)
"""By how much two machines' clocks may differ."""


@dataclass(frozen=True)
class _Side:
    """One of the two that are compared.

    Args:
        label: as people call it.
        assembly: what it would deploy, once it is asked for.
        revision: its commit, where it is one.
        waivers: text of its waivers, where it has some.
        has_file: whether its commit has a file; None for a folder that is no commit's.
    """

    label: str
    assembly: Callable[[], Assembly]
    revision: Revision | None = None
    waivers: str | None = None
    has_file: Callable[[str], bool] | None = None


def review(
    base: str | None = None,
    head: str | None = None,
    *,
    waivers: Path | None = None,
    env: Mapping[str, str] = os.environ,
    now: datetime | None = None,
    root: Path = ROOT,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Review a change.

    Args:
        base: a revision, or the folder of an assembly. Default: in the pipeline's build the revision that was delivered
            last; elsewhere the commit before this one, or this one where the working tree has changes.
        head: a revision, or the folder of an assembly. Default: the working tree.
        waivers: the file of waivers. Default: that of the head; none where two folders are compared.
        env: the environment variables.
        now: the time. Default: the clock's.
        root: the repository.
        say: is told what takes a while.

    Raises:
        ReviewError: one of the two is not there, cannot be synthesised or read; or the clock is wrong.
    """
    repository = Repository(root)
    now = now or datetime.now(UTC)
    notes: list[str] = []
    if base is None:
        pipeline = pipeline_of_build(env)
        if pipeline is None:
            base = _usual_base(repository)
        else:
            if (refused := _unreviewable(repository, env)) is not None:
                return refused
            base = deployed_revision(pipeline)
            if base is None:
                notes.append(f"there is no revision to compare with: no execution of {pipeline} has succeeded yet")
            elif not repository.fetch(base):
                raise ReviewError(
                    f"{base}, which {pipeline} delivered last, is in no branch of the source any more: push one that "
                    "has it, then retry the stage"
                )
    processes = Processes()
    new = _head(repository, head, processes, folders=base is not None and _is_assembly(base))
    _check_clock(now, new.revision or _current(repository))
    if base is None:
        say(f"synthesising {new.label}")
        comparison = compare(None, _interruptible(processes, new.assembly))
        return Outcome(state=State.FIRST, head=new.label, comparison=comparison, notes=tuple(notes))
    old = _base(repository, base, processes)
    if old.revision is not None:
        _check_clock(now, old.revision)
    given = _read(waivers) if waivers is not None else new.waivers
    change = read_waivers(given, str(waivers or WAIVERS_FILE)) if given else ()
    say(f"synthesising {old.label} and {new.label}")
    before, after = _side_by_side(processes, old.assembly, new.assembly)
    comparison = compare(before, after, has_file=new.has_file)
    return Outcome(
        state=State.REVIEWED,
        base=old.label,
        head=new.label,
        comparison=comparison,
        judgement=judge(comparison.findings, change, known=_known(old.waivers), today=now.date()),
        notes=tuple(notes),
    )


def _usual_base(repository: Repository) -> str | None:
    """What a person most likely wants to compare with; None at the first commit."""
    if not repository.is_there:
        raise ReviewError("there is no git repository here: name what to compare with, BASE=<folder of an assembly>")
    if repository.is_dirty:
        return "HEAD"
    return "HEAD~1" if repository.has_parent() else None


def _unreviewable(repository: Repository, env: Mapping[str, str]) -> Outcome | None:
    """Why a build of the pipeline cannot be reviewed; None where it can."""
    try:
        settings = config.load().pipeline
    except config.ConfigurationError as error:
        raise ReviewError(str(error).splitlines()[0]) from None
    if isinstance(settings.source, S3Source):
        allowed = settings.gates.review == ReviewPolicy.OFF
        what = "the source is S3, which has no history to compare with"
        do = "config/pipeline.toml says gates.review = 'off'"
        if not allowed:
            do = "take a source with history, or set gates.review = 'off' in config/pipeline.toml"
        return Outcome(
            state=State.NOT_REVIEWED,
            problems=() if allowed else (f"{what}: {do}",),
            notes=(f"{what}; {do}",) if allowed else (),
            allowed=allowed,
        )
    if REPORT_BUCKET not in env:
        note = (
            "this build runs under a definition of the pipeline that is older than the review; the pipeline changes "
            "itself next, starts again, and reviews before anything is deployed"
        )
        return Outcome(state=State.NOT_REVIEWED, notes=(note,), allowed=True)
    if not repository.is_there:
        raise ReviewError("the build has no git history: the source has to hand over a full clone")
    return None


def _is_assembly(name: str) -> bool:
    return Path(name, MANIFEST_FILE).is_file() or (Path(name).is_dir() and (os.sep in name or name.startswith(".")))


def _base(repository: Repository, name: str, processes: Processes) -> _Side:
    if _is_assembly(name):
        return _Side(name, lambda: read_assembly(Path(name)))
    revision = repository.revision(name)
    return _Side(
        str(revision),
        lambda: synthesised(repository, revision, processes),
        revision,
        repository.read(revision, WAIVERS_FILE),
    )


def _head(repository: Repository, name: str | None, processes: Processes, *, folders: bool) -> _Side:
    file = repository.root / WAIVERS_FILE
    own = _read(file) if file.is_file() and not folders else None
    if name is None:
        here = _described(repository)
        return _Side(
            here,
            lambda: synthesised_here(repository.root, processes),
            waivers=own,
            has_file=repository.has_file,
        )
    if _is_assembly(name):
        # The pipeline's build hands on what it synthesised of the working tree.
        has_file = None if folders else repository.has_file
        return _Side(name, lambda: read_assembly(Path(name)), waivers=own, has_file=has_file)
    revision = repository.revision(name)
    return _Side(
        str(revision),
        lambda: synthesised(repository, revision, processes),
        revision,
        repository.read(revision, WAIVERS_FILE),
        lambda path: repository.has_file(path, revision),
    )


def _described(repository: Repository) -> str:
    if not repository.is_there:
        return "the working tree"
    revision = repository.revision("HEAD")
    return f"the working tree at {revision.short}" + (", with changes" if repository.is_dirty else "")


def _current(repository: Repository) -> Revision | None:
    return repository.revision("HEAD") if repository.is_there else None


def _check_clock(now: datetime, revision: Revision | None) -> None:
    if revision is not None and now + SKEW < revision.committed:
        raise ReviewError(
            f"the clock is wrong: it says {now:%Y-%m-%d %H:%M} UTC, and {revision} was committed "
            f"{revision.committed:%Y-%m-%d %H:%M} UTC; waivers are judged by it"
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReviewError(f"{path} cannot be read ({error})") from None


def _known(text: str | None) -> tuple[Waiver, ...]:
    """The base's waivers. What it could not read then, it could not use either."""
    try:
        return read_waivers(text) if text else ()
    except ReviewError:
        return ()


def _interruptible(processes: Processes, assembly: Callable[[], Assembly]) -> Assembly:
    return _side_by_side(processes, assembly, Assembly)[0]


def _side_by_side(
    processes: Processes, one: Callable[[], Assembly], other: Callable[[], Assembly]
) -> tuple[Assembly, Assembly]:
    """Both assemblies, synthesised at the same time; whatever ends this ends what it started."""
    with ThreadPoolExecutor(max_workers=2) as threads:
        futures: list[Future[Assembly]] = [threads.submit(one), threads.submit(other)]
        try:
            return futures[0].result(), futures[1].result()
        except BaseException:
            processes.stop()
            raise
