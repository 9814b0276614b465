"""The change review misses nothing: random edits to the real templates, against oracles that share no code with it.

Replacements are looked up twice: in the registry's schemas, read naively, and in the user guide's data, which the
CDK CLI contains for its own diff. Widened access is found by asking every question in a small
world (`naive.py`). The effect of a condition known only at deployment is found by deciding it, and that of a nested
stack by comparing it with a flat one.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cfnlint.helpers import load_resource
from filelock import FileLock
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN
from properties import naive
from slipway.review.assembly import Assembly, ReviewedStack, StackKey, read_assembly
from slipway.review.comparison import Comparison, Fate, compare_sides
from slipway.review.findings import Severity
from slipway.review.resources import Side
from specimen.delivery import SERVICES
from stages.service_stage import ServiceStage

SHARDS, EDITS = 7, 96
"""The number of shards per kind of edit, which run in parallel, and of edits per shard."""

Json = Any
Template = dict[str, Any]

_WIDENED = {
    "access-added",
    "access-widened",
    "boundary-loosened",
    "key-policy-widened",
    "resource-policy-widened",
    "trust-widened",
}


@cache
def _stateful() -> frozenset[str]:
    """Return the types that hold data, as listed by cfn-lint."""
    import cfnlint.data.AdditionalSpecs

    return frozenset(load_resource(cfnlint.data.AdditionalSpecs, "StatefulResources.json")["ResourceTypes"])


# The real templates


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> list[Side]:
    """Synthesise prod of every service, and the pipeline, once for all processes of a run."""
    own = tmp_path_factory.getbasetemp()
    # Workers of xdist have one folder each, in a common folder
    folder = (own.parent if own.name.startswith("popen-") else own) / "review-assemblies"
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            unfinished = folder.with_suffix(".unfinished")
            _synthesise(unfinished)
            unfinished.rename(folder)
    sides = []
    for path in sorted(folder.iterdir()):
        assembly = read_assembly(path)
        # Observability has neither data nor policies, and the tiny services next to the pipeline have nothing
        stacks = [stack for stack in assembly.stacks if not stack.key.name.endswith("-observability")]
        pipeline = [stack for stack in stacks if stack.key.name == "slipway-pipeline"]
        sides.append(Side(replace(assembly, stacks=tuple(pipeline or stacks))))
    return sides


def _synthesise(folder: Path) -> None:
    prod = SPECIMEN.environment("prod")
    for service in SERVICES:
        app = synthesis.new_app()
        ServiceStage(app, service=service(environment=prod, assets=synthesis.assets()))
        shutil.copytree(app.synth().directory, folder / service.name)
    _, _, pipeline = synthesis.pipeline(SPECIMEN)
    shutil.copytree(pipeline, folder / "pipeline")


def _edits(shard: int, edit: Callable[[st.DataObject], bool]) -> None:
    """Make a shard's edits, drawn by hypothesis; an edit that cannot be made reports this, and does not count."""
    made = 0

    @seed(shard)
    @settings(
        max_examples=EDITS + 20,
        deadline=None,
        database=None,
        # Shrinking would make hundreds more; the drawn choices are printed as they are
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal made
        made += edit(data)

    run()
    assert made >= EDITS, f"only {made} edits were made"


def _edited(side: Side, stack: ReviewedStack, logical_id: str, resource: Json | None) -> Assembly:
    """Return the assembly with one resource changed or deleted."""
    resources = {**stack.resources}
    if resource is None:
        del resources[logical_id]
    else:
        resources[logical_id] = resource
    other = replace(stack, template={**stack.template, "Resources": resources})
    return replace(side.assembly, stacks=tuple(other if one is stack else one for one in side.assembly.stacks))


def _fates(comparison: Comparison, stack: ReviewedStack) -> dict[str, set[Fate]]:
    """Return the planned change to each construct of a stack."""
    found: dict[str, set[Fate]] = {}
    for stage in comparison.stages:
        for changes in stage.stacks:
            if changes.name == stack.key.name:
                for change in changes.changes:
                    found.setdefault(change.resource, set()).add(change.fate)
    return found


def _construct(stack: ReviewedStack, logical_id: str) -> str:
    path = stack.paths.get(logical_id) or stack.resources[logical_id]["Metadata"]["aws:cdk:path"]
    return path.removesuffix("/Resource")


Candidates = list[dict[str, list[tuple[Side, ReviewedStack, str, Json]]]]
"""Resources that can be edited, by type, for each assembly."""


def _candidates(sides: list[Side], where: Callable[[Json], bool] = lambda _: True) -> Candidates:
    found: Candidates = []
    for side in sides:
        by_type: dict[str, list[tuple[Side, ReviewedStack, str, Json]]] = {}
        for stack in side.assembly.stacks:
            for logical_id, resource in stack.resources.items():
                if resource["Type"] != "AWS::CDK::Metadata" and where(resource):
                    by_type.setdefault(resource["Type"], []).append((side, stack, logical_id, resource))
        found.append(by_type)
    return found


def _draw_resource(data: st.DataObject, candidates: Candidates) -> tuple[Side, ReviewedStack, str, Json]:
    by_type = data.draw(st.sampled_from(candidates), "assembly")
    # The type is drawn first, so that rare ones are as frequent as common ones
    kind = data.draw(st.sampled_from(sorted(by_type)), "type")
    return data.draw(st.sampled_from(by_type[kind]), "resource")


# Changing a property


def _places(value: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every path in the properties, including those of whole objects."""
    if path:
        yield path
    # An intrinsic function is replaced as a whole
    if isinstance(value, dict) and not (len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))):
        for key, inner in value.items():
            yield from _places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, (*path, str(index)))


def _other(value: Json) -> Json:
    """Return another value of the same kind."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x"
        case list():
            return [*value, "x"] if all(isinstance(one, str) for one in value) else value[1:]
        case dict() if not (len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))):
            return {**value, "Planted": "x"}
    return "another"


