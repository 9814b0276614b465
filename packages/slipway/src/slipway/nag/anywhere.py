"""Judge an assembly without our gate registered in its app, of an app in any language.

cdk-nag inspects constructs. So each template is converted back into constructs (`CfnInclude`), which preserves
everything that a rule needs: cdk-nag's rules inspect L1 resources. Findings are reported with the app's own construct
paths.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from slipway.nag.assembly import UnreadableError, read_report
from slipway.nag.assembly import read_stacks as read_files
from slipway.nag.given import Acceptances, AcceptedFinding, acceptances
from slipway.nag.names import AWS_PACK
from slipway.nag.own import OwnPack, SynthesizedStack
from slipway.nag.verdict import ReportFault, RuleFinding, RuleSeverity
from slipway.review.assembly import Assembly, ReviewedStack, read_assembly
from slipway.review.errors import ReviewError

_UNKNOWN: Final = "SlipwayUnknownValue"
"""Parameter that replaces what `CfnInclude` cannot read."""

_INCLUDED: Final = frozenset(
    {
        "Fn::And",
        "Fn::Base64",
        "Fn::Cidr",
        "Fn::Equals",
        "Fn::FindInMap",
        "Fn::GetAZs",
        "Fn::GetAtt",
        "Fn::If",
        "Fn::ImportValue",
        "Fn::Join",
        "Fn::Not",
        "Fn::Or",
        "Fn::Select",
        "Fn::Split",
        "Fn::Sub",
        "Fn::Transform",
    }
)
"""Functions that it reads (`CfnParser.parseIfCfnIntrinsic` in aws-cdk-lib's core/lib/helpers-internal/cfn-parse.ts)."""

_SECTIONS: Final = ("Parameters", "Mappings", "Conditions", "Resources")
_NOT_JUDGED: Final = "CdkNagValidationFailure"


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """Verdict of rule packs on an assembly.

    Args:
        packs: The packs that ran.
        stacks: Paths of the stacks that they judged.
        findings: Broken rules that nothing accepts.
        accepted: Findings that the app itself accepts, each with its reason.
        faults: Reasons not to trust the result.
        notes: Rules that could not judge, because a value is only known at deployment.
    """

    packs: tuple[str, ...]
    stacks: tuple[str, ...]
    findings: tuple[RuleFinding, ...]
    accepted: tuple[AcceptedFinding, ...]
    faults: tuple[ReportFault, ...]
    notes: tuple[ReportFault, ...] = ()

    def exit_code(self, *, warnings: bool = True) -> int:
        """Return 2 if it cannot be trusted, 1 if something was found, otherwise 0.

        Args:
            warnings: True if warnings count as findings.
        """
        if self.faults:
            return 2
        return int(any(warnings or finding.severity is not RuleSeverity.WARNING for finding in self.findings))


def judge_assembly(folder: Path, packs: Sequence[str] = (), own: Sequence[OwnPack] = ()) -> Ruling:
    """Run rule packs on an assembly, honouring its own app's acknowledgements.

    Args:
        folder: The assembly, `cdk.out`.
        packs: Names of packs of cdk-nag, such as `AwsSolutions`.
        own: Packs over templates.
    """
    names = (*packs, *(pack.name for pack in own))
    try:
        assembly = read_assembly(folder)
        files = read_files(folder)
        given = acceptances(assembly, files, _report(folder))
    except (ReviewError, UnreadableError) as error:
        file = error.file.name if isinstance(error, UnreadableError) else folder.name
        return Ruling(packs=names, stacks=(), findings=(), accepted=(), faults=(ReportFault(file, str(error)),))
    faults: list[ReportFault] = []
    notes: list[ReportFault] = []
    found = list(_by_cdk_nag(assembly, packs, faults, notes)) if packs else []
    synthesized = [SynthesizedStack(path=file.name, template=file.template) for file in files]
    for pack in own:
        found += _by_own(pack, synthesized, assembly, faults)
    findings, accepted = _sorted_out(found, given)
    return Ruling(
        packs=names,
        stacks=tuple(sorted(stack.path for stack in assembly.stacks)),
        findings=tuple(sorted(findings)),
        accepted=tuple(sorted(accepted)),
        faults=tuple(sorted(set(faults))),
        notes=tuple(sorted(set(notes))),
    )


def _report(folder: Path) -> Any:
    """Return CDK's own report on the assembly; None if the app ran no rules."""
    try:
        return read_report(folder, since=None)
    except UnreadableError:
        return None


def _sorted_out(
    found: Iterable[tuple[RuleFinding, ReviewedStack, str]], given: Acceptances
) -> tuple[list[RuleFinding], list[AcceptedFinding]]:
    findings: list[RuleFinding] = []
    accepted: list[AcceptedFinding] = []
    for finding, stack, logical_id in dict.fromkeys(found):
        reason = given.of(stack, logical_id, finding.path, finding.rule)
        if reason is None:
            findings.append(finding)
        else:
            accepted.append(AcceptedFinding(finding=finding, reason=reason))
    return findings, accepted


def _by_own(
    pack: OwnPack, stacks: Sequence[SynthesizedStack], assembly: Assembly, faults: list[ReportFault]
) -> Iterator[tuple[RuleFinding, ReviewedStack, str]]:
    if blind := list(pack.blind()):
        faults.append(ReportFault(pack.name, f"{', '.join(blind)}: finds nothing in a stack that breaks the rule"))
    by_path = {stack.path: stack for stack in assembly.stacks}
    for breach in pack.judge(stacks):
        stack = by_path.get(breach.stack)
        if stack is None:
            faults.append(ReportFault(breach.stack, f"{breach.rule} names a stack that is not in the assembly"))
            continue
        logical_id = breach.logical_id or ""
        path = _path(stack, logical_id) if logical_id else stack.path
        finding = RuleFinding(
            stack=stack.path,
            path=path,
            rule=breach.rule,
            severity=RuleSeverity.ERROR,
            pack=pack.name,
            description=breach.description,
            advice=breach.fix,
        )
        yield finding, stack, logical_id


def _by_cdk_nag(
    assembly: Assembly, packs: Sequence[str], faults: list[ReportFault], notes: list[ReportFault]
) -> Iterator[tuple[RuleFinding, ReviewedStack, str]]:
    from slipway.nag.included import Included, violations  # noqa: PLC0415 - loads CDK, for two seconds

    with TemporaryDirectory() as folder:
        included: list[Included] = []
        for number, stack in enumerate(assembly.stacks):
            file = Path(folder, f"{number}.json")
            file.write_text(json.dumps(_includable(stack.template)), encoding="utf-8")
            included.append(Included(stack=stack, file=file))
        for violation in violations(included, packs, faults):
            path = _path(violation.stack, violation.logical_id) if violation.logical_id else violation.stack.path
            if violation.rule.startswith(_NOT_JUDGED):
                notes.append(ReportFault(path, f"{violation.rule}: {violation.description}"))
                continue
            finding = RuleFinding(
                stack=violation.stack.path,
                path=path,
                rule=violation.rule,
                severity=RuleSeverity.WARNING if violation.severity == "warning" else RuleSeverity.ERROR,
                pack=violation.pack,
                description=violation.description,
                advice="",
            )
            yield finding, violation.stack, violation.logical_id


def _path(stack: ReviewedStack, logical_id: str) -> str:
    return stack.paths.get(logical_id, f"{stack.path}/{logical_id}").removesuffix("/Resource")


def _includable(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template that `CfnInclude` can read: only what rules inspect, without unsupported functions."""
    found = {section: _readable(template[section]) for section in _SECTIONS if template.get(section)}
    found["Parameters"] = {**found.get("Parameters", {}), _UNKNOWN: {"Type": "String"}}
    return found


def _readable(value: Any) -> Any:
    match value:
        case dict() if len(value) == 1 and (name := next(iter(value))).startswith("Fn::") and name not in _INCLUDED:
            return {"Ref": _UNKNOWN}
        case dict():
            return {key: _readable(inner) for key, inner in value.items()}
        case list():
            return [_readable(inner) for inner in value]
    return value


def only_aws() -> OwnPack:
    """Return the pack of rules on AWS behaviour (`docs/rules.md`)."""
    from slipway.rules.aws.pack import OnlyAwsRules  # noqa: PLC0415 - other packs don't need it

    pack = OnlyAwsRules()
    if pack.name != AWS_PACK:
        raise ValueError(f"{pack.name} is not {AWS_PACK}")
    return pack
