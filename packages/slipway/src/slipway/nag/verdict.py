"""Judge an assembly by its validation report.

Only the report can make the gate pass. Everything beside it (manifests, templates, metadata, the baseline) can only
make it fail: a stack that no pack judged, an acknowledgement that suppresses nothing, a higher count.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path

from slipway.nag.assembly import (
    StackFiles,
    UnreadableError,
    ValidationReport,
    ViolatingConstruct,
    Violation,
    read_report,
    read_stacks,
)
from slipway.nag.baseline import Counts, baseline_file, read_baseline
from slipway.nag.names import (
    ACKNOWLEDGED_RULES,
    ANNOTATIONS,
    TEMPLATE_CHECKS,
    PacksOf,
    bare_rule,
    plugin_of,
)
from slipway.nag.reason import is_sentence, read, repeats
from slipway.nag.sentinel import ABOVE_RULE, SENTINEL_RULE, template_digest

NOTICE = timedelta(days=31)
"""Days of warning before an acknowledgement expires."""

LONGEST = timedelta(days=400)
"""Maximum days until an expiry date: each reason is reviewed once a year, and a clock that is years behind is
noticed."""

# Template rules whose violations CloudFormation itself would refuse; `acknowledge` accepts none of them.
_FATAL_RULE = re.compile(r"F\d{4}")


class RuleSeverity(StrEnum):
    """Severities that fail the gate. `custom` stands for a pack's own severity."""

    FATAL = "fatal"
    ERROR = "error"
    WARNING = "warning"
    CUSTOM = "custom"


@dataclass(frozen=True, order=True)
class RuleFinding:
    """A rule broken by one resource, without an acknowledgement."""

    stack: str
    path: str
    rule: str
    severity: RuleSeverity
    pack: str
    description: str
    advice: str


@dataclass(frozen=True, order=True)
class Acknowledgement:
    """An accepted finding, with the place that accepts it."""

    stack: str
    path: str
    rule: str
    pack: str
    description: str
    reason: str
    owner: str
    expires: date
    acknowledged_at: str
    """Path of the construct that it is given on."""
    at: str
    """File and line of the acknowledgement."""


@dataclass(frozen=True, order=True)
class ReportFault:
    """Why the report, or an acknowledgement in it, cannot be trusted."""

    place: str
    message: str


@dataclass(frozen=True, order=True)
class Caution:
    """A warning of a future fault."""

    place: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """The gate's verdict on an assembly."""

    judged: Mapping[str, tuple[str, ...]]
    """Packs that must have judged each stack, by the path of its construct."""
    templates: Mapping[str, str]
    """Path of each stack's template within the assembly."""
    findings: tuple[RuleFinding, ...]
    acknowledgements: tuple[Acknowledgement, ...]
    faults: tuple[ReportFault, ...]
    cautions: tuple[Caution, ...]
    counts: Counts = field(default_factory=dict)
    """Places that accept findings, by service, file and rule; granular rules under their plain id."""

    @property
    def red(self) -> bool:
        """Return True if the change must stop."""
        return bool(self.findings or self.faults)

    @property
    def stacks(self) -> tuple[str, ...]:
        """Paths of the stacks, in order."""
        return tuple(sorted(self.judged))

    @property
    def packs(self) -> tuple[str, ...]:
        """Every pack that some stack needs."""
        return tuple(dict.fromkeys(pack for stack in self.stacks for pack in self.judged[stack]))


@dataclass(frozen=True)
class _Given:
    """An acknowledgement, whether or not it suppresses anything."""

    path: str
    identifier: str
    reason: str

    @property
    def pack(self) -> str:
        return plugin_of(self.identifier.partition("::")[0])


