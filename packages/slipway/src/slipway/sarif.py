"""SARIF 2.1.0, the format of findings for code scanning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif_log(
    tool: str, *, rules: Sequence[Mapping[str, Any]], results: Iterable[Mapping[str, Any]], whole: bool, exit_code: int
) -> dict[str, Any]:
    """Return a log of one run.

    Args:
        tool: Name of the tool.
        rules: The rules of the results, each with its `id`.
        results: The results, each with its `ruleId`.
        whole: True if the run was complete.
        exit_code: Exit code of the run.
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
    """Return the location of a result: a line of a file, and optionally the name of its logical location."""
    place: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": line}}}
    if name:
        place["logicalLocations"] = [{"fullyQualifiedName": name, "kind": kind}]
    return place
