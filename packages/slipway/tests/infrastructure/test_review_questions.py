"""The review covers every setting of every used type: with a finding, or with the reason for not having one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from infrastructure import edits as edits_module
from infrastructure import synthesis
from infrastructure.edits import Way, around, edited, edits, general, places
from infrastructure.matrix import SPECIMEN
from slipway.blocks.assets import file_digest
from slipway.review.assembly import Assembly, ReviewedStack, read_assembly
from slipway.review.checks.answers import is_harmless
from slipway.review.checks.registry import is_judged
from slipway.review.comparison import compare_sides
from slipway.review.findings import ChangeFinding
from slipway.review.iam.policies import SAYS_WHO
from slipway.review.questions import OF_ANY_TYPE, RAISED_BY, Question, answers_of
from slipway.review.resources import Side
from slipway.review.schemas import schema
from slipway.service import Service
from specimen.services.catalog.infrastructure import Catalog
from specimen.services.intake.infrastructure import Intake
from specimen.services.studio.infrastructure import Studio
from stages.foundation_stage import FoundationStage
from stages.service_stage import ServiceStage

EXAMPLES = 3
"""Maximum number of resources to try per setting: one may already have its worst value when another does not."""

Json = Any
_OF_CDK = {"AWS::CDK::Metadata"}


@dataclass
class _Used:
    """The settings of a type that the templates use.

    Args:
        resources: Resources of the type.
        settings: Places of each setting, by the setting.
    """

    resources: list[tuple[ReviewedStack, str]] = field(default_factory=list)
    settings: defaultdict[tuple[str, ...], list[tuple[ReviewedStack, str, Way]]] = field(
        default_factory=lambda: defaultdict(list)
    )


def _assemblies() -> Iterator[Assembly]:
    """Yield the pipeline, every service in production, and what only development has."""
    _, _, folder = synthesis.pipeline(SPECIMEN)
    yield read_assembly(folder)
    services: list[tuple[str, type[Service]]] = [
        ("prod", Catalog),
        ("prod", Intake),
        ("prod", Studio),
        ("dev", Studio),
    ]
    for name, service in services:
        environment = SPECIMEN.environment(name)
        app = synthesis.new_app()
        FoundationStage(app, environment=environment, services=[service.name])
        ServiceStage(app, service=service(environment=environment, assets=synthesis.assets()))
        yield read_assembly(Path(app.synth().directory))


@cache
def _used() -> Mapping[str, _Used]:
    found: defaultdict[str, _Used] = defaultdict(_Used)
    for assembly in _assemblies():
        for stack in assembly.stacks:
            for logical_id, resource in stack.resources.items():
                used = found[resource["Type"]]
                used.resources.append((stack, logical_id))
                for way, value in places(resource.get("Properties") or {}):
                    examples = used.settings[general(way)]
                    # Others with the same value give the same findings
                    if way and len(examples) < EXAMPLES and value not in [_value(*example) for example in examples]:
                        examples.append((stack, logical_id, way))
    return {kind: used for kind, used in found.items() if kind not in _OF_CDK}


def _value(stack: ReviewedStack, logical_id: str, way: Way) -> Json:
    value = stack.resources[logical_id]["Properties"]
    for part in way:
        value = value[part]
    return value


@cache
def _side(stack: ReviewedStack, logical_id: str) -> tuple[ReviewedStack, Side]:
    near = around(stack, logical_id)
    return near, Side(Assembly(stacks=(near,)))


def _findings(
    stack: ReviewedStack, logical_id: str, resource: Json | None, *, back: bool = False
) -> set[ChangeFinding]:
    """Return the findings of one changed resource, or of the reverse change."""
    near, side = _side(stack, logical_id)
    if back:
        comparison = compare_sides(Side(edited(near, logical_id, resource)), Assembly(stacks=(near,)))
    else:
        comparison = compare_sides(side, edited(near, logical_id, resource))
    return set(comparison.findings)


def _kinds_of_setting(stack: ReviewedStack, logical_id: str, way: Way) -> Iterator[str]:
    """Yield the kinds of findings for changes of a setting, first away from its value, then back."""
    resource = stack.resources[logical_id]
    for back in (False, True):
        seen = set()
        for properties in edits(resource["Properties"], way):
            other = {**resource, "Properties": properties}
            seen |= {finding.kind for finding in _findings(stack, logical_id, other, back=back)}
        yield from sorted(seen - {"pipeline-restarted"})
        if seen - OF_ANY_TYPE:
            return


@cache
def _raised() -> Mapping[str, Mapping[tuple[str, ...], frozenset[str]]]:
    """Return the kinds of findings per setting and type; those of a resource's removal under the empty setting.

    It takes a minute, so it is computed once for the same sources, by the first process.
    """
    made_by = [file_digest(Path(file)) for file in (__file__, edits_module.__file__, synthesis.__file__)]
    found = synthesis.KEPT.result(f"questions by {made_by}", lambda _: _raise_all())
    return {kind: {tuple(setting): frozenset(kinds) for setting, kinds in entries} for kind, entries in found.items()}


def _raise_all() -> dict[str, list[tuple[tuple[str, ...], list[str]]]]:
    return {kind: [(setting, sorted(kinds)) for setting, kinds in _raised_of(used)] for kind, used in _used().items()}


def _raised_of(used: _Used) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    stack, logical_id = used.resources[0]
    yield (), {finding.kind for finding in _findings(stack, logical_id, None)}
    for setting, examples in used.settings.items():
        seen: set[str] = set()
        for example in examples:
            seen |= set(_kinds_of_setting(*example))
            if seen - OF_ANY_TYPE:
                break
        yield setting, seen


def test_every_setting_is_judged_or_harmless() -> None:
    # Given each setting of each used type, changed, deleted and restored
    unanswered = [
        f"{kind} {'/'.join(setting)}: {sorted(kinds)}"
        for kind, settings in _raised().items()
        for setting, kinds in settings.items()
        # Then it is found, or there is a written reason for ignoring it
        if setting and not is_harmless(kind, setting) and ("unjudged" in kinds or not kinds)
    ]

    assert not unanswered, "\n".join(unanswered)


def test_every_type_answers_every_question() -> None:
    faults = []
    for kind, settings in _raised().items():
        answers = answers_of(kind)
        if answers is None:
            faults.append(f"{kind}: nobody wrote down what it answers")
            continue
        # Kinds that were raised by a change, or are listed for settings that no template sets
        seen = frozenset().union(*settings.values())
        written = {setting.kind for setting in answers.settings}
        for question in Question:
            yes = {one for one in seen | written if RAISED_BY[one] == question} - OF_ANY_TYPE
            # Another account's name gives access, whatever the type
            named = {"destination-changed"} - written
            if not yes and question not in answers.no:
                faults.append(f"{kind}: {question} no change raises it, and no reason says why")
            elif yes - named and question in answers.no:
                faults.append(f"{kind}: {question} {sorted(yes)}, though it says: {answers.no[question]}")

    assert not faults, "\n".join(faults)


def test_every_removal_is_judged_or_harmless() -> None:
    for kind, settings in _raised().items():
        answers = answers_of(kind)
        assert answers is not None, kind
        if isinstance(answers.removed, str):
            assert len(answers.removed.split()) > 5, kind
        else:
            assert answers.removed.kind in settings[()], kind


def test_no_property_of_a_used_type_is_missed() -> None:
    # Given every property that the registry lists for the used types, including those that no template sets
    for kind, used in _used().items():
        rules = schema(kind, "us-east-1")
        if rules is None:
            continue
        stack, logical_id = used.resources[0]
        resource = stack.resources[logical_id]
        properties = resource.get("Properties") or {}
        for name in sorted(rules.properties - properties.keys()):
            # When it is added and deleted
            other = {**resource, "Properties": {**properties, name: "another"}}
            found = [finding for back in (False, True) for finding in _findings(stack, logical_id, other, back=back)]

            # Then both are found, at least as a property that nobody has judged
            assert found or _is_looked_at(kind, name), f"{kind} {name}"


def _is_looked_at(kind: str, name: str) -> bool:
    """Return True if a rule reads a property, even for a value that no test tries."""
    answers = answers_of(kind)
    asked = answers is not None and any(setting.path[0] == name for setting in answers.settings)
    return asked or name in SAYS_WHO.get(kind, ()) or is_judged(kind, (name,)) or is_harmless(kind, (name,))
