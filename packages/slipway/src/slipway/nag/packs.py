"""Register the rule packs so that each leaves a trace of having run."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsii
from aws_cdk import (
    App,
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

from slipway.kernel import call_for_data
from slipway.nag.names import ACKNOWLEDGED_RULES, PacksOf
from slipway.nag.own import Breach, OwnPack, SynthesizedStack
from slipway.nag.sentinel import ABOVE_RULE, SENTINEL_RULE, template_digest
from slipway.nag.template_checks import CheckedTemplate, TemplateChecks
from slipway.nag.verdict import stack_of

CONTEXT: dict[str, Any] = {
    # CDK only writes its report; the gate raises, prints and sets the exit code. Otherwise `app.synth()` raises under
    # pytest and in plain Python, and under the CLI sets an exit code that depends on a stage's position.
    "@aws-cdk/core:failSynthOnValidationErrors": False,
    # Errors of CDK's own template checks stay errors, and construct warnings come into the report.
    "@aws-cdk/core:validateAgainstDefaultRules": True,
    "@aws-cdk/core:annotationsInValidationReport": True,
}
"""Pass this to the app: `App(post_cli_context=CONTEXT, builtin_cloud_formation_validation=False)`. It then applies
under the CLI, plain Python and pytest alike. The gate runs CDK's template checks itself; with the built-in ones, each
template would be checked twice."""

_TEMPLATE_CHECKS = "CloudFormation Validate"
"""CDK's name for its template checks, which also qualifies their acknowledgements."""


_PACKS: dict[str, type[NagPack]] = {
    "AwsSolutions": AwsSolutionsChecks,
    "Serverless": ServerlessChecks,
    "NIST.800.53.R5": NIST80053R5Checks,
    "HIPAA.Security": HIPAASecurityChecks,
    "PCI.DSS.321": PCIDSS321Checks,
}


class GateError(Exception):
    """The gate cannot be set up."""


def register(app: App, packs_of: PacksOf, *, own: Sequence[OwnPack] = ()) -> None:
    """Register the packs and CDK's template checks for the app's stacks, including those of all stages.

    Args:
        app: Made with `post_cli_context=CONTEXT`. Call this before `app.synth()`.
        packs_of: Returns the packs that judge a stack.
        own: The app's own packs, which `packs_of` returns besides cdk-nag's.

    Raises:
        GateError: The app was made without `CONTEXT`.
    """
    for key, value in CONTEXT.items():
        if app.node.try_get_context(key) is not value:
            raise GateError(
                f"context {key} is not {value}: make the app with App(post_cli_context=slipway.nag.packs.CONTEXT)"
            )
    judgement = _Judgement(packs_of, own)
    plugins = [
        *(_RecordedPack(pack(app, verbose=True), judgement) for pack in _PACKS.values()),
        *(_OwnRules(pack, judgement) for pack in own),
        _TemplateChecks(judgement),
    ]
    # To Python's type checkers, jsii's own decorator reveals nothing about the interface.
    Validations.of(app).add_plugins(*cast("list[IPolicyValidationPlugin]", plugins))


def prepare() -> None:
    """Start the process that `register` needs, so that it is ready when the app is built; optional."""
    _template_checks()


def make_pack(app: App, name: str) -> NagPack:
    """Return a pack of cdk-nag.

    Args:
        app: The app that it is for.
        name: Its name, such as `AwsSolutions`.

    Raises:
        GateError: cdk-nag has no pack of that name.
    """
    if name not in _PACKS:
        raise GateError(f"unknown pack {name}; choose from {', '.join(_PACKS)}")
    return _PACKS[name](app, verbose=True)


def find_blind(pack: NagPack) -> bool:
    """Return True if a pack finds nothing in a stack that breaks its rules."""
    return not _read(pack, "validateScope", _probe())


@cache
def _probe() -> Stack:
    """Return a stack that breaks a rule of every pack. It has no app, and so is never synthesised."""
    stack = Stack(RootConstruct("Probe"), "Stack")
    aws_s3.CfnBucket(stack, "Bucket")
    code = aws_lambda.CfnFunction.CodeProperty(zip_file="-")
    aws_lambda.CfnFunction(stack, "Function", role="", code=code, runtime="python3.9")
    return stack


