"""A small repository with all the inputs of the evidence page, all green; tests change one of them."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Any

from slipway.evidence.checklist import FILES
from slipway.evidence.collect import Evidence, collect
from slipway.nag.names import everywhere
from unit.gates.assembly import DATA, PACKS, Assembly

TODAY = date(2027, 1, 1)
ASSEMBLED = 1_700_000_000.0
"""Modification time of the assembly, in seconds since the epoch."""

REQUIREMENTS = """
[[requirement]]
section = "Every service"
name = "its own KMS key"
text = "It rotates; see [the other page](other.md)."
only_aws = "that it is <em>used</em>."

[[requirement]]
section = "What only AWS can show"
name = "a key that `logs` may not use"
"""

TESTS = """import pytest

@pytest.mark.requirement("its own KMS key")
def test_it_rotates(): ...

class TestUse:
    @pytest.mark.requirement("a key that `logs` may not use")
    def test_logs_may(self): ...
"""

CHECKLIST = """
title = "A checklist"
source = "https://example.com/checklist"
note = "Of one entry."

[[group]]
name = "Build"

[[group.entry]]
name = "Unit Tests"
weight = "required"
answer = "yes"
says = "They run at every push."
code = [{ path = "blocks/key.py", symbol = "Key.rotate" }]
tests = ["tests/unit/test_key.py::test_it_rotates"]

[[group.entry]]
name = "Performance Tests"
weight = "recommended"
answer = "no"
says = "Nothing puts load on it."
"""

PIPELINE = {
    "Type": "AWS::CodePipeline::Pipeline",
    "Properties": {
        "Stages": [
            {
                "Name": "dev-services",
                "Actions": [
                    {
                        "Name": f"dev-items.data.{what}",
                        "RunOrder": order,
                        "ActionTypeId": {"Category": "Deploy", "Provider": "CloudFormation"},
                        "RoleArn": {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::111111111111:role/x"]]},
                    }
                    for order, what in ((2, "Deploy"), (1, "Prepare"))
                ],
                "OnFailure": {"Result": "ROLLBACK"},
            }
        ]
    },
}


def review(**changed: Any) -> dict[str, Any]:
    """Return the `review.json` of a change without findings."""
    return {
        "format": 1,
        "verdict": "green",
        "state": "reviewed",
        "base": "0123456789ab",
        "head": "cdk.out",
        "summary": "change review green: no finding; 1 changed resources",
        "paragraph": "Against 0123456789ab: 1 changed resources.",
        "faults": [],
        "notes": [],
        "findings": [],
        "spent_waivers": [],
        "stages": [],
        **changed,
    }


def step(**changed: Any) -> dict[str, Any]:
    """Return a scanner that found nothing."""
    return {
        "name": "secrets",
        "state": "passed",
        "summary": "300 files",
        "findings": [],
        "accepted": [],
        "notes": [],
        "scanned": ["app.py"],
        **changed,
    }


def supply(*steps: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Return the `supply.json` of these scanners."""
    archive = {"name": "items.zip", "sha256": "0" * 64, "bytes": 1000, "ships": True}
    return {"verdict": "green", "not_done": [], "zips": [archive], "steps": list(steps or (step(),)), **changed}


class Repository:
    """The repository's files, and the reports of its gates.

    Args:
        root: An empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.report = root / "build" / "report"
        self.questions, self.checklists = root / "questions", root / "checklists"
        self.assembly = Assembly(root / "cdk.out")
        self.write("docs/requirements.toml", REQUIREMENTS)
        self.write("blocks/key.py", "class Key:\n    def rotate(self) -> None: ...\n")
        self.write("tests/unit/test_key.py", TESTS)
        self.write("config/baseline.json", "{}")
        for name in FILES:
            self.write(f"questions/{name}", CHECKLIST)
            self.write(f"checklists/{name}", "")
        self.write_json("cdk.out/Pipeline.template.json", {"Resources": {"Pipeline": PIPELINE}})
        self.write_json("build/report/review.json", review())
        self.write_json("build/report/supply.json", supply())
        self.assemble()

    def write(self, path: str, text: str) -> Path:
        """Write a file."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def write_json(self, path: str, content: dict[str, Any]) -> Path:
        """Write a JSON file."""
        return self.write(path, json.dumps(content))

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that must occur in a file."""
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text
        self.write(path, text.replace(old, new))

    def assemble(self) -> None:
        """Write the assembly, with a time before that of every other file."""
        folder = self.assembly.write()
        for file in folder.rglob("*.json"):
            os.utime(file, (ASSEMBLED, ASSEMBLED))

    def accept(self, reason: str = "Nobody but the platform writes here.") -> None:
        """Acknowledge two findings with one reason."""
        signed = f"{reason} [owner: platform; expires: 2027-06-30; at: blocks/bucket.py:70]"
        for name in ("Bucket", "Other"):
            self.assembly.acknowledge("AwsSolutions-S1", f"{DATA}/{name}", reason=signed)
        self.write_json("config/baseline.json", {"Pipeline/dev-items": {"blocks/key.py": {"AwsSolutions-S1": 2}}})
        self.assemble()

    def collect(self) -> Evidence:
        """Collect what the page would show."""
        return collect(
            self.root,
            self.root / "cdk.out",
            everywhere(PACKS),
            report=self.report,
            today=TODAY,
            questions=self.questions,
            checklists=self.checklists,
        )
