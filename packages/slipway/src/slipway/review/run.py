"""Find the two sides of a comparison, synthesise them, and judge the change."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from slipway.assembly.reader import MANIFEST_FILE
from slipway.git import Repository, Revision
from slipway.process import Processes
from slipway.review.assembly import Assembly, read_assembly
from slipway.review.comparison import compare
from slipway.review.deployed import deployed_revision, pipeline_of_build
from slipway.review.errors import ReviewError
from slipway.review.outcome import ReviewOutcome, ReviewState
from slipway.review.waivers import WAIVERS_FILE, ReviewWaiver, judge, read_waivers
from slipway.revisions.recipes import Recipe
from slipway.revisions.synthesis import Project, synthesise_here, synthesise_revision

REPORT_BUCKET: Final = "REPORT_BUCKET"
"""Variable that names the bucket for reports to the pipeline's build. A definition without it is older than the review:
its build has no history, and the pipeline updates itself before it deploys anything.
"""

SKEW = timedelta(hours=1)
"""Maximum difference between two machines' clocks."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Information from the app that no assembly contains.

    Args:
        waivers: The file of waivers, from the root of the repository.
        protected: Types that a stack policy protects from deletion, so that the rollback of a stage cannot delete new
            resources of them. Default: none.
        without_history: Message if the build's source has no history to compare with; None if it has one.
        may_pass: True if such a build may pass without a review.
    """

    waivers: str = WAIVERS_FILE
    protected: frozenset[str] = frozenset()
    without_history: str | None = None
    may_pass: bool = False


@dataclass(frozen=True)
class _Side:
    """One of the two sides of the comparison.

    Args:
        label: Its label.
        assembly: Its assembly, created on demand.
        revision: Its commit, if it is one.
        waivers: Text of its waivers, if it has any.
        has_file: Returns True if its commit has a file; None for a folder that belongs to no commit.
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
    project: Path,
    recipe: Recipe = Recipe(),  # noqa: B008 - frozen
    waivers: Path | None = None,
    given: Callable[[], Given] = Given,
    env: Mapping[str, str] = os.environ,
    now: datetime | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> ReviewOutcome:
    """Review a change.

    Args:
        base: A revision, or the folder of an assembly. Default: in the pipeline's build the last delivered revision;
            elsewhere the previous commit, or the current one if the working tree has changes.
        head: A revision, or the folder of an assembly. Default: the working tree.
        project: Folder of the app: a repository, or a folder of one.
        recipe: How revisions are synthesised. Default: according to their own lock files and `cdk.json`.
        waivers: The file of waivers. Default: that of the head; none if two folders are compared.
        given: Information from the app. Default: none.
        env: The environment variables.
        now: The current time. Default: the clock's.
        say: Called before slow steps.

    Raises:
        ReviewError: A side is missing or cannot be synthesised or read, or the clock is wrong.
    """
    repository = Repository.of(project)
    app = Project(repository=repository, folder=repository.within(project), recipe=recipe)
    now = now or datetime.now(UTC)
    notes: list[str] = []
    known = given()
    pipeline = pipeline_of_build(env)
    if base is None and pipeline is None:
        base = _usual_base(repository)
    elif base is None and pipeline is not None:
        if (refused := _unreviewable(repository, known, env)) is not None:
            return refused
        base = _delivered(repository, pipeline)
        if base is None:
            notes.append(f"no revision to compare with: no execution of {pipeline} has succeeded yet")
    processes = Processes()
    sides = _Sides(app, known.waivers, processes, say)
    new = sides.head(head, folders=base is not None and _is_assembly(base))
    _check_clock(now, new.revision or _current(repository))
    if base is None:
        say(f"synthesising {new.label}")
        comparison = compare(None, _interruptible(processes, new.assembly))
        return ReviewOutcome(state=ReviewState.FIRST, head=new.label, comparison=comparison, notes=tuple(notes))
    old = sides.base(base)
    if old.revision is not None:
        _check_clock(now, old.revision)
    return _reviewed(old, new, processes=processes, known=known, waivers=waivers, now=now, notes=notes, say=say)


def _reviewed(
    old: _Side,
    new: _Side,
    *,
    processes: Processes,
    known: Given,
    waivers: Path | None,
    now: datetime,
    notes: Sequence[str],
    say: Callable[[str], None],
) -> ReviewOutcome:
    """Compare two sides, and judge what is found by the waivers."""
    file = str(waivers or known.waivers)
    text = _read(waivers) if waivers is not None else new.waivers
    change = read_waivers(text, file) if text else ()
    say(f"synthesising {old.label} and {new.label}")
    before, after = _side_by_side(processes, old.assembly, new.assembly)
    # Two folders may belong to any app, so this app's information doesn't apply.
    protected = frozenset() if old.revision is None and new.has_file is None else known.protected
    comparison = compare(before, after, has_file=new.has_file, protected=protected)
    return ReviewOutcome(
        state=ReviewState.REVIEWED,
        base=old.label,
        head=new.label,
        comparison=comparison,
        judgement=judge(comparison.findings, change, known=_known(old.waivers), today=now.date(), file=file),
        notes=tuple(notes),
    )