def _set(properties: Template, path: tuple[str, ...], change: Callable[[Json], Json]) -> None:
    place: Json = properties
    for part in path[:-1]:
        place = place[int(part)] if isinstance(place, list) else place[part]
    key: Json = int(path[-1]) if isinstance(place, list) else path[-1]
    changed = change(place.get(key) if isinstance(place, dict) else place[key])
    if changed is None:
        del place[key]
    else:
        place[key] = changed


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_replacement_is_missed_when_a_property_changes(real: list[Side], shard: int) -> None:
    candidates = _candidates(real, lambda resource: bool(resource.get("Properties")))

    def edit(data: st.DataObject) -> bool:
        # Given a resource with one property changed, deleted or added
        side, stack, logical_id, resource = _draw_resource(data, candidates)
        edited = copy.deepcopy(resource)
        kind = resource["Type"]
        fixed: list[str] = sorted({pointer.split("/")[2] for pointer in naive.create_only(kind)})
        path: tuple[str, ...]
        # Half of the edits change create-only properties, since most properties are not
        at_what_is_fixed = data.draw(st.booleans(), "create-only")
        if fixed and at_what_is_fixed:
            name = data.draw(st.sampled_from(fixed), "property")
            path = (name,)
            if name in edited["Properties"]:
                _set(edited["Properties"], path, _other)
            else:
                edited["Properties"][name] = "planted"
        else:
            path = data.draw(st.sampled_from(list(_places(edited["Properties"]))), "place")
            goes = data.draw(st.integers(0, 3), "goes") == 0
            _set(edited["Properties"], path, (lambda _: None) if goes else _other)
        if edited == resource:
            return False

        # When the change is reviewed
        comparison = compare_sides(side, _edited(side, stack, logical_id, edited))
        fates = _fates(comparison, stack)
        construct = _construct(stack, logical_id)

        # Then a replacement according to the schemas or the user guide is reported as one
        replaced = {Fate.REPLACED, Fate.MAY_BE_REPLACED}
        must = naive.is_create_only(kind, path) or naive.is_documented_as_replaced(kind, path[0])
        if kind in {"AWS::Lambda::Version", "AWS::ApiGateway::Deployment"} and path == (
            {"AWS::Lambda::Version": "FunctionName"}.get(kind, "RestApiId"),
        ):
            must = True
        assert construct in fates or must is False, (construct, path)
        if must:
            assert fates[construct] & replaced, (kind, path, fates[construct])
            # And if the resource holds data, a waiver is required
            if kind in _stateful():
                assert any(
                    finding.severity == Severity.CRITICAL and finding.resource == construct
                    for finding in comparison.findings
                ), path
            # And resources with a create-only reference to its name are reported as replaced too
            for other, body in stack.resources.items():
                takes = [
                    pointer.split("/")[2]
                    for pointer in naive.create_only(body["Type"])
                    if naive.refers(body.get("Properties", {}).get(pointer.split("/")[2]), logical_id)
                ]
                if takes and other != logical_id and body["Type"] != "AWS::Lambda::Version":
                    assert fates.get(_construct(stack, other), set()) & replaced, (other, takes)
        # But a change that is possible in place is not reported as a replacement
        elif naive.is_documented(kind, path[0]):
            assert Fate.REPLACED not in fates[construct], (kind, path)
        return True

    _edits(shard, edit)


