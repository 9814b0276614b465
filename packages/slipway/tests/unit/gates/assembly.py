"""A hand-written assembly: two stacks, one of them in a stage, with the report of two packs and CDK."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKS = ("AwsSolutions", "Serverless")
RAN = (*PACKS, "CloudFormation Validate")
REASON = "Nobody but the platform writes here."
AT = "blocks/bucket.py:70"


def signed(reason: str = REASON, *, owner: str = "platform", expires: str = "2027-06-30", at: str = AT) -> str:
    """Return a reason as `acknowledge` signs it."""
    return f"{reason} [owner: {owner}; expires: {expires}; at: {at}]"


STAGE = "assembly-Pipeline-dev-items"
DATA = "Pipeline/dev-items/Data"
TEMPLATES = {"Pipeline": "Pipeline.template.json", DATA: f"{STAGE}/Data.template.json"}


class Assembly:
    """Writes the files that `judge` reads; tests change them and call `write`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.judged = {pack: set(TEMPLATES.values()) for pack in RAN}
        self.violations: dict[str, list[dict[str, Any]]] = {pack: [] for pack in RAN}
        self.suppressed: dict[str, list[dict[str, Any]]] = {pack: [] for pack in RAN}
        self.failed: dict[str, str] = {}
        self.metadata: dict[str, Any] = {}
        (folder / STAGE).mkdir(parents=True)
        for name, key in TEMPLATES.items():
            (folder / key).write_text(json.dumps({"Resources": {}, "Description": name}), encoding="utf-8")
        nested = {"type": "cdk:cloud-assembly", "properties": {"directoryName": STAGE}}
        self._json("manifest.json", {"artifacts": {STAGE: nested, "Pipeline": _stack("Pipeline", "Pipeline")}})
        self._json(f"{STAGE}/manifest.json", {"artifacts": {"Data": _stack(f"{DATA} (dev-items-data)", "Data")}})

    def violate(
        self, rule: str, path: str, *, pack: str = "AwsSolutions", severity: str = "error", **more: Any
    ) -> None:
        """Add a finding that is not acknowledged."""
        self.violations[pack].append(_violation(rule, path, severity) | more)

    def acknowledge(
        self, rule: str, path: str, *, reason: str | None = None, pack: str = "AwsSolutions", used: bool = True
    ) -> None:
        """Add an acknowledgement by its qualified id, with the finding that it excuses unless it is unused."""
        reason = signed() if reason is None else reason
        self.give(f"{pack}::{rule}", path, reason)
        if used:
            accepted = {"acknowledgedId": f"{pack}::{rule}", "acknowledgedAt": path, "reason": reason}
            self.suppressed[pack].append(_violation(rule, path, "error") | accepted)

    def give(self, identifier: str, path: str, reason: str) -> None:
        """Add the metadata that `Validations.acknowledge` leaves on a construct."""
        entry = {"type": "aws:cdk:acknowledged-rules", "data": {identifier: reason}}
        self.metadata.setdefault(f"/{path}", []).append(entry)

    def give_above(self, identifier: str, path: str, reason: str) -> None:
        """Add the entry that the gate leaves in the report for an acknowledgement on a stage or the app."""
        entry = _violation("Gate-Acknowledged", path, "info") | {"ruleMetadata": {"id": identifier, "reason": reason}}
        self.violations["CloudFormation Validate"].append(entry)

    def write(self) -> Path:
        """Write the report and the metadata, and return the folder."""
        self._json("Pipeline.metadata.json", {})
        self._json(f"{STAGE}/Data.metadata.json", self.metadata)
        digests = {key: hashlib.sha256((self.folder / key).read_bytes()).hexdigest() for key in TEMPLATES.values()}
        reports = [
            {
                "pluginName": pack,
                "conclusion": "failure",
                "metadata": {"error": self.failed[pack]},
                "violations": [],
            }
            if pack in self.failed
            else {
                "pluginName": pack,
                "conclusion": "success",
                "violations": [
                    *violations,
                    _sentinel({key: digest for key, digest in digests.items() if key in self.judged[pack]}),
                ],
                "suppressedViolations": self.suppressed[pack],
            }
            for pack, violations in self.violations.items()
        ]
        self._json("validation-report.json", {"version": "55.0.0", "title": "Report", "pluginReports": reports})
        return self.folder

    def _json(self, name: str, content: Mapping[str, Any]) -> None:
        (self.folder / name).write_text(json.dumps(content), encoding="utf-8")


def _stack(display_name: str, file: str) -> dict[str, Any]:
    return {
        "type": "aws:cloudformation:stack",
        "displayName": display_name,
        "properties": {"templateFile": f"{file}.template.json"},
        "additionalMetadataFile": f"{file}.metadata.json",
    }


def _violation(rule: str, path: str, severity: str) -> dict[str, Any]:
    return {
        "ruleName": rule,
        "description": f"{rule} is broken.",
        "severity": severity,
        "violatingConstructs": [{"constructPath": path}],
    }


def _sentinel(digests: Mapping[str, str]) -> dict[str, Any]:
    return {
        "ruleName": "Gate-Sentinel",
        "description": "ran",
        "severity": "info",
        "ruleMetadata": dict(digests),
        "violatingConstructs": [],
    }
