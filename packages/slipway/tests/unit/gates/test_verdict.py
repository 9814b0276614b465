"""The verdict is read from the report, and nothing that is missing or unclear counts as green."""

from __future__ import annotations

import json
import os
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from slipway.nag.baseline import SHARED, write_baseline
from slipway.nag.names import everywhere
from slipway.nag.verdict import Verdict
from slipway.nag.verdict import judge as judge_with
from unit.gates.assembly import AT, DATA, PACKS, STAGE, TEMPLATES, Assembly, signed

TODAY = date(2027, 1, 1)


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    return Assembly(tmp_path / "cdk.out")


FILE = AT.rpartition(":")[0]


def judged(assembly: Assembly, **more: Any) -> Verdict:
    return judge(assembly.write(), **more)


def judge(folder: Path, *, today: date = TODAY, **more: Any) -> Verdict:
    return judge_with(folder, everywhere(PACKS), today=today, **more)


def faults(verdict: Verdict) -> list[str]:
    return [f"{fault.place}: {fault.message}" for fault in verdict.faults]


def test_an_assembly_in_which_every_pack_found_nothing_is_green(assembly: Assembly) -> None:
    verdict = judged(assembly)

    assert not verdict.red
    assert verdict.stacks == ("Pipeline", DATA)


@pytest.mark.parametrize("severity", ["fatal", "error", "warning", "custom", "whatever"])
def test_unacknowledged_finding_fails_with_its_stack(assembly: Assembly, severity: str) -> None:
    assembly.violate("AwsSolutions-S1", f"{DATA}/Bucket/Resource", severity=severity)

    verdict = judged(assembly)

    assert verdict.red
    assert [(finding.rule, finding.stack, finding.path) for finding in verdict.findings] == [
        ("AwsSolutions-S1", DATA, f"{DATA}/Bucket/Resource")
    ]


def test_informational_finding_is_not_red(assembly: Assembly) -> None:
    assembly.violate("AwsSolutions-X", f"{DATA}/Bucket", severity="info")

    assert not judged(assembly).red


def test_a_finding_without_a_resource_is_not_lost(assembly: Assembly) -> None:
    assembly.violate("AwsSolutions-X", "", violatingConstructs=[])

    assert [finding.rule for finding in judged(assembly).findings] == ["AwsSolutions-X"]


@pytest.mark.parametrize(
    ("rule", "more", "advice"),
    [
        ("AwsSolutions-S1", {}, "acknowledge AwsSolutions-S1"),
        ("AwsSolutions-IAM5[Action::s3:Get*]", {}, "finding='Action::s3:Get*'"),
        ("F3031", {}, "cannot be acknowledged"),
        ("W3697", {"suggestedFix": "Use a launch template."}, "Use a launch template."),
    ],
)
def test_a_finding_says_what_to_do(assembly: Assembly, rule: str, more: dict[str, str], advice: str) -> None:
    assembly.violate(rule, f"{DATA}/Bucket", **more)

    assert advice in judged(assembly).findings[0].advice


def test_acknowledged_finding_passes_with_its_signature(assembly: Assembly) -> None:
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Bucket")

    verdict = judged(assembly)

    assert not verdict.red
    (accepted,) = verdict.acknowledgements
    assert (accepted.reason, accepted.owner, accepted.expires, accepted.at, accepted.stack) == (
        "Nobody but the platform writes here.",
        "platform",
        date(2027, 6, 30),
        AT,
        DATA,
    )


# --- Expiry ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("expires", "red"), [("2026-12-31", True), ("2027-01-01", False)])
def test_an_acknowledgement_holds_to_the_end_of_its_last_day(assembly: Assembly, expires: str, red: bool) -> None:
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Bucket", reason=signed(expires=expires, owner="a"))

    verdict = judged(assembly)

    assert verdict.red is red
    expired = f"{AT}: the acknowledgement of AwsSolutions-S1 expired on 2026-12-31 (owner: a)"
    assert faults(verdict) == ([expired] if red else [])


