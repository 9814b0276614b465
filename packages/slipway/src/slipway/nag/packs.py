"""Register the rule packs so that each leaves a trace of having run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

import jsii
from aws_cdk import (
    App,
    CloudFormationValidatePlugin,
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    PolicyViolatingResource,
    PolicyViolation,
    Stack,
    Validations,
    aws_lambda,
    aws_s3,
)
from cdk_nag import (
    AwsSolutionsChecks,
    HIPAASecurityChecks,
    NagPack,
    NIST80053R5Checks,
    PCIDSS321Checks,
    ServerlessChecks,
)
from constructs import IConstruct, RootConstruct

from slipway.nag.names import ACKNOWLEDGED_RULES, PacksOf
from slipway.nag.own import Breach, OwnPack, SynthesizedStack
from slipway.nag.sentinel import ABOVE_RULE, SENTINEL_RULE, template_digest

CONTEXT: dict[str, Any] = {
    # CDK writes its report and leaves raising, printing and the exit code to the gate. Otherwise `app.synth()` raises
    # under pytest and in plain Python, and sets an exit code that depends on where a stage stands under the CLI.
    "@aws-cdk/core:failSynthOnValidationErrors": False,
    # Errors of CDK's own template checks stay errors, and construct warnings come into the report.
    "@aws-cdk/core:validateAgainstDefaultRules": True,
    "@aws-cdk/core:annotationsInValidationReport": True,
}
"""Give this to the app: `App(post_cli_context=CONTEXT)`. It then holds under the CLI, plain Python and pytest alike."""


_PACKS: dict[str, type[NagPack]] = {
    "AwsSolutions": AwsSolutionsChecks,
    "Serverless": ServerlessChecks,
    "NIST.800.53.R5": NIST80053R5Checks,
    "HIPAA.Security": HIPAASecurityChecks,
    "PCI.DSS.321": PCIDSS321Checks,
}


class GateError(Exception):
    """The gate cannot be set up as it must be."""


def register(app: App, packs_of: PacksOf, *, own: Sequence[OwnPack] = ()) -> None:
    """Let the packs and CDK's template checks judge the stacks of the app, those of all stages included.

    Args:
        app: made with `post_cli_context=CONTEXT`. Call this before `app.synth()`.
        packs_of: which packs judge which stack.
        own: packs of one's own, which `packs_of` names beside cdk-nag's.

    Raises:
        GateError: the app was made without `CONTEXT`.
    """
    for key, value in CONTEXT.items():
        if app.node.try_get_context(key) is not value:
            raise GateError(
                f"context {key} is not {value}: make the app with App(post_cli_context=slipway.nag.packs.CONTEXT)"
            )
    recorded = [_RecordedPack(pack(app, verbose=True), packs_of) for pack in _PACKS.values()]
    # jsii's own decorator tells Python's type checkers nothing about the interface.
    plugins = cast("list[IPolicyValidationPlugin]", [*recorded, *(_OwnRules(pack, packs_of) for pack in own)])
    Validations.of(app).add_plugins(*plugins, _template_checks())


def make_pack(app: App, name: str) -> NagPack:
    """Return a pack of cdk-nag.

    Args:
        app: the app that it is for.
        name: its name, such as `AwsSolutions`.

    Raises:
        GateError: cdk-nag has no pack of that name.
    """
    if name not in _PACKS:
        raise GateError(f"unknown pack {name}; choose from {', '.join(_PACKS)}")
    return _PACKS[name](app, verbose=True)


def find_blind(pack: NagPack) -> bool:
    """Return whether a pack finds nothing in a stack that breaks its rules."""
    return not pack.validate_scope(_probe()).violations


@cache
def _probe() -> Stack:
    """A stack that every pack must find fault with. It has no app, and so is never synthesised."""
    stack = Stack(RootConstruct("Probe"), "Stack")
    aws_s3.CfnBucket(stack, "Bucket")
    code = aws_lambda.CfnFunction.CodeProperty(zip_file="-")
    aws_lambda.CfnFunction(stack, "Function", role="", code=code, runtime="python3.9")
    return stack


@jsii.implements(IPolicyValidationPlugin)
class _RecordedPack:
    """A pack that leaves its sentinel: the planted faults were found, and every template of its own was judged."""

    def __init__(self, pack: NagPack, packs_of: PacksOf) -> None:
        self._pack = pack
        self._name = pack.read_pack_name
        self._packs_of = packs_of

    @property
    def name(self) -> str:
        """The pack's own name, which acknowledgements are qualified with."""
        return self._name

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Judge the stacks that are this pack's.

        Raises:
            GateError: the pack is blind to the planted faults. CDK writes the message into its report.
        """
        stacks = _stacks(context)
        wanted = [stack for stack in stacks if self._name in self._packs_of(stack.path)]
        if not wanted:
            return PolicyValidationPluginReport(success=True, violations=[])
        if find_blind(self._pack):
            raise GateError(f"{self._name} finds nothing in a stack that breaks its rules")
        if len(wanted) == len(stacks):
            found = list(self._pack.validate(context).violations)
        else:
            found = list(self._judge(context.app_construct, [stack.path for stack in wanted], stacks))
        return _recorded(found, context, wanted)

    def _judge(
        self, app: IConstruct, wanted: Sequence[str], stacks: Sequence[SynthesizedStack]
    ) -> Iterator[PolicyViolation]:
        """Judge some of the stacks. The pack walks down from each; what it finds in others on its way is left out."""
        others = [stack.path for stack in stacks if stack.path not in wanted]
        for top in (path for path in wanted if not any(_is_below(path, other) for other in wanted)):
            found = self._pack.validate_scope(_at(app, top)).violations
            if not any(_is_below(other, top) for other in others):
                yield from found
                continue
            for violation in found:
                places = [
                    place
                    for place in violation.violating_resources
                    if _stack_of(place.construct_path or "", stacks) in wanted
                ]
                if places:
                    yield PolicyViolation(
                        rule_name=violation.rule_name,
                        description=violation.description,
                        severity=violation.severity,
                        violating_resources=places,
                    )


@jsii.implements(IPolicyValidationPlugin)
class _OwnRules:
    """A pack of one's own, with the same sentinel."""

    def __init__(self, pack: OwnPack, packs_of: PacksOf) -> None:
        self._pack = pack
        self._packs_of = packs_of

    @property
    def name(self) -> str:
        """The pack's name, which acknowledgements are qualified with."""
        return self._pack.name

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Judge the stacks that are this pack's.

        Raises:
            GateError: a rule is blind to its planted fault. CDK writes the message into its report.
        """
        wanted = [stack for stack in _stacks(context) if self.name in self._packs_of(stack.path)]
        if not wanted:
            return PolicyValidationPluginReport(success=True, violations=[])
        blind = list(self._pack.blind())
        if blind:
            raise GateError(f"{', '.join(blind)}: finds nothing in a stack that breaks the rule")
        return _recorded([_violation(breach) for breach in self._pack.judge(wanted)], context, wanted)


class _TemplateChecks(CloudFormationValidatePlugin):
    """CDK's own checks of the templates, in place of the instance that `CDK_VALIDATION=false` would switch off."""

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Judge every template, and name the acknowledgements of which no other trace is left."""
        report = super().validate(context)
        stacks = _stacks(context)
        above = _acknowledged_above_stacks(context.app_construct, stacks)
        return _recorded([*report.violations, *above], context, stacks, success=report.success)


@cache
def _template_checks() -> _TemplateChecks:
    """One instance a process, as CDK itself has one: each holds an engine of its own, outside of the heap."""
    return _TemplateChecks()


_SYNTHESIZED: WeakKeyDictionary[IConstruct, list[SynthesizedStack]] = WeakKeyDictionary()
"""App → its stacks: every pack is told of the same ones, and to read them takes a tenth of a second."""


def _stacks(context: IPolicyValidationContext) -> list[SynthesizedStack]:
    app = context.app_construct
    if app not in _SYNTHESIZED:
        _SYNTHESIZED[app] = [
            SynthesizedStack(path=template.stack_construct_path, template=Path(template.template_path))
            for template in context.stack_templates
        ]
    return _SYNTHESIZED[app]


def _violation(breach: Breach) -> PolicyViolation:
    place = PolicyViolatingResource(
        locations=[],
        # CDK finds the resource's construct by its logical id, which is what acknowledgements are given on.
        construct_path=None if breach.logical_id else breach.stack,
        resource_logical_id=breach.logical_id,
        template_path=str(breach.template),
    )
    return PolicyViolation(
        rule_name=breach.rule,
        description=breach.description,
        fix=breach.fix,
        severity="error",
        violating_resources=[place],
    )


def _recorded(
    violations: Sequence[PolicyViolation],
    context: IPolicyValidationContext,
    stacks: Iterable[SynthesizedStack],
    *,
    success: bool | None = None,
) -> PolicyValidationPluginReport:
    """The report with the sentinel in it."""
    outdir = cast("App", context.app_construct).outdir
    sentinel = PolicyViolation(
        rule_name=SENTINEL_RULE,
        description="These rules ran to their end over the templates named here.",
        severity="info",
        rule_metadata={os.path.relpath(stack.template, outdir): template_digest(stack.template) for stack in stacks},
        violating_resources=[],
    )
    return PolicyValidationPluginReport(
        success=not violations if success is None else success, violations=[*violations, sentinel]
    )


def _acknowledged_above_stacks(app: IConstruct, stacks: Sequence[SynthesizedStack]) -> Iterator[PolicyViolation]:
    """Acknowledgements on the app or a stage: the assembly holds metadata of what stands in stacks alone."""
    paths = {stack.path for stack in stacks}
    above = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(path.count("/") + 1)}
    for path in sorted(above - paths):
        construct = _at(app, path)
        for entry in construct.node.metadata:
            if entry.type == ACKNOWLEDGED_RULES:
                for identifier, reason in entry.data.items():
                    yield PolicyViolation(
                        rule_name=ABOVE_RULE,
                        description="An acknowledgement above the stacks.",
                        severity="info",
                        rule_metadata={"id": identifier, "reason": reason},
                        violating_resources=[PolicyViolatingResource(locations=[], construct_path=path)],
                    )


def _at(app: IConstruct, path: str) -> IConstruct:
    construct = app
    for part in filter(None, path.split("/")):
        construct = construct.node.find_child(part)
    return construct


def _is_below(path: str, top: str) -> bool:
    return path.startswith(f"{top}/")


def _stack_of(path: str, stacks: Sequence[SynthesizedStack]) -> str:
    above = [stack.path for stack in stacks if path == stack.path or _is_below(path, stack.path)]
    return max(above, key=len, default="")