def judge(
    assembly: Path,
    packs_of: PacksOf,
    *,
    today: date,
    since: float | None = None,
    baseline: Path | None = None,
    complete: bool = True,
    unit_of: Callable[[str], str] | None = None,
) -> Verdict:
    """Judge an assembly by its report. Anything missing or unclear fails it.

    Args:
        assembly: Folder that `app.synth()` wrote, with `manifest.json` and `validation-report.json`.
        packs_of: Returns the packs that must have judged a stack. CDK's own template checks are always required.
        today: Acknowledgements that end before this day are expired.
        since: Start of the run, Unix time; older reports are refused. Default: the report only has to match the
            templates beside it.
        baseline: Project with the accepted counts. Default: counts are not compared.
        complete: True if the assembly contains everything that the baseline counts. If False, lower counts are not
            reported. Default: True.
        unit_of: Returns the part of the app, such as the service, that a stack belongs to in the baseline, independent
            of environments. Default: the stack's stage.
    """
    try:
        stacks = read_stacks(assembly)
        report = read_report(assembly, since=since)
    except UnreadableError as error:
        return _unreadable(error)
    judged = {stack.name: (*packs_of(stack.name), TEMPLATE_CHECKS) for stack in stacks}
    # An acknowledgement on a stage inside a stack, as in a pipeline, is in both.
    given = list(dict.fromkeys([*_given_in(stacks), *_given_above(report)]))
    acknowledgements = tuple(sorted(_acknowledgements(report, judged)))
    counts = _count(acknowledgements, unit_of or stage_of)
    grown, shrunk = _drift(counts, baseline, complete=complete) if baseline else ((), ())
    faults = {
        *_pack_faults(report, stacks, judged),
        *_bare(given),
        *_unsigned([*given, *_suppressing(report)]),
        *_stale(given, report, judged),
        *_worthless(acknowledgements),
        *_expired(acknowledgements, today),
        *grown,
    }
    return Verdict(
        judged=judged,
        templates={stack.name: stack.template_key for stack in stacks},
        findings=tuple(sorted(_findings(report, judged))),
        acknowledgements=acknowledgements,
        faults=tuple(sorted(faults)),
        cautions=(*_cautions(acknowledgements, today), *shrunk),
        counts=counts,
    )


def _unreadable(error: UnreadableError) -> Verdict:
    fault = ReportFault(error.file.name, str(error))
    return Verdict(judged={}, templates={}, findings=(), acknowledgements=(), faults=(fault,), cautions=())


def _pack_faults(
    report: ValidationReport, stacks: list[StackFiles], judged: Mapping[str, tuple[str, ...]]
) -> Iterator[ReportFault]:
    """Yield packs that failed, that left no sentinel, or that judged templates other than the current ones."""
    if not stacks:
        yield ReportFault("manifest.json", "names no stack: there is nothing to judge")
    for plugin in report.plugin_reports:
        if "error" in plugin.metadata:
            yield ReportFault(plugin.plugin_name, f"did not finish: {plugin.metadata['error']}")
    for pack, times in Counter(plugin.plugin_name for plugin in report.plugin_reports).items():
        if times > 1:
            yield ReportFault(
                pack,
                f"judged {times} times: call register once, on an app made with "
                "App(post_cli_context=CONTEXT, builtin_cloud_formation_validation=False)",
            )
    yield from (
        ReportFault(stack.name, f"{stack.template_key} is missing") for stack in stacks if not stack.template.is_file()
    )
    seen = _sentinels(report)
    known = {stack.template_key for stack in stacks}
    for pack in dict.fromkeys(pack for packs in judged.values() for pack in packs):
        if pack not in seen:
            yield ReportFault(pack, "left no trace of having run")
            continue
        yield from (ReportFault(pack, f"judged {key}, which is in no manifest") for key in seen[pack].keys() - known)
        for stack in stacks:
            digest = seen[pack].get(stack.template_key)
            if pack not in judged[stack.name] or not stack.template.is_file():
                continue
            if digest is None:
                yield ReportFault(pack, f"did not judge {stack.name}")
            elif template_digest(stack.template) != digest:
                yield ReportFault(pack, f"judged a template of {stack.name} other than {stack.template_key}")


def _sentinels(report: ValidationReport) -> dict[str, Mapping[str, str]]:
    return {
        plugin.plugin_name: violation.rule_metadata or {}
        for plugin in report.plugin_reports
        for violation in plugin.violations
        if violation.rule_name == SENTINEL_RULE
    }


def _given_in(stacks: list[StackFiles]) -> Iterator[_Given]:
    for stack in stacks:
        for path, entries in stack.metadata.items():
            for entry in entries:
                if entry.type == ACKNOWLEDGED_RULES and isinstance(entry.data, Mapping):
                    for identifier, reason in entry.data.items():
                        yield _Given(path.lstrip("/"), str(identifier), str(reason))


def _given_above(report: ValidationReport) -> Iterator[_Given]:
    for plugin in report.plugin_reports:
        for violation in plugin.violations:
            if violation.rule_name == ABOVE_RULE:
                data = violation.rule_metadata or {}
                for place in violation.violating_constructs:
                    yield _Given(place.construct_path, data.get("id", ""), data.get("reason", ""))