@pytest.mark.parametrize(("expires", "warned"), [("2027-01-01", True), ("2027-02-01", True), ("2027-02-02", False)])
def test_expiry_within_a_month_warns_and_stays_green(assembly: Assembly, expires: str, warned: bool) -> None:
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Bucket", reason=signed(expires=expires, owner="data"))

    verdict = judged(assembly)

    assert not verdict.red
    assert [(caution.place, "data must review it" in caution.message) for caution in verdict.cautions] == (
        [(AT, True)] if warned else []
    )


def test_shared_expiry_is_one_line_of_the_report(assembly: Assembly) -> None:
    # Given a block that acknowledges three findings with one reason
    for rule in ("AwsSolutions-S1", "AwsSolutions-S2"):
        assembly.acknowledge(rule, f"{DATA}/Bucket", reason=signed(expires="2026-12-31"))
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Other", reason=signed(expires="2026-12-31"))

    (fault,) = faults(judged(assembly))

    assert "AwsSolutions-S1, AwsSolutions-S2 expired" in fault


@pytest.mark.parametrize(
    ("today", "expires"), [(TODAY, "2999-01-01"), (TODAY, "2028-02-06"), (date(1970, 1, 1), "2027-06-30")]
)
def test_distant_expiry_or_stopped_clock_fails(assembly: Assembly, today: date, expires: str) -> None:
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Bucket", reason=signed(expires=expires))

    (fault,) = faults(judged(assembly, today=today))

    assert f"expires on {expires}, more than 400 days after today, {today}" in fault
    assert fault.endswith("or correct the clock")


# --- Reasons --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason", ["", "It is fine.", signed(owner=""), signed(expires="2027-13-40"), f"{signed()}.", "x [owner: a]"]
)
def test_incomplete_acknowledgements_turn_red(assembly: Assembly, reason: str) -> None:
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Bucket", reason=reason)

    (fault,) = faults(judged(assembly))

    assert fault.startswith(f"{DATA}/Bucket: AwsSolutions::AwsSolutions-S1 is acknowledged without owner")


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("It is broken.", "is not a sentence of at least five words"),
        ("So here AwsSolutions-S1 is broken, fine", "repeats the rule"),
    ],
)
def test_a_signed_but_empty_reason_turns_red(assembly: Assembly, reason: str, says: str) -> None:
    # Given a reason that did not come through `acknowledge`, or whose rule text only the report contains
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Bucket", reason=signed(reason))

    (fault,) = faults(judged(assembly))

    assert fault.startswith(f"{AT}: the reason for AwsSolutions-S1 {says}")


def test_unqualified_acknowledgement_fails_even_if_unreported(assembly: Assembly) -> None:
    assembly.give("Annotation::AwsSolutions-S1", f"{DATA}/Bucket", "fine")

    (fault,) = faults(judged(assembly))

    assert fault.startswith(f"{DATA}/Bucket: AwsSolutions-S1 is acknowledged by its unqualified id")


@pytest.mark.parametrize("path", ["", "Pipeline/dev-items"])
def test_a_bare_acknowledgement_above_the_stacks_turns_red(assembly: Assembly, path: str) -> None:
    assembly.give_above("Annotation::Serverless-LambdaDLQ", path, "fine")

    (fault,) = faults(judged(assembly))

    assert fault.startswith(f"{path or 'app'}: Serverless-LambdaDLQ is acknowledged by its unqualified id")


# --- Stale acknowledgements -----------------------------------------------------------------------------------------


def test_unused_acknowledgement_fails_with_its_places(assembly: Assembly) -> None:
    for path in (f"{DATA}/Bucket", f"{DATA}/Other"):
        assembly.acknowledge("AwsSolutions-S1", path, used=False)

    verdict = judged(assembly)

    (fault,) = faults(verdict)
    assert fault == (
        f"{AT}: the acknowledgement of AwsSolutions::AwsSolutions-S1 no longer suppresses anything; remove it: "
        f"{DATA}/Bucket, {DATA}/Other"
    )