# Deleting a resource


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_removal_is_missed_when_a_resource_is_dropped(real: list[Side], shard: int) -> None:
    candidates = _candidates(real)

    def edit(data: st.DataObject) -> bool:
        # Given a resource that is deleted from its template
        side, stack, logical_id, resource = _draw_resource(data, candidates)

        # When the change is reviewed
        comparison = compare_sides(side, _edited(side, stack, logical_id, None))

        # Then it is reported as removed
        construct = _construct(stack, logical_id)
        assert Fate.REMOVED in _fates(comparison, stack).get(construct, set()), construct
        # And if it holds data, a waiver is required
        if resource["Type"] in _stateful():
            assert any(
                finding.kind == "stateful-removed"
                and finding.severity == Severity.CRITICAL
                and finding.resource == construct
                for finding in comparison.findings
            )
        # And if it denied something, the widened access is reported
        statements = _statements(resource.get("Properties", {}))
        if any(statement["Effect"] == "Deny" for statement in statements) and resource["Type"] not in _WITH_POLICY:
            assert {finding.kind for finding in comparison.findings} & _WIDENED
        return True

    _edits(shard, edit)


# Widening a statement

_POLICIES = {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}
_TRUST = "AssumeRolePolicyDocument"
_WITH_POLICY = {"AWS::Backup::BackupVault", "AWS::KMS::Key"}
"""Types whose own property denies actions on them, which no longer matter once they are deleted."""