def _suppressing(report: ValidationReport) -> Iterator[_Given]:
    for plugin in report.plugin_reports:
        for suppressed in plugin.suppressed_violations:
            yield _Given(suppressed.acknowledged_at, suppressed.acknowledged_id, suppressed.reason)


def _bare(given: Iterable[_Given]) -> Iterator[ReportFault]:
    for one in given:
        rule = bare_rule(one.identifier)
        if rule:
            message = f"{rule} is acknowledged by its unqualified id, which leaves no trace; use acknowledge()"
            yield ReportFault(one.path or "app", message)


def _unsigned(given: Iterable[_Given]) -> Iterator[ReportFault]:
    for one in given:
        if not bare_rule(one.identifier) and read(one.reason) is None:
            message = f"{one.identifier} is acknowledged without owner, expiry and place: use acknowledge()"
            yield ReportFault(one.path or "app", message)


def _stale(
    given: Iterable[_Given], report: ValidationReport, judged: Mapping[str, tuple[str, ...]]
) -> Iterator[ReportFault]:
    """Yield acknowledgements that suppressed nothing although their pack judged the construct."""
    used = {
        (suppressed.acknowledged_at, suppressed.acknowledged_id)
        for plugin in report.plugin_reports
        for suppressed in plugin.suppressed_violations
    }
    places: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for one in given:
        # Nothing is known if the pack does not run, nor about a construct's own warnings, which are removed from the
        # report.
        if one.identifier.startswith(f"{ANNOTATIONS}::") or not _is_judged(one, judged):
            continue
        if (one.path, one.identifier) not in used:
            signed = read(one.reason)
            places[signed.at if signed else one.path, one.identifier].append(one.path or "app")
    for (at, identifier), paths in places.items():
        yield ReportFault(
            at,
            f"the acknowledgement of {identifier} no longer suppresses anything; remove it: {', '.join(sorted(paths))}",
        )


def _is_judged(given: _Given, judged: Mapping[str, tuple[str, ...]]) -> bool:
    stack = stack_of(given.path, judged)
    stacks = [stack] if stack else [name for name in judged if not given.path or name.startswith(f"{given.path}/")]
    return any(given.pack in judged[name] for name in stacks)


def _worthless(acknowledgements: Iterable[Acknowledgement]) -> Iterator[ReportFault]:
    """Yield reasons that `acknowledge` would have refused, or could not check: it doesn't have every rule's text."""
    for one in acknowledgements:
        rule = one.rule.partition("[")[0]
        if not is_sentence(one.reason, rule=rule):
            yield ReportFault(one.at, f"the reason for {rule} is not a sentence of at least five words: {one.reason!r}")
        elif repeats(one.reason, one.description):
            yield ReportFault(one.at, f"the reason for {rule} repeats the rule: {one.reason!r}")


def _expired(acknowledgements: Iterable[Acknowledgement], today: date) -> Iterator[ReportFault]:
    for (at, owner, expires), rules in _by_signature(acknowledgements).items():
        if expires < today:
            yield ReportFault(at, f"the acknowledgement of {rules} expired on {expires} (owner: {owner})")
        elif expires - today > LONGEST:
            message = f"expires on {expires}, more than {LONGEST.days} days after today, {today}: name an earlier day"
            yield ReportFault(at, f"the acknowledgement of {rules} {message}, or correct the clock")


def _cautions(acknowledgements: Iterable[Acknowledgement], today: date) -> Iterator[Caution]:
    for (at, owner, expires), rules in sorted(_by_signature(acknowledgements).items()):
        if timedelta() <= expires - today <= NOTICE:
            yield Caution(at, f"the acknowledgement of {rules} expires on {expires}: {owner} must review it")


def _by_signature(acknowledgements: Iterable[Acknowledgement]) -> dict[tuple[str, str, date], str]:
    """Return one entry per place in the code: a block's acknowledgement appears at many constructs."""
    rules: defaultdict[tuple[str, str, date], set[str]] = defaultdict(set)
    for one in acknowledgements:
        rules[one.at, one.owner, one.expires].add(one.rule.partition("[")[0])
    return {signature: ", ".join(sorted(found)) for signature, found in rules.items()}