@dataclass(frozen=True)
class _Begun:
    """Checks that run while cdk-nag's packs run in Node, one after the other."""

    stacks: list[SynthesizedStack]
    own: Mapping[str, Future[list[Breach]]]
    """Checks by the pack's name. The app's own rules read templates and must not call CDK, which only supports one
    thread."""
    checks: TemplateChecks
    question: int


class _Judgement:
    """Judgement of one app. CDK calls one plug-in after the other; the first call starts all of them.

    Args:
        packs_of: Returns the packs that judge a stack.
        own: The app's own packs.
    """

    def __init__(self, packs_of: PacksOf, own: Sequence[OwnPack]) -> None:
        self._packs_of = packs_of
        self._own = own
        self._begun: _Begun | None = None

    def begin(self, context: IPolicyValidationContext) -> _Begun:
        """Start all checks, once."""
        if self._begun is None:
            # Reading them takes calls to another process, so they are read once for all plug-ins.
            templates = [
                CheckedTemplate(
                    stack=template.stack_construct_path,
                    template=template.template_path,
                    account=template.account_id,
                    region=template.region,
                )
                for template in context.stack_templates
            ]
            checks = _template_checks()
            question = checks.start(templates)
            stacks = [SynthesizedStack(path=each.stack, template=Path(each.template)) for each in templates]
            pool = ThreadPoolExecutor(max_workers=1)
            own = {
                pack.name: pool.submit(_judge, pack, wanted)
                for pack in self._own
                if (wanted := self.wanted(pack.name, stacks))
            }
            pool.shutdown(wait=False)
            self._begun = _Begun(stacks, own, checks, question)
        return self._begun

    def wanted(self, pack: str, stacks: Sequence[SynthesizedStack]) -> list[SynthesizedStack]:
        """Return the stacks that a pack judges."""
        return [stack for stack in stacks if pack in self._packs_of(stack.path)]


def _judge(pack: OwnPack, stacks: Sequence[SynthesizedStack]) -> list[Breach]:
    blind = list(pack.blind())
    if blind:
        raise GateError(f"{', '.join(blind)}: finds nothing in a stack that breaks the rule")
    return list(pack.judge(stacks))


