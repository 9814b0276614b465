"""Permissions gained and lost between two assemblies, and their severity."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from slipway.review.assembly import PIPELINE
from slipway.review.findings import ChangeFinding, Severity, found
from slipway.review.iam.actions import has_resources
from slipway.review.iam.callers import Caller, callers, names_callers
from slipway.review.iam.conditions import Condition
from slipway.review.iam.policies import About, Policy, PolicySubject, policies, policies_of
from slipway.review.iam.reference import escalating_actions
from slipway.review.iam.roles import other_roles
from slipway.review.iam.statements import EVERYBODY, Permission, Statement, uncovered
from slipway.review.iam.wording import apart, line, shown
from slipway.review.matching import Matching
from slipway.review.patterns import covered, overlaps
from slipway.review.resources import ResourceKey, ReviewedResource
from slipway.review.values import VERSION_OF, readable, references, unknowns

_STRANGE = frozenset({Caller.EVERYBODY, Caller.STRANGER, Caller.ANY_TENANT})
_POWERFUL = re.compile(r"policy/(?:.*/)?(AdministratorAccess|PowerUserAccess|IAMFullAccess)$")
_BROAD = re.compile(r"policy/.*(FullAccess|PowerUser)")


@dataclass(frozen=True)
class _Change:
    """Permissions that a subject's policy gained and lost."""

    gained: tuple[tuple[Permission, Severity], ...]
    undenied: tuple[Permission, ...]
    exposed: bool
    lost: tuple[Permission, ...]


def access(matching: Matching) -> Iterator[ChangeFinding]:
    """Yield findings on permissions.

    Args:
        matching: The matched resources of both assemblies. A renamed resource keeps its identity.
    """
    rename = renaming(matching)
    before, after = policies_of(matching.before), policies(matching.after, rename)
    for subject in sorted({*before, *after}):
        one, other = before.get(subject), after.get(subject)
        if one is not None and other is not None and _same(one, other):
            continue
        yield from _Subject(matching, subject, one, other).findings()
    yield from other_roles(matching, before, after, rename or (lambda text: text))


def renaming(matching: Matching) -> Callable[[str], str] | None:
    """Return a function that restores the former names in references to renamed resources; None without renames."""
    if not matching.former:
        return None
    names = {}
    for now, then in matching.former.items():
        for suffix in (".", f"{VERSION_OF}."):
            names[_written(now) + suffix] = _written(then) + suffix

    pattern = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
    return lambda text: pattern.sub(lambda found: names[found[0]], text)


def _written(place: ResourceKey) -> str:
    return f"{place.stack.account}/{place.stack.region}/{place.stack.name}/{place.logical_id}"


def _same(one: Policy, other: Policy) -> bool:
    if one.boundary != other.boundary or one.attached != other.attached:
        return False
    return one.statements == other.statements or set(one.statements) == set(other.statements)


