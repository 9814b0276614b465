"""Read an app's own acknowledgements, in every supported format.

- CDK's own acknowledgements, which cdk-nag 3 honours: `Validations.of(construct).acknowledge(…)`. They are entries of
  the metadata of a stack, by the path of the construct that they are given on; those given above the stacks only appear
  in CDK's report, if something was found.
- cdk-nag 2: `rules_to_suppress` under `cdk_nag` in the metadata of a resource, or of the template for the whole stack
  (https://github.com/cdklabs/cdk-nag/blob/main/RULES.md and `src/models/nag-suppression.ts` of version 2).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.nag.assembly import StackFiles, ValidationReport
from slipway.nag.names import ACKNOWLEDGED_RULES, ANNOTATIONS
from slipway.nag.verdict import RuleFinding
from slipway.review.assembly import Assembly, ReviewedStack, StackKey

_NO_REASON = "no reason is given"


@dataclass(frozen=True, order=True)
class AcceptedFinding:
    """A finding that the app accepts, with its reason."""

    finding: RuleFinding
    reason: str


@dataclass(frozen=True)
class _Suppressed:
    """An entry of cdk-nag 2."""

    rule: str
    reason: str
    applies_to: tuple[Any, ...]

    def covers(self, rule: str, finding: str) -> bool:
        if self.rule != rule:
            return False
        # Without a list it covers all findings of the rule.
        return not self.applies_to or any(_matches(each, finding) for each in self.applies_to)


@dataclass(frozen=True)
class Acceptances:
    """Acknowledgements of an app.

    Args:
        acknowledged: Reason by construct path and qualified id, or bare one.
        suppressed: Entries by stack and logical id; the logical id is empty for a whole stack.
    """

    acknowledged: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    suppressed: Mapping[tuple[StackKey, str], Sequence[_Suppressed]] = field(default_factory=dict)

    def of(self, stack: ReviewedStack, logical_id: str, path: str, rule: str) -> str | None:
        """Return the reason for which a finding is accepted; None if it isn't.

        Args:
            stack: The stack.
            logical_id: The resource; empty for the stack as a whole.
            path: Path of its construct.
            rule: Id of the rule, with a granular finding in brackets.
        """
        bare, _, rest = rule.partition("[")
        for entry in (*self.suppressed.get((stack.key, logical_id), ()), *self.suppressed.get((stack.key, ""), ())):
            if entry.covers(bare, rest.removesuffix("]")):
                return entry.reason
        parts = path.split("/")
        for depth in range(len(parts), -1, -1):
            given = self.acknowledged.get("/".join(parts[:depth]), {})
            for identifier in (rule, f"{ANNOTATIONS}::{rule}"):
                if (reason := given.get(identifier.lower())) is not None:
                    return reason
        return None


def acceptances(assembly: Assembly, files: Sequence[StackFiles], report: ValidationReport | None) -> Acceptances:
    """Read the findings that an app accepts.

    Args:
        assembly: Its stacks.
        files: The same stacks, with their metadata.
        report: CDK's report on it; None if it wrote none.
    """
    acknowledged: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for path, identifier, reason in (*_in_metadata(files), *_in_report(report)):
        # With or without the pack's name before it: the rule's id begins with it anyway. The text in brackets is the
        # finding, which may contain colons.
        rule, bracket, finding = identifier.partition("[")
        bare = (rule.partition("::")[2] or rule) + bracket + finding
        acknowledged[path.strip("/").removesuffix("/Resource")][bare.lower()] = reason or _NO_REASON
    suppressed: dict[tuple[StackKey, str], Sequence[_Suppressed]] = {}
    for stack in assembly.stacks:
        for logical_id, holder in (("", stack.template), *stack.resources.items()):
            if entries := tuple(_suppressed(holder.get("Metadata"))):
                suppressed[stack.key, logical_id] = entries
    return Acceptances(acknowledged, suppressed)


def _in_metadata(files: Sequence[StackFiles]) -> Iterator[tuple[str, str, str]]:
    for stack in files:
        for path, entries in stack.metadata.items():
            for entry in entries:
                if entry.type == ACKNOWLEDGED_RULES and isinstance(entry.data, Mapping):
                    for identifier, reason in entry.data.items():
                        yield path, str(identifier), str(reason)


def _in_report(report: ValidationReport | None) -> Iterator[tuple[str, str, str]]:
    for plugin in report.plugin_reports if report is not None else ():
        for suppressed in plugin.suppressed_violations:
            yield suppressed.acknowledged_at, suppressed.acknowledged_id, suppressed.reason


def _suppressed(metadata: Any) -> Iterator[_Suppressed]:
    own = metadata.get("cdk_nag") if isinstance(metadata, Mapping) else None
    entries = own.get("rules_to_suppress") if isinstance(own, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), str):
            applies_to = entry.get("applies_to")
            yield _Suppressed(
                rule=entry["id"],
                reason=_decoded(entry),
                applies_to=tuple(applies_to) if isinstance(applies_to, list) else (),
            )


def _decoded(entry: Mapping[str, Any]) -> str:
    reason = str(entry.get("reason") or _NO_REASON)
    if not entry.get("is_reason_encoded"):
        return reason
    try:
        return base64.b64decode(reason, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return reason


def _matches(entry: Any, finding: str) -> bool:
    match entry:
        case str():
            return entry == finding
        case {"regex": str(text)}:
            # A regular expression in JavaScript's notation: `/^Action::s3:.*$/g`.
            body = re.fullmatch(r"/(?P<body>.*)/[a-z]*", text, flags=re.DOTALL)
            try:
                return body is not None and re.search(body["body"], finding) is not None
            except re.error:
                return False
    return False