@jsii.implements(IPolicyValidationPlugin)
class _RecordedPack:
    """A pack that records a sentinel: it found the planted faults, and judged every one of its templates."""

    def __init__(self, pack: NagPack, judgement: _Judgement) -> None:
        self._pack = pack
        self._name = pack.read_pack_name
        self._judgement = judgement

    @property
    def name(self) -> str:
        """The pack's own name, which also qualifies acknowledgements."""
        return self._name

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Judge the stacks of this pack.

        Raises:
            GateError: The pack is blind to the planted faults. CDK writes the message into its report.
        """
        stacks = self._judgement.begin(context).stacks
        wanted = self._judgement.wanted(self._name, stacks)
        if not wanted:
            return PolicyValidationPluginReport(success=True, violations=[])
        if find_blind(self._pack):
            raise GateError(f"{self._name} finds nothing in a stack that breaks its rules")
        if len(wanted) == len(stacks):
            found = _read(self._pack, "validate", context)
        else:
            found = list(self._judge(context.app_construct, [stack.path for stack in wanted], stacks))
        return _recorded(found, context, wanted)

    def _judge(
        self, app: IConstruct, wanted: Sequence[str], stacks: Sequence[SynthesizedStack]
    ) -> Iterator[PolicyViolation]:
        """Judge some of the stacks: walk down from each, and drop findings in other stacks on the way."""
        paths = {stack.path for stack in stacks}
        chosen = set(wanted)
        others = paths - chosen
        # Templates that belong to no other group.
        for top in (path for path in wanted if not stack_of(path.rpartition("/")[0], chosen)):
            found = _read(self._pack, "validateScope", _at(app, top))
            if not any(_is_below(other, top) for other in others):
                yield from found
                continue
            for violation in found:
                places = [
                    place
                    for place in violation.violating_resources
                    if stack_of(place.construct_path or "", paths) in chosen
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
    """A custom pack, with the same sentinel."""

    def __init__(self, pack: OwnPack, judgement: _Judgement) -> None:
        self._pack = pack
        self._judgement = judgement

    @property
    def name(self) -> str:
        """The pack's name, which also qualifies acknowledgements."""
        return self._pack.name

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Judge the stacks of this pack.

        Raises:
            GateError: A rule is blind to its planted fault. CDK writes the message into its report.
        """
        begun = self._judgement.begin(context)
        wanted = self._judgement.wanted(self.name, begun.stacks)
        if not wanted:
            return PolicyValidationPluginReport(success=True, violations=[])
        return _recorded([_violation(breach) for breach in begun.own[self.name].result()], context, wanted)


@jsii.implements(IPolicyValidationPlugin)
class _TemplateChecks:
    """CDK's own template checks, run in a separate process; `CDK_VALIDATION=false` does not disable them."""

    def __init__(self, judgement: _Judgement) -> None:
        self._judgement = judgement
        self._version: str | None = None

    @property
    def name(self) -> str:
        """CDK's name for these checks."""
        return _TEMPLATE_CHECKS

    @property
    def version(self) -> str | None:
        """The engine's version; CDK asks for it when the checks are done."""
        return self._version

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Judge every template, and record the acknowledgements that leave no other trace.

        Raises:
            TemplateChecksError: The checks did not complete. CDK writes the message into its report.
        """
        begun = self._judgement.begin(context)
        above = list(_acknowledged_above_stacks(context.app_construct, begun.stacks))
        report = begun.checks.result(begun.question)
        self._version = report["version"]
        found = [_found(violation) for violation in report["violations"]]
        return _recorded([*found, *above], context, begun.stacks, success=report["success"])


def _read(pack: NagPack, method: str, argument: object) -> list[PolicyViolation]:
    """Return a pack's findings, read as data: there are hundreds, with a dozen properties each.

    A Python class may override the method, which a direct kernel message would bypass: then it is called normally.
    """
    if not type(pack).__module__.startswith("cdk_nag"):
        override = pack.validate if method == "validate" else pack.validate_scope
        return list(override(argument).violations)  # type: ignore[arg-type]  # each takes its own
    report = call_for_data(pack, method, argument, scope=_probe())
    return [
        PolicyViolation(
            rule_name=violation["ruleName"],
            description=violation["description"],
            severity=violation.get("severity"),
            fix=violation.get("fix"),
            rule_metadata=violation.get("ruleMetadata"),
            violating_resources=[
                PolicyViolatingResource(
                    locations=place["locations"],
                    construct_path=place.get("constructPath"),
                    resource_logical_id=place.get("resourceLogicalId"),
                    template_path=place.get("templatePath"),
                )
                for place in violation["violatingResources"]
            ],
        )
        for violation in report["violations"]
    ]


def _found(violation: Mapping[str, Any]) -> PolicyViolation:
    places = [PolicyViolatingResource(**place) for place in violation["violating_resources"]]
    return PolicyViolation(**{**violation, "violating_resources": places})


_RUNNING: list[TemplateChecks] = []


def _template_checks() -> TemplateChecks:
    """Return the shared process of these checks; a new one if it has ended."""
    if not _RUNNING or not _RUNNING[-1].running:
        checks = TemplateChecks()
        atexit.register(checks.stop)
        _RUNNING.append(checks)
    return _RUNNING[-1]


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
    """Return the report with the sentinel added."""
    outdir = cast("App", context.app_construct).outdir
    sentinel = PolicyViolation(
        rule_name=SENTINEL_RULE,
        description="These rules completed on the templates named here.",
        severity="info",
        rule_metadata={os.path.relpath(stack.template, outdir): template_digest(stack.template) for stack in stacks},
        violating_resources=[],
    )
    return PolicyValidationPluginReport(
        success=not violations if success is None else success, violations=[*violations, sentinel]
    )


def _acknowledged_above_stacks(app: IConstruct, stacks: Sequence[SynthesizedStack]) -> Iterator[PolicyViolation]:
    """Yield acknowledgements on the app or a stage: the assembly contains only the metadata within stacks."""
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