class _Subject:
    """One subject whose policy differs."""

    def __init__(self, matching: Matching, subject: PolicySubject, one: Policy | None, other: Policy | None) -> None:
        self._matching = matching
        self._subject = subject
        self._accounts = matching.before.assembly.accounts | matching.after.assembly.accounts
        self._before = one
        self._after = other
        policy = other or one
        assert policy is not None  # noqa: S101  # nosec B101  # a subject is in one of the two
        self._resource = self._own(policy.resource)
        self._is_new = one is None and self._comes()

    def _own(self, fallback: ReviewedResource) -> ReviewedResource:
        """Return the identity if it is in the assembly, because the permissions are its own; otherwise the fallback."""
        for reference in references(self._subject.name):
            for side in (self._matching.after, self._matching.before):
                if (target := side.of(reference)) is not None:
                    return target
        return fallback

    def _comes(self) -> bool:
        """Return True if the subject of the policy is new."""
        named = list(references(self._subject.name))
        return bool(named) and not any(self._matching.before.of(reference) for reference in named)

    def _goes(self) -> bool:
        named = list(references(self._subject.name))
        return bool(named) and not any(
            self._matching.after.of(reference) or ResourceKey(reference.stack, reference.logical_id) in self._former()
            for reference in named
        )

    def _former(self) -> frozenset[ResourceKey]:
        return frozenset(self._matching.former.values())

    def findings(self) -> Iterator[ChangeFinding]:
        if self._after is None and self._goes():
            return
        yield from self._boundary()
        yield from self._attached()
        change = self._change()
        if change.gained:
            permissions = tuple(permission for permission, _ in change.gained)
            gravest = min((severity for _, severity in change.gained), key=lambda severity: severity.rank)
            yield self._gained(permissions, gravest)
        if change.undenied:
            kind = self._kind()
            what = f"no longer denied: {shown(change.undenied)}"
            severity = Severity.CRITICAL if change.exposed else Severity.HIGH
            yield self._found(kind, what, severity, change.undenied, detail=f"undenied-{_digest(change.undenied)}")
        if change.lost:
            what = f"no longer allowed: {shown(change.lost)}"
            yield self._found("access-narrowed", what, Severity.INFO, change.lost, detail=_digest(change.lost))

    def _change(self) -> _Change:
        ones = self._before.statements if self._before else []
        others = self._after.statements if self._after else []
        allowed, denied = apart(ones)
        allows, denies = apart(others)
        gained: dict[Permission, Severity] = {}
        for statement in allows:
            for permission in uncovered(statement, allowed, dead_by=denies):
                gained[permission] = self._grade(permission, statement.conditions)
        undenied: list[Permission] = []
        exposed = False
        for statement in denied:
            if more := list(uncovered(statement, denies)):
                undenied += more
                exposed = exposed or self._kept_strangers_out(statement, allows)
        lost = [permission for statement in allowed for permission in uncovered(statement, allows, dead_by=denied)]
        if self._is_new:
            undenied = []
        return _Change(
            gained=tuple(sorted(gained.items())),
            undenied=tuple(dict.fromkeys(undenied)),
            exposed=exposed,
            lost=tuple(dict.fromkeys(lost)),
        )

    def _kept_strangers_out(self, denial: Statement, allows: Sequence[Statement]) -> bool:
        """Return True if a denial was about the caller, and what is now allowed admits callers from other accounts."""
        if self._subject.about == About.IDENTITY or not names_callers(denial.conditions):
            return False
        return any(
            callers(principal, action, allowed.conditions, self._accounts) in _STRANGE
            for allowed in allows
            if allowed.principals is not None
            for principal in (allowed.principals.named if not allowed.principals.others else {EVERYBODY})
            for action in (allowed.actions.named if not allowed.actions.others else {"*"})
            if denial.actions.others or any(overlaps(action, denied) for denied in denial.actions.named)
        )

    def _kind(self) -> str:
        if self._is_new:
            return "access-added"
        match self._subject.about:
            case About.IDENTITY:
                return "access-widened"
            case About.TRUST:
                return "trust-widened"
            case About.KEY:
                return "key-policy-widened"
        return "resource-policy-widened"

    def _gained(self, permissions: tuple[Permission, ...], severity: Severity) -> ChangeFinding:
        what = f"now allowed: {shown(permissions)}"
        return self._found(self._kind(), what, severity, permissions, detail=_digest(permissions))

    def _found(
        self, kind: str, what: str, severity: Severity, permissions: Sequence[Permission], *, detail: str
    ) -> ChangeFinding:
        prefix = "" if self._subject.about == About.IDENTITY else f"{self._subject.about}-"
        lines = tuple(map(line, permissions))
        return found(kind, self._resource, what, severity=severity, details=lines, detail=f"{prefix}{detail}")

    def _grade(self, permission: Permission, conditions: frozenset[Condition]) -> Severity:
        if self._subject.about == About.IDENTITY:
            return self._identity_grade(permission)
        who = callers(permission.principal, permission.action, conditions, self._accounts)
        if who in _STRANGE:
            return Severity.CRITICAL
        if who == Caller.LIMITED:
            return Severity.HIGH
        if self._is_new:
            return Severity.LOW
        if self._subject.about in {About.TRUST, About.KEY}:
            return Severity.HIGH
        return Severity.MEDIUM if who == Caller.SERVICE else Severity.HIGH

    def _identity_grade(self, permission: Permission) -> Severity:
        action, resource = permission.action.lower(), permission.resource
        # A value that only the deployment knows may match everything.
        unknown = next(unknowns(action), None) is not None
        anywhere = "*" in resource or "?" in resource or resource.startswith("everything but")
        anywhere = anywhere or next(unknowns(resource), None) == readable(resource)
        if permission.known == 0:
            # The pattern matches no current action of AWS.
            return Severity.LOW
        if action == "*" or action.startswith("everything but"):
            return Severity.CRITICAL
        escalates = any(_is_action(name, action) for name in escalating_actions())
        if escalates and anywhere:
            return Severity.CRITICAL
        wild = "*" in action or "?" in action
        broad = resource == "*" and (wild or has_resources(action))
        if unknown:
            return Severity.HIGH
        if self._is_new:
            return Severity.MEDIUM if escalates or broad or wild else Severity.LOW
        if escalates or wild or broad or self._resource.stack.stage == PIPELINE:
            return Severity.HIGH
        return Severity.MEDIUM

    def _attached(self) -> Iterator[ChangeFinding]:
        before = self._before.attached if self._before else set()
        after = self._after.attached if self._after else set()
        for arn in sorted(after - before):
            severity = Severity.MEDIUM
            if _POWERFUL.search(arn):
                severity = Severity.CRITICAL
            elif _BROAD.search(arn) or next(unknowns(arn), None) is not None:
                severity = Severity.HIGH
            what = f"now allowed: everything that {readable(arn)} allows"
            kind = "access-added" if self._is_new else "access-widened"
            yield found(kind, self._resource, what, severity=severity, detail=readable(arn))
        for arn in sorted(before - after):
            what = f"no longer allowed: everything that {readable(arn)} allows"
            yield found("access-narrowed", self._resource, what, detail=readable(arn))

    def _boundary(self) -> Iterator[ChangeFinding]:
        if self._before is None or self._after is None or self._before.boundary is None:
            return
        old, new = self._before.boundary, self._after.boundary
        if new is None:
            what = f"the permissions boundary {readable(old)} is removed"
            yield found("boundary-loosened", self._resource, what)
        elif new != old:
            what = f"the permissions boundary {readable(old)} becomes {readable(new)}"
            yield found("boundary-loosened", self._resource, what, severity=Severity.HIGH)


def _is_action(name: str, action: str) -> bool:
    """Return True if an action or a pattern equals an action or contains it."""
    return covered(name, frozenset({action})) or covered(action, frozenset({name}))


def _digest(permissions: Iterable[Permission]) -> str:
    """Return a digest of a set of permissions, independent of their order."""
    lines = sorted(
        f"{permission.principal}|{permission.action.lower()}|{permission.resource}|{permission.condition}"
        for permission in permissions
    )
    return hashlib.sha256("\n".join(map(readable, lines)).encode()).hexdigest()[:10]