def _drift(counts: Counts, root: Path, *, complete: bool) -> tuple[tuple[ReportFault, ...], tuple[Caution, ...]]:
    """Compare the accepted findings with the project's baseline: a higher count is a fault, a lower one a note."""
    committed, unreadable = read_baseline(root, counts)
    missing = {error.file for error in unreadable}
    accepted, now = _flat(committed), _flat(counts)
    grown = [ReportFault(error.file.relative_to(root).as_posix(), str(error)) for error in unreadable]
    for (unit, file, rule), number in sorted(now.items()):
        at, before = baseline_file(root, unit), accepted.get((unit, file, rule), 0)
        if number > before and root / at not in missing:
            message = (
                f"{unit}: {file} accepts {rule} in {_places(number)}, the baseline in {before}; "
                "fix the finding, or write the new baseline into this commit (make baseline)"
            )
            grown.append(ReportFault(at, message))
    fewer = sum(now.get(key, 0) < number for key, number in accepted.items()) if complete else 0
    if not fewer:
        return tuple(grown), ()
    message = (
        f"{fewer} of its {len(accepted)} entries are higher than the current counts; lower them with `make baseline`"
    )
    return tuple(grown), (Caution("baseline", message),)


def _flat(counts: Counts) -> dict[tuple[str, str, str], int]:
    return {
        (unit, file, rule): number
        for unit, files in counts.items()
        for file, rules in files.items()
        for rule, number in rules.items()
    }


def _places(number: int) -> str:
    return "1 place" if number == 1 else f"{number} places"


def _count(acknowledgements: Iterable[Acknowledgement], unit_of: Callable[[str], str]) -> Counts:
    places: defaultdict[str, defaultdict[str, defaultdict[str, set[str]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(set))
    )
    for one in acknowledgements:
        file = one.at.rpartition(":")[0] or one.at
        places[unit_of(one.stack)][file][one.rule.partition("[")[0]].add(one.at)
    return {
        unit: {file: {rule: len(found) for rule, found in rules.items()} for file, rules in files.items()}
        for unit, files in places.items()
    }


def stack_of(path: str, stacks: Container[str]) -> str:
    """Return the stack of a construct, by walking up its path, which is fast for any number of stacks."""
    while path and path not in stacks:
        path = path.rpartition("/")[0]
    return path


def stage_of(stack: str) -> str:
    """Return the path of the stage that a stack is deployed with; its own path without one."""
    return stack.rpartition("/")[0] or stack


def _findings(report: ValidationReport, stacks: Container[str]) -> Iterator[RuleFinding]:
    for plugin in report.plugin_reports:
        for violation in plugin.violations:
            if violation.severity == "info":
                continue
            for place in violation.violating_constructs or (ViolatingConstruct(),):
                yield RuleFinding(
                    stack=stack_of(place.construct_path, stacks),
                    path=place.construct_path,
                    rule=violation.rule_name,
                    severity=_severity(violation.severity),
                    pack=plugin.plugin_name,
                    description=violation.description.strip(),
                    advice=_advice(violation),
                )


def _severity(name: str) -> RuleSeverity:
    try:
        return RuleSeverity(name)
    except ValueError:
        return RuleSeverity.CUSTOM


def _advice(violation: Violation) -> str:
    if violation.suggested_fix:
        return violation.suggested_fix.strip()
    if _FATAL_RULE.fullmatch(violation.rule_name):
        return "fix it: this cannot be acknowledged"
    rule, _, finding = violation.rule_name.partition("[")
    return f"fix it, or acknowledge {rule}" + (f" with finding={finding.removesuffix(']')!r}" if finding else "")


def _acknowledgements(report: ValidationReport, stacks: Container[str]) -> Iterator[Acknowledgement]:
    """Yield acknowledgements with owner and expiry; others are faults."""
    for plugin in report.plugin_reports:
        for suppressed in plugin.suppressed_violations:
            signed = read(suppressed.reason)
            if signed is None:
                continue
            for place in suppressed.violating_constructs:
                yield Acknowledgement(
                    stack=stack_of(place.construct_path, stacks),
                    path=place.construct_path,
                    rule=suppressed.rule_name,
                    pack=plugin.plugin_name,
                    description=suppressed.description.strip(),
                    reason=signed.reason,
                    owner=signed.owner,
                    expires=signed.expires,
                    acknowledged_at=suppressed.acknowledged_at,
                    at=signed.at,
                )
