"""CDK's template checks run in a separate process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.nag.template_checks import CheckedTemplate, TemplateChecks, TemplateChecksError


@pytest.fixture(scope="module")
def checks() -> Iterator[TemplateChecks]:
    checks = TemplateChecks()
    yield checks
    checks.stop()


def template(folder: Path, **properties: Any) -> CheckedTemplate:
    path = folder / "one.template.json"
    path.write_text(json.dumps({"Resources": {"One": {"Type": "AWS::S3::Bucket", "Properties": properties}}}))
    return CheckedTemplate(stack="Stack", template=str(path), account="111111111111", region="us-east-1")


def test_findings_of_cdk_are_returned_completely(checks: TemplateChecks, tmp_path: Path) -> None:
    answer = checks.result(checks.start([template(tmp_path, Nope=1)]))

    (violation,) = answer["violations"]
    (place,) = violation["violating_resources"]
    assert not answer["success"]
    assert (violation["rule_name"], violation["severity"]) == ("F3002", "error")
    assert (place["resource_logical_id"], place["locations"]) == ("One", ["Properties.Nope"])
    assert place["template_path"].endswith("one.template.json")


def test_late_answers_are_dropped(checks: TemplateChecks, tmp_path: Path) -> None:
    checks.start([template(tmp_path, Nope=1)])
    sound = tmp_path / "sound"
    sound.mkdir()

    assert checks.result(checks.start([template(sound)]))["success"]


def test_a_missing_template_fails_only_its_own_check(checks: TemplateChecks, tmp_path: Path) -> None:
    missing = CheckedTemplate(stack="Stack", template=str(tmp_path / "none.json"))

    with pytest.raises(TemplateChecksError, match="no such file"):
        checks.result(checks.start([missing]))
    assert checks.result(checks.start([template(tmp_path)]))["success"]


def test_a_dead_process_is_reported(tmp_path: Path) -> None:
    checks = TemplateChecks()
    checks._process.kill()
    checks._process.wait()

    assert not checks.running
    with pytest.raises(TemplateChecksError, match="ended with -9"):
        checks.result(checks.start([template(tmp_path)]))
    checks.stop()
