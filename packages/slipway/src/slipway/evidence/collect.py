"""Read and judge everything that the page shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from slipway.assembly.reader import MANIFEST_FILE
from slipway.drawing.model import Stage
from slipway.drawing.read import PictureError, read_pipeline
from slipway.evidence import checklist, requirements
from slipway.evidence.checklist import FILES, FOLDER, QUESTIONS, Checklist, ChecklistAnswer, answers_to, load_checklist
from slipway.evidence.reports import REVIEW_FILE, SUPPLY_FILE, GateReport, Review, Supply, load_report
from slipway.evidence.requirements import ONLY_AWS, Requirements, read_requirements
from slipway.evidence.sources import Sources
from slipway.evidence.verdict import Part, PartState, claims, headline, overall, plain, review_part, supply_part
from slipway.nag.assembly import REPORT_FILE
from slipway.nag.names import PacksOf
from slipway.nag.terminal import summary
from slipway.nag.verdict import Acknowledgement, RuleFinding, Verdict, judge, stage_of

PIPELINE_TEMPLATE = "Pipeline.template.json"


@dataclass(frozen=True)
class Excuse:
    """Findings of a rule in a stage that are accepted for one reason."""

    rule: str
    reason: str
    owner: str
    expires: date
    at: str
    """File and line of the reason."""
    findings: tuple[tuple[str, str], ...]
    """Path of each construct, and the rule with what it reports."""


@dataclass(frozen=True)
class StageFindings:
    """The nag gate's verdict on a stage."""

    name: str
    findings: tuple[RuleFinding, ...]
    accepted: tuple[Excuse, ...]

    @property
    def acknowledged(self) -> int:
        """Return the number of accepted findings."""
        return sum(len(one.findings) for one in self.accepted)


@dataclass(frozen=True)
class Evidence:
    """Everything that the page shows."""

    parts: tuple[Part, ...]
    synthesised: datetime | None
    """Time at which the assembly was written; None without an assembly."""
    nag: Verdict | None
    review: GateReport[Review]
    supply: GateReport[Supply]
    pipeline: tuple[Stage, ...]
    requirements: Requirements
    checklists: tuple[Checklist, ...]
    sources: Sources

    @property
    def state(self) -> PartState:
        """The verdict."""
        return overall(self.parts)

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        return headline(self.parts)

    @property
    def stages(self) -> tuple[StageFindings, ...]:
        """Return the nag gate's verdicts, by stage in the order of the pipeline."""
        return _by_stage(self.nag, [stage.name for stage in self.pipeline]) if self.nag else ()


def collect(
    root: Path,
    assembly: Path,
    packs: PacksOf,
    *,
    report: Path,
    today: date,
    questions: Path = QUESTIONS,
    checklists: Path = FOLDER,
    unit_of: Callable[[str], str] | None = None,
) -> Evidence:
    """Read and judge everything.

    Args:
        root: The repository.
        assembly: The assembly that `make synth` wrote.
        packs: Rule packs that must have judged each stack.
        report: Folder with the other gates' reports.
        today: Acknowledgements that end before this day are expired.
        questions: Folder with the checklists. Default: the tool's.
        checklists: Folder with the app's answers to them. Default: those of this project.
        unit_of: Names the part of the app that a stack belongs to in the baseline. Default: the stack's stage.

    Raises:
        EvidenceError: A document or a checklist of the repository is invalid.
    """
    sources = Sources(root)
    since = _written(assembly)
    nag = None
    if since is not None:
        nag = judge(assembly, packs, today=today, baseline=root, unit_of=unit_of)
    # Without an assembly, no report can belong to one.
    fresh = since if since is not None else float("inf")
    review = load_report(report / REVIEW_FILE, Review, verb="make review", since=fresh)
    supply = load_report(report / SUPPLY_FILE, Supply, verb="make gates", since=fresh)
    stages, picture = _picture(assembly, synthesised=since is not None)
    required = read_requirements(root)
    answered = tuple(
        load_checklist(questions / name, *answers_to(name, root=root, folder=checklists)) for name in FILES
    )
    return Evidence(
        parts=(
            _nag_part(nag),
            review_part(review),
            supply_part(supply),
            picture,
            _requirements_part(required),
            *(_checklist_part(number, one, sources) for number, one in enumerate(answered, start=1)),
        ),
        synthesised=datetime.fromtimestamp(since, UTC) if since is not None else None,
        nag=nag,
        review=review,
        supply=supply,
        pipeline=stages,
        requirements=required,
        checklists=answered,
        sources=sources,
    )


