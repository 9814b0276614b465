"""Group equal findings of several stages or resources, so that each is reported once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from slipway.review.findings import ChangeFinding, Severity

_ACCOUNT = re.compile(r"\b\d{12}\b")
_REGION = re.compile(r"\b(?:af|ap|ca|cn|eu|il|me|mx|sa|us)(?:-gov)?-[a-z]+-\d\b")
# What CDK puts after a logical id, and words that hold one.
_HASHED = re.compile(r"\b\w*[0-9A-F]{8}\b")
_SHORTEST = 3
_ELSEWHERE = "…"


@dataclass(frozen=True)
class FindingGroup:
    """Equal findings in different places.

    Args:
        findings: One or more findings, in order.
    """

    findings: tuple[ChangeFinding, ...]

    @property
    def first(self) -> ChangeFinding:
        """Return the finding that is reported in full."""
        return self.findings[0]

    @property
    def severity(self) -> Severity:
        """Return the severity of each of them."""
        return self.first.severity

    @cached_property
    def others(self) -> tuple[str, ...]:
        """The places besides the first's."""
        places = (
            one for one in self.findings[1:] if (one.stack, one.resource) != (self.first.stack, self.first.resource)
        )
        return tuple(dict.fromkeys(f"{one.resource} ({one.stage})" for one in places))

    @property
    def what(self) -> str:
        """Return what changes, with the number of places if there are several."""
        number = len(self.findings)
        return self.first.what + (f" (and {number - 1} more like it)" if number > 1 else "")


def group(findings: Iterable[ChangeFinding]) -> tuple[FindingGroup, ...]:
    """Group the findings of one kind that differ only in their location.

    Names of stages, stacks, constructs, accounts and regions in their text count as location.

    Args:
        findings: In the order of the report.
    """
    groups: defaultdict[tuple[str, ...], list[ChangeFinding]] = defaultdict(list)
    for finding in findings:
        groups[_key(finding)].append(finding)
    return tuple(FindingGroup(tuple(each)) for each in groups.values())


def _key(finding: ChangeFinding) -> tuple[str, ...]:
    names = {finding.stage, finding.stack, *finding.resource.split("/"), *re.split(r"[/-]", finding.stage)}
    # The part that distinguishes findings on the same resource: one of four switches, or a stage of a pipeline.
    names |= {finding.resource, finding.resource.rpartition("/")[0], finding.detail}
    # The longest first: a stage's name is part of its stacks' names.
    ordered = sorted((name for name in names if len(name) > _SHORTEST), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def neutral(text: str) -> str:
        if pattern is not None:
            text = pattern.sub(_ELSEWHERE, text)
        for each in (_ACCOUNT, _REGION, _HASHED):
            text = each.sub(_ELSEWHERE, text)
        return re.sub(rf"[\w-]*{_ELSEWHERE}[\w{_ELSEWHERE}-]*", _ELSEWHERE, text)

    said = (finding.what, finding.advice, *finding.details)
    return (finding.kind, finding.severity.value, *map(neutral, said))