def _documents(value: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of a resource's policy documents."""
    match value:
        case {"Statement": list()}:
            yield path
        case dict():
            for key, inner in value.items():
                yield from _documents(inner, (*path, key))
        case list():
            for index, inner in enumerate(value):
                yield from _documents(inner, (*path, str(index)))


def _at(value: Json, path: tuple[str, ...]) -> Json:
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _statements(properties: Json) -> list[Json]:
    return [
        statement
        for path in _documents(properties)
        for statement in _at(properties, path)["Statement"]
        if "Effect" in statement
    ]


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _change(data: st.DataObject, statements: list[Json]) -> None:  # noqa: PLR0912, PLR0915 - one way after the other
    """Change one of the statements in one of the ways in which they grow or shrink."""
    index = data.draw(st.integers(0, len(statements) - 1), "statement")
    statement = statements[index]
    for key in ("Action", "Resource"):
        if key in statement:
            statement[key] = _listed(statement[key])
    ways = [
        "add an action",
        "any action of a service",
        "every action",
        "drop the statement",
        "repeat under a condition",
    ]
    if "Resource" in statement:
        ways += ["add a resource", "every resource", "what is below", "everything but the resources"]
    if statement.get("Condition"):
        ways += ["drop the conditions", "loosen a condition", "another value"]
    if statement.get("Action"):
        ways += ["drop an action", "cut an action", "everything but the actions"]
    if "Principal" in statement:
        ways += ["everybody", "a stranger", "another service"]
    ways += ["turn it round"]
    match data.draw(st.sampled_from(ways), "way"):
        case "add an action":
            new = data.draw(st.sampled_from(["s3:GetObject", "kms:Decrypt", "dynamodb:Scan", "iam:PassRole"]))
            statement["Action"] = [*statement.get("Action", []), new]
        case "any action of a service":
            service = str(statement.get("Action", ["s3:*"])[0]).partition(":")[0]
            statement["Action"] = [*statement.get("Action", []), f"{service}:*"]
        case "every action":
            statement["Action"] = ["*"]
        case "drop the statement":
            del statements[index]
        case "repeat under a condition":
            statements.append({**statement, "Condition": {"StringEquals": {"aws:PrincipalTag/team": "a"}}})
        case "add a resource":
            statement["Resource"].append("arn:aws:s3:::planted/*")
        case "every resource":
            statement["Resource"] = ["*"]
        case "what is below":
            first = naive.text(statement["Resource"][0])
            statement["Resource"].append(f"{first}*" if first.startswith("arn:") else "arn:aws:*")
        case "everything but the resources":
            statement["NotResource"] = statement.pop("Resource")
        case "everything but the actions":
            statement["NotAction"] = statement.pop("Action")
        case "drop the conditions":
            del statement["Condition"]
        case "loosen a condition":
            operator = data.draw(st.sampled_from(sorted(statement["Condition"])))
            del statement["Condition"][operator]
        case "another value":
            operator = data.draw(st.sampled_from(sorted(statement["Condition"])))
            key = data.draw(st.sampled_from(sorted(statement["Condition"][operator])))
            values = _listed(statement["Condition"][operator][key])
            statement["Condition"][operator][key] = [*values, "true" if operator == "Bool" else "*"]
        case "drop an action":
            statement["Action"].pop()
            if not statement["Action"]:
                del statements[index]
        case "cut an action":
            statement["Action"][0] = f"{str(statement['Action'][0])[:-2].rstrip('*')}*"
        case "everybody":
            statement["Principal"] = "*"
        case "a stranger":
            statement["Principal"] = {"AWS": ["123456789012", "arn:aws:iam::123456789012:role/a"]}
        case "another service":
            statement["Principal"] = {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}
        case "turn it round":
            statement["Effect"] = "Deny" if statement["Effect"] == "Allow" else "Allow"


def _of_role(stack: ReviewedStack, role: str, policies: Mapping[str, Json]) -> list[Json]:
    """Return all statements that a stack's policies give to a role."""
    return [
        statement
        for logical_id, resource in stack.resources.items()
        if resource["Type"] in _POLICIES
        and {"Ref": role} in _listed(policies.get(logical_id, resource)["Properties"].get("Roles"))
        for statement in policies.get(logical_id, resource)["Properties"]["PolicyDocument"]["Statement"]
    ]


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_widening_is_missed_when_a_statement_changes(real: list[Side], shard: int) -> None:
    candidates = _candidates(real, lambda resource: bool(_statements(resource.get("Properties", {}))))

    def edit(data: st.DataObject) -> bool:
        # Given a policy with one changed statement
        side, stack, logical_id, resource = _draw_resource(data, candidates)
        edited = copy.deepcopy(resource)
        path = data.draw(st.sampled_from(list(_documents(edited["Properties"]))), "document")
        statements = _at(edited["Properties"], path)["Statement"]
        for _ in range(data.draw(st.integers(1, 2), "changes")):
            if statements:
                _change(data, statements)
        if edited == resource:
            return False

        # When every request of the small world is evaluated
        identity = resource["Type"] in _POLICIES
        pairs = [(_at(resource["Properties"], path)["Statement"], statements)]
        if identity:
            roles = [role["Ref"] for role in _listed(resource["Properties"].get("Roles")) if "Ref" in role]
            pairs = [(_of_role(stack, role, {}), _of_role(stack, role, {logical_id: edited})) for role in roles]
        asked = [naive.widened(before, after, identity=identity) for before, after in pairs]

        # Then everything that is newly allowed, or no longer denied, is reported
        comparison = compare_sides(side, _edited(side, stack, logical_id, edited))
        reported = [finding for finding in comparison.findings if finding.kind in _WIDENED]
        if any(asked):
            assert reported, (asked, json.dumps(statements))
        return True

    _edits(shard, edit)


# Conditions

WORLD_SHARDS = 3
"""The number of shards for edits of conditions, and for edits of nested stacks."""

_PARAMETER, _CONDITION = "PlantedStage", "PlantedIsProd"
_IS_PROD = {"Fn::Equals": [{"Ref": _PARAMETER}, "prod"]}
_EXPRESSIONS: list[Json] = [
    _IS_PROD,
    {"Fn::Not": [_IS_PROD]},
    {"Fn::Or": [_IS_PROD, {"Fn::Equals": ["dev", {"Ref": _PARAMETER}]}]},
    {"Fn::And": [_IS_PROD, {"Fn::Not": [{"Fn::Equals": [{"Ref": _PARAMETER}, "dev"]}]}]},
]


def _draw_value(data: st.DataObject, value: Json, label: str) -> Json:
    """Return the value, another one, none, or one of two under a condition."""
    values = [value, _other(value), {"Ref": "AWS::NoValue"}]
    one, other = (data.draw(st.sampled_from(values), f"{label} {side}") for side in ("one", "other"))
    return {"Fn::If": [_CONDITION, one, other]} if data.draw(st.booleans(), f"{label} by condition") else one


def _under_condition(
    side: Side, stack: ReviewedStack, logical_id: str, resource: Json, expression: Json, *, conditioned: bool
) -> Assembly:
    """Return the assembly with one resource changed, and with the planted parameter and condition."""
    body = {**resource, "Condition": _CONDITION} if conditioned else resource
    edited = _edited(side, stack, logical_id, body)
    sections = {
        "Parameters": {**stack.template.get("Parameters", {}), _PARAMETER: {"Type": "String"}},
        "Conditions": {**stack.template.get("Conditions", {}), _CONDITION: expression},
    }
    return replace(
        edited,
        stacks=tuple(
            replace(one, template={**one.template, **sections}) if one.key == stack.key else one
            for one in edited.stacks
        ),
    )


@pytest.mark.parametrize("shard", range(WORLD_SHARDS))
def test_no_world_is_missed_when_a_condition_decides(real: list[Side], shard: int) -> None:
    # A version differs by its logical id alone
    candidates = _candidates(
        real,
        lambda resource: (
            bool(resource.get("Properties"))
            and "Condition" not in resource
            and resource["Type"] not in {"AWS::Lambda::Version", "AWS::ApiGateway::Deployment"}
        ),
    )

    def edit(data: st.DataObject) -> bool:
        # Given a resource with a property that depends on a condition, and that may itself be conditional
        side, stack, logical_id, resource = _draw_resource(data, candidates)
        name = data.draw(st.sampled_from(sorted(resource["Properties"])), "property")
        assemblies, worlds = [], []
        for label in ("before", "after"):
            body = copy.deepcopy(resource)
            body["Properties"][name] = _draw_value(data, resource["Properties"][name], label)
            expression = data.draw(st.sampled_from(_EXPRESSIONS), f"{label} expression")
            conditioned = data.draw(st.integers(0, 3), f"{label} conditioned") == 0
            assemblies.append(_under_condition(side, stack, logical_id, body, expression, conditioned=conditioned))
            worlds.append(
                [
                    naive.in_world(body if not conditioned or holds else None, holds=holds)
                    for stage in ("prod", "dev", "another")
                    for holds in [naive.holds(expression, {_PARAMETER: stage})]
                ]
            )

        # When the change is reviewed
        comparison = compare_sides(Side(assemblies[0]), assemblies[1])
        fates = _fates(comparison, stack).get(_construct(stack, logical_id), set())

        # Then the change in each world is reported
        goes = any(one is not None and other is None for one, other in zip(*worlds, strict=True))
        comes = any(one is None and other is not None for one, other in zip(*worlds, strict=True))
        changed = any(
            one is not None and other is not None and one["Properties"] != other["Properties"]
            for one, other in zip(*worlds, strict=True)
        )
        assert not goes or Fate.REMOVED in fates
        assert fates or not (comes or changed)
        if changed and not goes and naive.is_create_only(resource["Type"], (name,)):
            assert fates & {Fate.REPLACED, Fate.MAY_BE_REPLACED}, (resource["Type"], name)
        if goes and resource["Type"] in _stateful():
            assert any(
                finding.kind == "stateful-removed" and finding.severity == Severity.CRITICAL
                for finding in comparison.findings
            )
        # And nothing is reported if every world stays the same
        if worlds[0] == worlds[1]:
            assert not fates, (name, fates)
        return True

    _edits(shard, edit)


# Nesting a stack

_NESTED = "PlantedNested"


def _nested(side: Side, stack: ReviewedStack, logical_id: str, resource: Json, passed: Mapping[str, Json]) -> Assembly:
    """Return the assembly with a stack nested in another one of its name, and one of its resources changed."""
    outer = replace(
        stack,
        template={
            "Resources": {
                _NESTED: {
                    "Type": "AWS::CloudFormation::Stack",
                    "Properties": {"TemplateURL": "https://planted", "Parameters": dict(passed)},
                }
            }
        },
        paths={_NESTED: f"{stack.path}/{_NESTED}"},
    )
    parameters = {**stack.template.get("Parameters", {}), **{name: {"Type": "String"} for name in passed}}
    template = {
        **stack.template,
        "Parameters": parameters,
        "Resources": {**stack.resources, logical_id: resource},
    }
    inner = replace(
        stack,
        key=StackKey(stack.key.account, stack.key.region, f"{stack.key.name}.{_NESTED}"),
        template=template,
        parent=stack.key,
        parent_id=_NESTED,
    )
    return Assembly(stacks=(outer, inner))


@pytest.mark.parametrize("shard", range(WORLD_SHARDS))
def test_no_change_is_missed_in_a_nested_stack(real: list[Side], shard: int) -> None:
    candidates = _candidates(real, lambda resource: bool(resource.get("Properties")))

    def edit(data: st.DataObject) -> bool:
        # Given a stack that is nested in another, with one value of a property changed
        side, stack, logical_id, resource = _draw_resource(data, candidates)
        edited = copy.deepcopy(resource)
        path = data.draw(st.sampled_from(list(_places(edited["Properties"]))), "place")
        _set(edited["Properties"], path, _other)
        # Some of the values are passed by the parent
        before = copy.deepcopy(resource)
        passed: list[dict[str, Json]] = [{}, {}]
        values = [_at(body["Properties"], path) for body in (before, edited)]
        if all(isinstance(value, str) for value in values) and data.draw(st.booleans(), "passed"):
            for body, value, given_by_parent in zip((before, edited), values, passed, strict=True):
                given_by_parent["PlantedValue"] = value
                _set(body["Properties"], path, lambda _: {"Ref": "PlantedValue"})
        if resource == edited and passed[0] == passed[1]:
            return False

        # When both are reviewed, nested and flat
        old = _nested(side, stack, logical_id, before, passed[0])
        nested = compare_sides(Side(old), _nested(side, stack, logical_id, edited, passed[1]))
        flat = copy.deepcopy(resource)
        _set(flat["Properties"], path, _other)
        alone = replace(side.assembly, stacks=(stack,))
        plain = compare_sides(Side(alone), _edited(Side(alone), stack, logical_id, flat))

        # Then replacements are reported as the schemas say
        construct = _construct(stack, logical_id)
        inner = replace(stack, key=StackKey(stack.key.account, stack.key.region, f"{stack.key.name}.{_NESTED}"))
        fates = _fates(nested, inner).get(construct, set())
        assert fates, (construct, path)
        if naive.is_create_only(resource["Type"], path):
            assert fates & {Fate.REPLACED, Fate.MAY_BE_REPLACED}, path
        # And every finding of the flat stack is also found in the nested one
        assert {(finding.kind, finding.severity, finding.resource) for finding in plain.findings} <= {
            (finding.kind, finding.severity, finding.resource) for finding in nested.findings
        }
        return True

    _edits(shard, edit)


# No change


@pytest.mark.requirement("gates before any account")
def test_comparing_an_assembly_with_itself_finds_nothing(real: list[Side]) -> None:
    for side in real:
        # Given the same assembly, read and resolved again
        same = replace(side.assembly, stacks=tuple(copy.deepcopy(side.assembly.stacks)))

        comparison = compare_sides(side, same)

        assert comparison.is_empty
        assert comparison.stages


def test_there_are_two_and_a_half_thousand_edits() -> None:
    # Each shard counts the edits that it made
    assert (3 * SHARDS + 2 * WORLD_SHARDS) * EDITS >= 2_500