def _delivered(repository: Repository, pipeline: str) -> str | None:
    """Return the revision that a pipeline delivered last, fetched if necessary; None if it has delivered none."""
    base = deployed_revision(pipeline)
    if base is not None and not repository.fetch(base):
        raise ReviewError(
            f"{base}, the last revision that {pipeline} delivered, is no longer on any branch of the source: push "
            f"a branch with it, then retry the stage"
        )
    return base


def _usual_base(repository: Repository) -> str | None:
    """Return the most likely base of a comparison; None at the first commit."""
    if not repository.is_there:
        raise ReviewError("no git repository found; name the folder of an assembly to compare with")
    if repository.is_dirty:
        return "HEAD"
    return "HEAD~1" if repository.has_parent() else None


def _unreviewable(repository: Repository, given: Given, env: Mapping[str, str]) -> ReviewOutcome | None:
    """Return why a build of the pipeline cannot be reviewed; None if it can."""
    if given.without_history is not None:
        return ReviewOutcome(
            state=ReviewState.NOT_REVIEWED,
            problems=() if given.may_pass else (given.without_history,),
            notes=(given.without_history,) if given.may_pass else (),
            allowed=given.may_pass,
        )
    if REPORT_BUCKET not in env:
        note = (
            "this build runs under an older definition of the pipeline, without the review; the pipeline updates "
            "itself next, starts again, and reviews the change before anything is deployed"
        )
        return ReviewOutcome(state=ReviewState.NOT_REVIEWED, notes=(note,), allowed=True)
    if not repository.is_there:
        raise ReviewError("the build has no git history; configure the source for a full clone")
    return None


def _is_assembly(name: str) -> bool:
    return Path(name, MANIFEST_FILE).is_file() or (Path(name).is_dir() and (os.sep in name or name.startswith(".")))


@dataclass(frozen=True)
class _Sides:
    """Creates the two sides of a comparison."""

    app: Project
    waivers: str
    processes: Processes
    say: Callable[[str], None]

    def base(self, name: str) -> _Side:
        if _is_assembly(name):
            return _Side(name, lambda: read_assembly(Path(name)))
        return self._revision(name)

    def head(self, name: str | None, *, folders: bool) -> _Side:
        repository = self.app.repository
        file = repository.root / self.waivers
        own = _read(file) if file.is_file() and not folders else None
        if name is None:
            here = _described(repository)
            return _Side(
                here,
                lambda: synthesise_here(self.app, self.processes, read_assembly, self.say),
                waivers=own,
                has_file=repository.has_file,
            )
        if _is_assembly(name):
            # In the pipeline's build, the working tree's assembly is the one that it passes on.
            has_file = None if folders else repository.has_file
            return _Side(name, lambda: read_assembly(Path(name)), waivers=own, has_file=has_file)
        return self._revision(name)

    def _revision(self, name: str) -> _Side:
        repository = self.app.repository
        revision = repository.revision(name)
        return _Side(
            str(revision),
            lambda: synthesise_revision(self.app, revision, self.processes, read_assembly, self.say),
            revision,
            repository.read(revision, self.waivers),
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
            f"{revision.committed:%Y-%m-%d %H:%M} UTC; correct the clock, because waivers are judged by it"
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReviewError(f"{path} cannot be read ({error})") from None


def _known(text: str | None) -> tuple[ReviewWaiver, ...]:
    """Return the base's waivers; unreadable ones were not effective."""
    try:
        return read_waivers(text) if text else ()
    except ReviewError:
        return ()


def _interruptible(processes: Processes, assembly: Callable[[], Assembly]) -> Assembly:
    return _side_by_side(processes, assembly, Assembly)[0]


def _side_by_side(
    processes: Processes, one: Callable[[], Assembly], other: Callable[[], Assembly]
) -> tuple[Assembly, Assembly]:
    """Return both assemblies, synthesised in parallel; an interrupt also ends the processes."""
    with ThreadPoolExecutor(max_workers=2) as threads:
        futures: list[Future[Assembly]] = [threads.submit(one), threads.submit(other)]
        try:
            return futures[0].result(), futures[1].result()
        except BaseException:
            processes.stop()
            raise
