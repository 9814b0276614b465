"""SARIF 2.1.0, the format in which code scanning takes findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif_log(
    tool: str, *, rules: Sequence[Mapping[str, Any]], results: Iterable[Mapping[str, Any]], whole: bool, exit_code: int
) -> dict[str, Any]:
    """Return a log of one run.

    Args:
        tool: name of what ran.
        rules: the rules that results name, each with its `id`.
        results: the results, each with its `ruleId`.
        whole: whether the run looked at all that it was asked to.
        exit_code: what it ended with.
    """
    index = {rule["id"]: place for place, rule in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": tool, "rules": list(rules)}},
                "invocations": [{"executionSuccessful": whole, "exitCode": exit_code}],
                "columnKind": "unicodeCodePoints",
                "results": [{**result, "ruleIndex": index[result["ruleId"]]} for result in results],
            }
        ],
    }


def sarif_location(file: str, *, line: int = 1, name: str = "", kind: str = "resource") -> dict[str, Any]:
    """Return where a result is: a line of a file and, if it has one, the name of what the line stands for."""
    place: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": line}}}
    if name:
        place["logicalLocations"] = [{"fullyQualifiedName": name, "kind": kind}]
    return place
