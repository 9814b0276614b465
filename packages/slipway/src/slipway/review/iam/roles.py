"""Compare the roles of functions, actions, builds and other resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from slipway.review.assembly import PIPELINE
from slipway.review.findings import ChangeFinding, Severity, found
from slipway.review.iam.policies import About, Policy, PolicySubject
from slipway.review.iam.statements import uncovered
from slipway.review.iam.wording import apart, line, shown
from slipway.review.matching import Matching
from slipway.review.resources import Difference, Pair, ReviewedResource, value_at
from slipway.review.values import Reference, readable, references

_ROLE_NAME = re.compile(r"(?:role(?:_?arn|_?id|name)?|credentials(?:arn)?)$", re.IGNORECASE)
_ROLE_ARN = re.compile(r"arn:[\w-]+:iam::(?P<account>[^:]*):role/")


def holds_role(path: Sequence[str], value: object) -> bool:
    """Return True if a setting names the role that something acts with.

    Args:
        path: Names that lead to it.
        value: Its value.
    """
    return isinstance(value, str) and bool(_ROLE_NAME.search(path[-1]) or _ROLE_ARN.match(value))


def other_roles(
    matching: Matching,
    before: Mapping[PolicySubject, Policy],
    after: Mapping[PolicySubject, Policy],
    rename: Callable[[str], str],
) -> Iterator[ChangeFinding]:
    """Yield resources whose new role has more permissions, or unknown ones.

    Args:
        matching: The matched resources of both assemblies.
        before: Former permissions of identities.
        after: New permissions of identities.
        rename: Restores the former names in references to renamed resources.
    """
    roles = _Roles(matching, before, after, rename)
    for pair in (*matching.kept, *matching.renamed):
        if not pair.type.startswith("AWS::IAM::"):
            yield from roles.findings(pair)


class _Roles:
    """Compares the roles of resources."""

    def __init__(
        self,
        matching: Matching,
        before: Mapping[PolicySubject, Policy],
        after: Mapping[PolicySubject, Policy],
        rename: Callable[[str], str],
    ) -> None:
        self._matching = matching
        self._before = before
        self._after = after
        self._rename = rename
        self._accounts = matching.before.assembly.accounts | matching.after.assembly.accounts

    def findings(self, pair: Pair) -> Iterator[ChangeFinding]:
        after = pair.after
        if after is None or pair.before is None:
            return
        policies = {place.split(".")[1] if place else "" for side in (pair.before, after) for place in side.documents}
        for leaf in pair.settings:
            if not policies.isdisjoint({leaf.path[0], ""}) or not self._is_about_a_role(leaf):
                continue
            # A completely new part, such as an additional action or target, had no role before.
            if leaf.before is None and value_at(pair.before.properties, leaf.path[:-1]) is None:
                continue
            if isinstance(leaf.after, str):
                if self._rename(leaf.after) != leaf.before:
                    yield from self._compared(leaf, after)
            elif value_at(after.properties, leaf.path[:-1]) is not None:
                what = f"{leaf.name} is removed; it was {readable(str(leaf.before))}, and now a default is used"
                yield found("other-role", after, what, severity=self._usual(after), detail=leaf.name)

    def _is_about_a_role(self, leaf: Difference) -> bool:
        return any(
            holds_role(leaf.path, value) or _role(side.of, value) is not None
            for side, value in ((self._matching.before, leaf.before), (self._matching.after, leaf.after))
        )

    def _usual(self, resource: ReviewedResource) -> Severity:
        return Severity.HIGH if resource.stack.stage == PIPELINE else Severity.MEDIUM

    def _compared(self, leaf: Difference, resource: ReviewedResource) -> Iterator[ChangeFinding]:
        old, new = _role(self._matching.before.of, leaf.before), _role(self._matching.after.of, leaf.after)
        was, is_now = (
            role.path if role is not None else readable(str(value or "none"))
            for role, value in ((old, leaf.before), (new, leaf.after))
        )
        one = self._before.get(PolicySubject(About.IDENTITY, _ref(old))) if old is not None else None
        other = self._after.get(PolicySubject(About.IDENTITY, self._rename(_ref(new)))) if new is not None else None
        if other is None:
            account = _ROLE_ARN.match(str(leaf.after))
            strange = account is not None and account["account"].isdigit() and account["account"] not in self._accounts
            what = f"{leaf.name} is {is_now} and no longer {was}: the permissions of that role are unknown here"
            severity = Severity.CRITICAL if strange else Severity.HIGH
            yield found("other-role", resource, what, severity=severity, detail=leaf.name)
            return
        if one is not None and one.resource.path == other.resource.path:
            return
        allowed, _ = apart(one.statements if one is not None else ())
        allows, denies = apart(other.statements)
        more = [found for statement in allows for found in uncovered(statement, allowed, dead_by=denies)]
        extra = other.attached - (one.attached if one is not None else set())
        if more or extra:
            what = f"{leaf.name} is {is_now} and no longer {was}: {shown(more) or ', '.join(extra)}"
            lines = (*map(line, more), *map(readable, sorted(extra)))
            yield found("other-role", resource, what, severity=self._usual(resource), detail=leaf.name, details=lines)


def _role(of: Callable[[Reference], ReviewedResource | None], value: object) -> ReviewedResource | None:
    """Return the role with this name or ARN."""
    for reference in references(value) if isinstance(value, str) else ():
        target = of(reference)
        if target is not None and target.type == "AWS::IAM::Role" and value == str(reference):
            return target
    return None


def _ref(resource: ReviewedResource) -> str:
    return str(Reference(resource.stack.key, resource.logical_id, "Ref"))