def test_used_acknowledgement_may_be_stale_elsewhere(assembly: Assembly) -> None:
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Bucket")
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Other", used=False)

    (fault,) = faults(judged(assembly))

    assert fault.endswith(f"remove it: {DATA}/Other")


def test_acknowledged_template_check_can_be_stale_too(assembly: Assembly) -> None:
    assembly.give("CloudFormation-Validate::W3697", f"{DATA}/Bucket", signed())

    (fault,) = faults(judged(assembly))

    assert "CloudFormation-Validate::W3697 no longer suppresses anything" in fault


@pytest.mark.parametrize("path", ["", "Pipeline/dev-items"])
def test_acknowledgement_above_the_stacks_can_be_stale_too(assembly: Assembly, path: str) -> None:
    assembly.give_above("AwsSolutions::AwsSolutions-S1", path, signed())

    (fault,) = faults(judged(assembly))

    assert fault.endswith(f"remove it: {path or 'app'}")


def test_acknowledgement_of_inactive_pack_is_not_stale(assembly: Assembly) -> None:
    # Given an acknowledgement for a pack that is not active in this environment
    assembly.give("HIPAA.Security::HIPAA.Security-LambdaInsideVPC", f"{DATA}/Function", signed())
    assembly.give_above("HIPAA.Security::HIPAA.Security-LambdaInsideVPC", "Pipeline/dev-items", signed())

    assert not judged(assembly).red


def test_constructs_warning_may_be_acknowledged_by_its_name(assembly: Assembly) -> None:
    # Given that CDK removes such warnings from the report, so whether they still occur is unknown
    assembly.give("Annotation::@aws-cdk/aws-s3:x", f"{DATA}/Bucket", signed())

    assert not judged(assembly).red


# --- Packs ----------------------------------------------------------------------------------------------------------


def test_a_pack_that_left_no_trace_turns_red(assembly: Assembly) -> None:
    del assembly.violations["Serverless"]

    assert faults(judged(assembly)) == ["Serverless: left no trace of having run"]


def test_template_checks_that_were_switched_off_turn_red(assembly: Assembly) -> None:
    del assembly.violations["CloudFormation Validate"]

    assert faults(judged(assembly)) == ["CloudFormation Validate: left no trace of having run"]


def test_a_pack_that_broke_off_turns_red_with_its_reason(assembly: Assembly) -> None:
    assembly.failed = {"AwsSolutions": "Validation plugin failed: out of memory"}

    assert "AwsSolutions: did not finish: Validation plugin failed: out of memory" in faults(judged(assembly))


def test_a_stack_that_a_pack_did_not_judge_turns_red(assembly: Assembly) -> None:
    folder = assembly.write()
    report = json.loads((folder / "validation-report.json").read_text())
    del report["pluginReports"][1]["violations"][-1]["ruleMetadata"][TEMPLATES[DATA]]
    (folder / "validation-report.json").write_text(json.dumps(report))

    assert faults(judge(folder)) == [f"Serverless: did not judge {DATA}"]


def test_environments_pack_must_judge_only_its_stages(assembly: Assembly) -> None:
    # Given a pack that is active for one stage, and judged only that stage's stack
    assembly.judged["Serverless"] = {TEMPLATES[DATA]}

    def packs_of(stack: str) -> tuple[str, ...]:
        return PACKS if stack == DATA else ("AwsSolutions",)

    verdict = judge_with(assembly.write(), packs_of, today=TODAY)

    assert not verdict.red
    assert verdict.judged["Pipeline"] == ("AwsSolutions", "CloudFormation Validate")
    assert verdict.judged[DATA] == ("AwsSolutions", "Serverless", "CloudFormation Validate")
    # When it is active for other stacks too, then the missing ones are reported
    assert faults(judge(assembly.folder)) == ["Serverless: did not judge Pipeline"]