def _written(assembly: Path) -> float | None:
    """Return the Unix time at which an assembly was last written, seconds; None without an assembly."""
    files = [assembly / name for name in (MANIFEST_FILE, REPORT_FILE)]
    return max((file.stat().st_mtime for file in files if file.is_file()), default=None)


def _nag_part(nag: Verdict | None) -> Part:
    anchor, title = "nag", "Nag gate"
    if nag is None:
        return Part(anchor, title, PartState.INCOMPLETE, "not run", ("no assembly found; run `make synth`",))
    faults = tuple(f"{fault.place}: {fault.message}" for fault in nag.faults)
    found = (f"unacknowledged findings: {len(nag.findings)}",) if nag.findings else ()
    return Part(anchor, title, PartState.RED if nag.red else PartState.GREEN, plain(summary(nag)), (*found, *faults))


def _picture(assembly: Path, *, synthesised: bool) -> tuple[tuple[Stage, ...], Part]:
    anchor, title = "pipeline", "Pipeline"
    if not synthesised:
        missing = ("no assembly found; run `make synth`",)
        return (), Part(anchor, title, PartState.INCOMPLETE, "not run", missing)
    try:
        stages = read_pipeline(assembly / PIPELINE_TEMPLATE)
    except PictureError as error:
        return (), Part(anchor, title, PartState.RED, "cannot be drawn", (str(error),))
    actions = sum(len(row) for stage in stages for row in stage.rows)
    return stages, Part(anchor, title, PartState.GREEN, f"{len(stages)} stages, {actions} actions")


def _requirements_part(required: Requirements) -> Part:
    faults = len(required.sections.get(ONLY_AWS, []))
    rows, tests = len(required.rows) - faults, len(required.tests)
    counted = f"{rows} rows and {faults} faults that only AWS can show, {tests} tests"
    return claims("requirements", "Requirements", counted, requirements.problems(required))


def _checklist_part(number: int, one: Checklist, sources: Sources) -> Part:
    counted = ", ".join(f"{one.count(answer)} {answer}" for answer in ChecklistAnswer)
    return claims(f"checklist-{number}", one.title, counted, checklist.problems(one, sources))


def _by_stage(nag: Verdict, order: Iterable[str]) -> tuple[StageFindings, ...]:
    findings: defaultdict[str, list[RuleFinding]] = defaultdict(list)
    accepted: defaultdict[str, list[Acknowledgement]] = defaultdict(list)
    for finding in nag.findings:
        findings[_stage(finding.stack)].append(finding)
    for one in nag.acknowledgements:
        accepted[_stage(one.stack)].append(one)
    places = _places(order)
    names = sorted(
        {*map(_stage, nag.stacks), *findings, *accepted}, key=lambda name: (places.get(name.split("-")[0], -1), name)
    )
    return tuple(StageFindings(name, tuple(findings[name]), tuple(_reasons(accepted[name]))) for name in names)


def _places(order: Iterable[str]) -> Mapping[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(order):
        places.setdefault(name.partition("-")[0], place)
    return places


def _stage(stack: str) -> str:
    return stage_of(stack).rpartition("/")[2] or "above the stacks"


def _reasons(acknowledgements: Iterable[Acknowledgement]) -> Iterable[Excuse]:
    groups: defaultdict[tuple[str, str, str, date, str], list[tuple[str, str]]] = defaultdict(list)
    for one in acknowledgements:
        signed = (one.rule.partition("[")[0], one.reason, one.owner, one.expires, one.at)
        groups[signed].append((one.path, one.rule))
    for signed, found in sorted(groups.items()):
        yield Excuse(*signed, findings=tuple(sorted(found)))
