"""Convert templates back into constructs, for cdk-nag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import App, DefaultStackSynthesizer, Environment
from aws_cdk import Stack as CdkStack
from aws_cdk.cloudformation_include import CfnInclude

from slipway.nag.packs import CONTEXT, find_blind, make_pack
from slipway.nag.verdict import ReportFault
from slipway.review.assembly import ReviewedStack

_TEMPLATE = "T"


@dataclass(frozen=True, kw_only=True)
class Included:
    """A stack, and a file with the part of its template to include."""

    stack: ReviewedStack
    file: Path


@dataclass(frozen=True, kw_only=True)
class PackFinding:
    """A rule that a pack finds broken.

    Args:
        pack: Name of the pack.
        rule: Id of the rule, with a granular finding in brackets.
        severity: The pack's severity.
        description: The rule's text.
        stack: The stack.
        logical_id: The resource; empty for the whole stack.
    """

    pack: str
    rule: str
    severity: str
    description: str
    stack: ReviewedStack
    logical_id: str


def violations(included: Sequence[Included], packs: Sequence[str], faults: list[ReportFault]) -> Iterator[PackFinding]:
    """Yield the findings of cdk-nag's packs in stacks.

    Args:
        included: The stacks.
        packs: Names of the packs.
        faults: Receives a fault for each template and each pack that cannot be evaluated.
    """
    app = App(post_cli_context=CONTEXT, builtin_cloud_formation_validation=False, analytics_reporting=False)
    scopes: dict[str, tuple[CdkStack, ReviewedStack]] = {}
    for number, each in enumerate(included):
        try:
            scopes[f"S{number}"] = _include(app, f"S{number}", each), each.stack
        # jsii raises the library's errors as its own type, or as a plain one.
        except Exception as error:  # noqa: BLE001
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            faults.append(ReportFault(each.stack.path, f"its template cannot be read for cdk-nag: {reason}"))
    for name in packs:
        pack = make_pack(app, name)
        if find_blind(pack):
            faults.append(ReportFault(name, "finds nothing in a stack that breaks its rules"))
            continue
        for scope, stack in scopes.values():
            for violation in pack.validate_scope(scope).violations:
                for place in violation.violating_resources:
                    yield PackFinding(
                        pack=name,
                        rule=violation.rule_name,
                        severity=violation.severity or "error",
                        description=violation.description.strip(),
                        stack=stack,
                        logical_id=_logical_id(place.construct_path or "", place.resource_logical_id),
                    )


def _include(app: App, identifier: str, included: Included) -> CdkStack:
    key = included.stack.key
    known = {
        name: value
        for name, value in (("account", key.account), ("region", key.region))
        if not value.startswith("unknown-")
    }
    stack = CdkStack(
        app,
        identifier,
        env=Environment(**known),
        # The template already has a parameter and a rule of that name.
        synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
    )
    CfnInclude(stack, _TEMPLATE, template_file=str(included.file), allow_cyclical_references=True)
    return stack


def _logical_id(path: str, given: str | None) -> str:
    """Return the resource at a path: a construct has its logical id as name (`S0/T/Table`)."""
    parts = path.split("/")
    return given or (parts[2] if len(parts) > 2 else "")