def test_report_on_other_templates_fails(assembly: Assembly) -> None:
    folder = assembly.write()
    (folder / TEMPLATES[DATA]).write_text('{"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}}')

    verdict = judge(folder)

    assert f"AwsSolutions: judged a template of {DATA} other than {TEMPLATES[DATA]}" in faults(verdict)


def test_a_missing_template_turns_red(assembly: Assembly) -> None:
    folder = assembly.write()
    (folder / TEMPLATES[DATA]).unlink()

    assert f"{DATA}: {TEMPLATES[DATA]} is missing" in faults(judge(folder))


def test_a_report_older_than_the_run_turns_red(assembly: Assembly) -> None:
    folder = assembly.write()
    started = time.time()
    os.utime(folder / "validation-report.json", (started - 60, started - 60))

    verdict = judge(folder, since=started)

    assert faults(verdict) == ["validation-report.json: is older than this run"]


@pytest.mark.parametrize("name", ["validation-report.json", "manifest.json", f"{STAGE}/manifest.json"])
@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"artifacts": 3}', '{"pluginReports": [{}]}', "\x00\xff"])
def test_missing_or_damaged_file_fails_in_one_line(assembly: Assembly, name: str, content: str | None) -> None:
    folder = assembly.write()
    path = folder / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content, encoding="latin-1")

    verdict = judge(folder)

    (fault,) = faults(verdict)
    assert verdict.red
    assert fault.startswith(f"{path.name}: is ")
    assert "\n" not in fault


def test_damaged_metadata_turns_red(assembly: Assembly) -> None:
    folder = assembly.write()
    (folder / STAGE / "Data.metadata.json").write_text("{")

    assert judge(folder).red


def test_an_assembly_without_stacks_is_red(assembly: Assembly) -> None:
    folder = assembly.write()
    (folder / "manifest.json").write_text('{"artifacts": {}}')

    assert "manifest.json: names no stack: there is nothing to judge" in faults(judge(folder))


def test_a_stage_that_vanished_from_the_manifest_turns_red(assembly: Assembly) -> None:
    folder = assembly.write()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["artifacts"][STAGE]
    (folder / "manifest.json").write_text(json.dumps(manifest))

    verdict = judge(folder)

    assert f"Serverless: judged {TEMPLATES[DATA]}, which is in no manifest" in faults(verdict)


# --- The baseline ---------------------------------------------------------------------------------------------------


@pytest.fixture
def baseline(tmp_path: Path, assembly: Assembly) -> Path:
    """The project in which everything that is accepted now is the baseline."""
    for construct in ("Bucket", "Other"):
        assembly.acknowledge("AwsSolutions-S1", f"{DATA}/{construct}")
    assembly.acknowledge("AwsSolutions-IAM5[Resource::*]", f"{DATA}/Role")
    assembly.acknowledge("AwsSolutions-IAM5[Action::s3:Get*]", f"{DATA}/Role")
    root = tmp_path / "project"
    write_baseline(root, judged(assembly).counts)
    return root


def test_unchanged_acknowledgements_are_green(assembly: Assembly, baseline: Path) -> None:
    # Given places by stage, file and rule, granular findings under their rule
    assert json.loads((baseline / SHARED).read_text()) == {
        "Pipeline/dev-items": {FILE: {"AwsSolutions-IAM5": 1, "AwsSolutions-S1": 1}}
    }

    assert not judged(assembly, baseline=baseline).red


def test_one_more_resource_of_a_block_changes_nothing(assembly: Assembly, baseline: Path) -> None:
    # When a place in the code that already accepts a finding accepts one more
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Third")

    assert not judged(assembly, baseline=baseline).red


def test_growth_turns_red_until_the_baseline_has_it(assembly: Assembly, baseline: Path) -> None:
    # When another place in the code accepts a finding of the same rule
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Third", reason=signed(at=f"{FILE}:900"))
    verdict = judged(assembly, baseline=baseline)

    # Then it is reported, with what to do
    (fault,) = faults(verdict)
    assert fault.startswith(
        f"{SHARED}: Pipeline/dev-items: {FILE} accepts AwsSolutions-S1 in 2 places, the baseline in 1; "
    )
    assert "make baseline" in fault
    # And once the baseline has the new counts, the verdict is green
    write_baseline(baseline, verdict.counts)
    assert not judged(assembly, baseline=baseline).red


def test_fewer_findings_never_offset_new_ones(assembly: Assembly, baseline: Path) -> None:
    for construct in ("Bucket", "Other"):
        assembly.metadata.pop(f"/{DATA}/{construct}")
    assembly.suppressed["AwsSolutions"] = [
        one for one in assembly.suppressed["AwsSolutions"] if "S1" not in json.dumps(one)
    ]
    without = judged(assembly, baseline=baseline)
    assembly.acknowledge("AwsSolutions-S10", f"{DATA}/Bucket")

    assert not without.red
    (note,) = without.cautions
    assert note.message.startswith("1 of its 2 entries are higher than the current counts")
    (fault,) = faults(judged(assembly, baseline=baseline))
    assert "accepts AwsSolutions-S10 in 1 place, the baseline in 0" in fault


def _service_of(stack: str) -> str:
    return stack.split("/")[1].partition("-")[2]


def test_counts_are_by_service_in_any_environment(assembly: Assembly, baseline: Path) -> None:
    verdict = judged(assembly, unit_of=_service_of)

    write_baseline(baseline, verdict.counts)

    assert list(json.loads((baseline / SHARED).read_text())) == ["items"]


def test_a_services_counts_are_in_its_folder(assembly: Assembly, baseline: Path) -> None:
    # Given a service that has a folder
    (baseline / "services" / "items").mkdir(parents=True)
    file = baseline / "services" / "items" / "baseline.json"

    # When nothing was accepted there, then one line says what to do
    (fault,) = faults(judged(assembly, baseline=baseline, unit_of=_service_of))
    assert fault == "services/items/baseline.json: is missing: write it with `make baseline`"

    # When the counts are accepted, then they are in its folder alone
    counts = judged(assembly, unit_of=_service_of).counts
    write_baseline(baseline, counts)
    assert json.loads(file.read_text()) == counts["items"]
    assert json.loads((baseline / SHARED).read_text()) == {}
    assert not judged(assembly, baseline=baseline, unit_of=_service_of).red

    # And one more is named with its file
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Third", reason=signed(at=f"{FILE}:900"))
    (fault,) = faults(judged(assembly, baseline=baseline, unit_of=_service_of))
    assert fault.startswith(f"services/items/baseline.json: items: {FILE} accepts AwsSolutions-S1 in 2 places")

    # And a service that accepts nothing any more has no file
    write_baseline(baseline, {})
    assert not file.exists()


def test_fewer_findings_in_a_part_pass_and_more_fail(assembly: Assembly, baseline: Path) -> None:
    # Given a synthesis of only some of the services
    places = {FILE: {"AwsSolutions-S1": 1}}
    write_baseline(baseline, {"Pipeline/gone": places, "Pipeline/dev-items": places})

    verdict = judged(assembly, baseline=baseline, complete=False)

    (fault,) = faults(verdict)
    assert "accepts AwsSolutions-IAM5 in 1 place, the baseline in 0" in fault
    assert verdict.cautions == ()


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"a": 3}', '{"a": {"b": 3}}', '{"a": {"b": {"c": 0}}}'])
def test_missing_or_damaged_baseline_fails_in_one_line(assembly: Assembly, baseline: Path, content: str | None) -> None:
    if content is None:
        (baseline / SHARED).unlink()
    else:
        (baseline / SHARED).write_text(content)

    (fault,) = faults(judged(assembly, baseline=baseline))

    assert fault.startswith(f"{SHARED}: is ")
    assert "\n" not in fault
