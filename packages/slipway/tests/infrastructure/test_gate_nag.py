"""The nag gate on the real app: a planted fault is found in any stack, and nothing passes by mistake."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import (
    Acknowledgment,
    Annotations,
    App,
    CfnResource,
    IPolicyValidationContext,
    NestedStack,
    PolicyValidationPluginReport,
    Stack,
    Stage,
    Validations,
    aws_cloudwatch,
    aws_s3,
)
from cdk_nag import ServerlessChecks
from constructs import Construct

from infrastructure.matrix import SPECIMEN, pipeline_settings
from infrastructure.synthesis import Tiny, assets
from pipeline.delivery import PipelineStack
from slipway import app as entry
from slipway.assembly.reader import read_stacks
from slipway.blocks.assets import AssetStore
from slipway.delivery.roles import VerificationRole
from slipway.gates.packs import packs_of
from slipway.nag import packs as nag_packs
from slipway.nag.acknowledge import acknowledge
from slipway.nag.baseline import SHARED
from slipway.nag.names import PACKS as EVERY_PACK
from slipway.nag.names import everywhere
from slipway.nag.packs import CONTEXT, GateError, register
from slipway.nag.verdict import Verdict, judge
from slipway.rules import observation
from slipway.rules.model import Rule
from slipway.rules.pack import SlipwayRules
from slipway.settings import Settings
from specimen.services.catalog.infrastructure import Catalog, Compute, Data, Security
from stacks.foundation import FoundationStack
from stages import foundation_stage

pytestmark = pytest.mark.requirement("the report on the terminal and as a page")

PACKS = ("AwsSolutions", "Serverless")
TODAY = datetime.now(UTC).date()
STACKS = (
    "Pipeline",
    *(
        f"Pipeline/{environment.name}-{stack}"
        for environment in SPECIMEN.environments
        for stack in (
            "foundation/Foundation",
            *(f"catalog/{kind}" for kind in ("Security", "Data", "Compute", "Observability")),
        )
    ),
)
# Server access logs, TLS and public access in the packs' names
PLANTED_RULES = {"AwsSolutions-S1", "AwsSolutions-S2", "AwsSolutions-S10"}


def plant(stack: Stack) -> None:
    """Add an unencrypted public bucket to a stack."""
    aws_s3.CfnBucket(
        stack,
        "Planted",
        access_control="PublicRead",
        public_access_block_configuration=aws_s3.CfnBucket.PublicAccessBlockConfigurationProperty(
            block_public_acls=False, block_public_policy=False, ignore_public_acls=False, restrict_public_buckets=False
        ),
    )


class PlantedCatalog(Catalog):
    """The service with the fault in each of its stacks."""

    def add_security(self, stack: Stack) -> Security:
        plant(stack)
        return super().add_security(stack)

    def add_data(self, stack: Stack, security: Security) -> Data:
        plant(stack)
        return super().add_data(stack, security)

    def add_compute(self, stack: Stack, security: Security, data: Data, verification: VerificationRole) -> Compute:
        plant(stack)
        return super().add_compute(stack, security, data, verification)

    def add_observability(self, stack: Stack, security: Security, data: Data, compute: Compute) -> None:
        plant(stack)
        super().add_observability(stack, security, data, compute)


class PlantedFoundation(FoundationStack):
    """The foundation with the fault."""

    def __init__(self, scope: Any, **settings: Any) -> None:
        super().__init__(scope, **settings)
        plant(self)


@dataclass(frozen=True)
class Run:
    """The output of a run of `app.py`."""

    exit_code: int
    verdict: Verdict
    report: Path
    baseline: Path


def run(outdir: Path, *, planted: bool) -> Run:
    """Run the app over stand-in assets, with the fault in every stack or without it, for a new baseline."""
    report, baseline = outdir.with_name("report"), outdir.parent / SHARED
    build = entry.Delivery.build
    delivery = entry.Delivery(pipeline=PipelineStack, services=(PlantedCatalog if planted else Catalog,))

    def build_here(self: entry.Delivery, settings: Settings, _: AssetStore) -> App:
        app = build(self, settings, assets(), outdir=str(outdir))
        if planted:
            pipeline = app.node.find_child("Pipeline")
            assert isinstance(pipeline, Stack)
            plant(pipeline)
        return app

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry.Delivery, "build", build_here)
        patch.setattr(entry, "REPORT", report)
        patch.setattr(entry, "BASELINE", outdir.parent)
        if planted:
            patch.setattr(foundation_stage, "FoundationStack", PlantedFoundation)
        exit_code = delivery.main(["--baseline"])
    return Run(exit_code, judge(outdir, packs_of(SPECIMEN), today=TODAY), report, baseline)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("planted") / "cdk.out", planted=True)


@pytest.mark.parametrize("stack", STACKS)
def test_unencrypted_public_bucket_fails_in_every_stack(planted: Run, stack: str) -> None:
    found = {finding.rule for finding in planted.verdict.findings if finding.path == f"{stack}/Planted"}

    assert planted.verdict.red
    assert found >= PLANTED_RULES
    # And in prod, where five packs are active, each pack with rules about buckets finds it
    packs = {finding.pack for finding in planted.verdict.findings if finding.stack == stack}
    assert packs >= {*packs_of(SPECIMEN)(stack)} - {"Serverless", "Slipway", "OnlyAws"}
    # And this project's rules find what violates the environment's configuration, and resources in the wrong stack
    assert ("Slipway-StatefulRetained" in found) is ("/dev-" not in stack)
    assert ("Slipway-StatefulApart" in found) is not stack.endswith(("Pipeline", "Security", "Data"))


def test_only_the_planted_buckets_are_found(planted: Run) -> None:
    # A stack that contains a bucket must also be protected as a whole
    found = {finding.path for finding in planted.verdict.findings if finding.rule != "Slipway-StatefulStackProtected"}
    assert found == {f"{stack}/Planted" for stack in STACKS}
    assert {finding.stack for finding in planted.verdict.findings} == set(STACKS)
    assert planted.verdict.faults == ()


def test_app_exits_with_verdict_in_every_format(planted: Run) -> None:
    assert planted.exit_code == 1
    for name in ("nag.html", "nag.json", "nag.sarif", "nag.xml"):
        text = (planted.report / name).read_text(encoding="utf-8")
        assert all(stack in text for stack in STACKS), name


def test_a_red_gate_writes_no_new_baseline(planted: Run) -> None:
    assert not planted.baseline.exists()


def test_a_partial_run_writes_no_new_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLIPWAY_SERVICES", "catalog")
    monkeypatch.setattr(entry, "BASELINE", tmp_path)

    assert entry.Delivery(pipeline=PipelineStack, services=(Catalog,)).main(["--baseline"]) == 2
    assert not (tmp_path / SHARED).exists()
    assert capsys.readouterr().err == "SLIPWAY_SERVICES = 'catalog': a baseline needs every service; unset it\n"


def test_a_partial_run_keeps_the_configured_waves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Given two waves, and a run limited to the service in the second
    settings = pipeline_settings(waves=[["tiny"], ["catalog"]])
    delivery = entry.Delivery(pipeline=PipelineStack, services=(Tiny, Catalog))
    monkeypatch.setenv("SLIPWAY_SERVICES", "catalog")

    assembly = delivery.build(settings, assets(), outdir=str(tmp_path / "cdk.out")).synth()

    names = {stack.name for stack in read_stacks(Path(assembly.directory))}
    assert any("-catalog-" in name for name in names)
    assert not any("-tiny-" in name for name in names)


@pytest.mark.requirement("gates before any account")
def test_the_committed_app_is_green(tmp_path: Path) -> None:
    committed = run(tmp_path / "cdk.out", planted=False)

    assert committed.exit_code == 0
    assert committed.verdict.findings == ()
    assert committed.verdict.faults == ()
    assert committed.verdict.stacks == tuple(sorted(STACKS))
    # And prod is judged by all five packs, by the rules about AWS's behaviour, and by this project's rules
    assert {*committed.verdict.judged["Pipeline/prod-catalog/Data"]} >= {*EVERY_PACK, "OnlyAws", "Slipway"}
    # And the accepted findings are counted
    assert (
        sum(json.loads(committed.baseline.read_text(encoding="utf-8"))["catalog"]["slipway/blocks/bucket.py"].values())
        > 0
    )


# --- What could be green by mistake, on an app with one bucket ------------------------------------------------------


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(outdir=str(tmp_path / "cdk.out"), post_cli_context=CONTEXT, builtin_cloud_formation_validation=False)


@pytest.fixture
def bucket(app: App) -> aws_s3.CfnBucket:
    return aws_s3.CfnBucket(Stack(app, "Only"), "Bucket")


REASON = "It holds the test's own data and goes with it."
LATER = TODAY + timedelta(days=100)


def accept(bucket: aws_s3.CfnBucket, expires: date = LATER) -> None:
    rules = ["AwsSolutions-S1", "AwsSolutions-S10"]
    acknowledge(bucket, rule=rules, reason=REASON, expires=expires, owner="tests")


def judged(app: App) -> Verdict:
    return judge(Path(app.synth().directory), everywhere(PACKS), today=TODAY)


def faults(verdict: Verdict) -> list[str]:
    return [f"{fault.place}: {fault.message}" for fault in verdict.faults]


def test_full_acknowledgement_is_green_and_keeps_reasons(app: App, bucket: aws_s3.CfnBucket) -> None:
    accept(bucket)
    register(app, everywhere(PACKS))

    verdict = judged(app)

    assert not verdict.red
    assert {one.rule for one in verdict.acknowledgements} == {"AwsSolutions-S1", "AwsSolutions-S10"}
    assert {one.owner for one in verdict.acknowledgements} == {"tests"}


def test_an_expired_acknowledgement_is_red(app: App, bucket: aws_s3.CfnBucket) -> None:
    accept(bucket, expires=date(2026, 1, 1))
    register(app, everywhere(PACKS))

    assert any("expired on 2026-01-01" in fault for fault in faults(judged(app)))


def test_a_bare_acknowledgement_on_the_resource_is_red(app: App, bucket: aws_s3.CfnBucket) -> None:
    for rule in ("AwsSolutions-S1", "AwsSolutions-S10"):
        Validations.of(bucket).acknowledge(Acknowledgment(id=rule, reason="fine"))
    register(app, everywhere(PACKS))

    verdict = judged(app)

    assert verdict.findings == ()
    assert [fault.place for fault in verdict.faults] == ["Only/Bucket", "Only/Bucket"]


def test_a_bare_acknowledgement_on_the_app_is_red(app: App, bucket: aws_s3.CfnBucket) -> None:
    accept(bucket)
    Validations.of(app).acknowledge(Acknowledgment(id="Serverless-LambdaDLQ", reason="fine"))
    register(app, everywhere(PACKS))

    (fault,) = faults(judged(app))

    assert fault.startswith("app: Serverless-LambdaDLQ is acknowledged by its unqualified id")


def test_acknowledgement_of_missing_construct_fails_with_its_line(app: App, bucket: aws_s3.CfnBucket) -> None:
    accept(bucket)
    acknowledge(bucket, rule="AwsSolutions-S2", reason=REASON, expires=LATER, owner="tests")
    register(app, everywhere(PACKS))

    (fault,) = judged(app).faults

    assert re.fullmatch(r"(\S+/)?infrastructure/test_gate_nag\.py:\d+", fault.place)
    assert fault.message.endswith("AwsSolutions-S2 no longer suppresses anything; remove it: Only/Bucket")


@pytest.mark.parametrize("nested", [False, True])
def test_acknowledgement_on_stage_or_app_covers_everything_below(app: App, nested: bool) -> None:
    # Given a stage, directly in the app or within a stack, like a pipeline's stages
    above: Construct = app
    if nested:
        above = Stack(app, "Pipeline")
        CfnResource(above, "Handle", type="AWS::CloudFormation::WaitConditionHandle")
    stage = Stage(above, "dev-catalog")
    aws_s3.CfnBucket(Stack(stage, "Data"), "Bucket")
    given = [(stage, "AwsSolutions-S1"), (app, "AwsSolutions-S10"), (stage, "AwsSolutions-SQS3")]
    for construct, rule in given:
        acknowledge(construct, rule=rule, reason=REASON, expires=LATER, owner="tests")
    register(app, everywhere(PACKS))

    verdict = judged(app)

    assert verdict.findings == ()
    (fault,) = verdict.faults
    assert fault.message.endswith(f"AwsSolutions-SQS3 no longer suppresses anything; remove it: {stage.node.path}")


NESTED = ("Pipeline", "Pipeline/dev-catalog/Data", "Pipeline/prod-catalog/Data")


@pytest.mark.parametrize("wanted", NESTED)
def test_stages_pack_judges_it_and_leaves_its_sentinel(app: App, wanted: str) -> None:
    # Given a pipeline's stack with two stages, each with the same fault
    pipeline = Stack(app, "Pipeline")
    for stack in (pipeline, *(Stack(Stage(pipeline, name), "Data") for name in ("dev-catalog", "prod-catalog"))):
        aws_s3.CfnBucket(stack, "Bucket")

    # When a pack is active for one of them
    def only(stack: str) -> tuple[str, ...]:
        return ("PCI.DSS.321",) if stack == wanted else ()

    register(app, only)
    assembly = Path(app.synth().directory)

    # Then its findings are reported
    verdict = judge(assembly, only, today=TODAY)
    assert {finding.stack for finding in verdict.findings} == {wanted}
    assert verdict.faults == ()
    # And if the pack is required elsewhere, the missing judgement is reported
    missed = judge(assembly, everywhere(["PCI.DSS.321"]), today=TODAY).faults
    assert {fault.message for fault in missed} == {f"did not judge {stack}" for stack in NESTED if stack != wanted}


def test_a_qualified_acknowledgement_without_owner_is_red(app: App, bucket: aws_s3.CfnBucket) -> None:
    for rule in ("AwsSolutions-S1", "AwsSolutions-S10"):
        Validations.of(bucket).acknowledge(Acknowledgment(id=f"AwsSolutions::{rule}", reason="fine"))
    register(app, everywhere(PACKS))

    assert len([fault for fault in faults(judged(app)) if "without owner, expiry and place" in fault]) == 2


def test_a_lone_warning_is_red_also_beside_an_acknowledgement(app: App, bucket: aws_s3.CfnBucket) -> None:
    accept(bucket)
    Annotations.of(bucket).add_warning_v2("test:careful", "This is a warning.")
    register(app, everywhere(PACKS))

    (finding,) = judged(app).findings

    assert (finding.rule, finding.severity) == ("Annotation::test:careful", "warning")


def test_a_pack_that_was_not_registered_is_red(app: App, bucket: aws_s3.CfnBucket) -> None:
    accept(bucket)
    register(app, everywhere(["AwsSolutions"]))

    assert faults(judged(app)) == ["Serverless: left no trace of having run"]


def test_an_app_that_nothing_judges_is_red(app: App, bucket: aws_s3.CfnBucket) -> None:
    assert faults(judged(app)) == ["validation-report.json: is missing: no rule has run"]


def test_an_app_without_the_gate_is_red(tmp_path: Path) -> None:
    # Given an app with only CDK's own checks
    app = App(outdir=str(tmp_path / "cdk.out"), post_cli_context=CONTEXT)
    aws_s3.CfnBucket(Stack(app, "Only"), "Bucket")

    assert len([fault for fault in faults(judged(app)) if "no trace of having run" in fault]) == len(PACKS) + 1


def test_a_pack_that_sees_nothing_is_red(app: App, bucket: aws_s3.CfnBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(ServerlessChecks):
        def validate_scope(self, scope: Any) -> PolicyValidationPluginReport:
            return PolicyValidationPluginReport(success=True, violations=[])

        def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
            return PolicyValidationPluginReport(success=True, violations=[])

    accept(bucket)
    monkeypatch.setitem(nag_packs._PACKS, "Serverless", Blind)
    register(app, everywhere(PACKS))

    said = faults(judged(app))

    assert "Serverless: left no trace of having run" in said
    assert any("Serverless finds nothing in a stack that breaks its rules" in fault for fault in said)


# --- This project's rules --------------------------------------------------------------------------------------------


OWN = everywhere([*PACKS, "Slipway"])


def own_rules(*rules: Rule) -> list[SlipwayRules]:
    return [SlipwayRules(SPECIMEN, entry.RUNBOOKS, rules or observation.RULES)]


def alarm(app: App) -> aws_cloudwatch.CfnAlarm:
    """Create an alarm without actions, in the pipeline's account."""
    return aws_cloudwatch.CfnAlarm(
        Stack(app, "Alarms"), "Alarm", comparison_operator="GreaterThanThreshold", evaluation_periods=1, metric_name="x"
    )


def test_our_own_rules_judge_what_was_synthesised(app: App) -> None:
    alarm(app)
    register(app, OWN, own=own_rules())

    verdict = judge(Path(app.synth().directory), OWN, today=TODAY)

    assert {(finding.rule, finding.path) for finding in verdict.findings if finding.pack == "Slipway"} == {
        ("Slipway-AlarmActs", "Alarms/Alarm"),
        ("Slipway-AlarmHasRunbook", "Alarms/Alarm"),
    }
    assert verdict.faults == ()


def test_our_own_rules_judge_nested_stacks(app: App) -> None:
    # Given an alarm without actions in a nested stack, acknowledged for one of two rules
    nested = NestedStack(Stack(app, "Alarms"), "Nested")
    planted = aws_cloudwatch.CfnAlarm(
        nested, "Alarm", comparison_operator="GreaterThanThreshold", evaluation_periods=1, metric_name="x"
    )
    acknowledge(planted, rule="Slipway-AlarmActs", reason=REASON, expires=LATER, owner="tests")
    register(app, OWN, own=own_rules())

    # When it is judged
    verdict = judge(Path(app.synth().directory), OWN, today=TODAY)

    # Then the other finding is reported, on the construct in the nested stack
    found = [(finding.rule, finding.path) for finding in verdict.findings if finding.pack == "Slipway"]
    assert found == [("Slipway-AlarmHasRunbook", "Alarms/Nested/Alarm")]
    assert [one.rule for one in verdict.acknowledgements] == ["Slipway-AlarmActs"]
    assert verdict.faults == ()


def test_findings_of_our_rules_can_be_acknowledged(app: App) -> None:
    rules = ["Slipway-AlarmActs", "Slipway-AlarmHasRunbook", "Slipway-LogGroupKept"]
    acknowledge(alarm(app), rule=rules, reason=REASON, expires=LATER, owner="tests")
    register(app, OWN, own=own_rules())

    verdict = judge(Path(app.synth().directory), OWN, today=TODAY)

    assert not [finding for finding in verdict.findings if finding.pack == "Slipway"]
    assert {one.rule for one in verdict.acknowledgements} == {"Slipway-AlarmActs", "Slipway-AlarmHasRunbook"}
    (fault,) = verdict.faults
    assert "Slipway-LogGroupKept no longer suppresses anything" in fault.message


def test_missing_run_of_our_own_rules_is_reported(app: App, bucket: aws_s3.CfnBucket) -> None:
    accept(bucket)
    register(app, OWN)

    assert faults(judge(Path(app.synth().directory), OWN, today=TODAY)) == ["Slipway: left no trace of having run"]


def test_a_rule_that_sees_nothing_is_red(app: App, bucket: aws_s3.CfnBucket) -> None:
    accept(bucket)
    register(app, OWN, own=own_rules(Rule(name="Blind", says="", fix="", check=lambda _: ())))

    said = faults(judge(Path(app.synth().directory), OWN, today=TODAY))

    assert "Slipway: left no trace of having run" in said
    assert any("Slipway-Blind: finds nothing in a stack that breaks the rule" in fault for fault in said)


# --- The report -------------------------------------------------------------------------------------------------------


def test_a_missing_report_is_red(app: App, bucket: aws_s3.CfnBucket) -> None:
    accept(bucket)
    register(app, everywhere(PACKS))
    assembly = Path(app.synth().directory)
    (assembly / "validation-report.json").unlink()

    assert faults(judge(assembly, everywhere(PACKS), today=TODAY)) == [
        "validation-report.json: is missing: no rule has run"
    ]


def test_the_report_of_an_earlier_synth_is_red(app: App, bucket: aws_s3.CfnBucket, tmp_path: Path) -> None:
    accept(bucket)
    register(app, everywhere(PACKS))
    assembly = Path(app.synth().directory)
    template = assembly / "Only.template.json"
    changed = json.loads(template.read_text())
    changed["Resources"]["Bucket"]["Properties"] = {"AccessControl": "PublicRead"}
    template.write_text(json.dumps(changed))

    assert any(
        "judged a template of Only" in fault for fault in faults(judge(assembly, everywhere(PACKS), today=TODAY))
    )


def test_an_invalid_template_is_red(app: App) -> None:
    accept(aws_s3.CfnBucket(Stack(app, "Only"), "Bucket", bucket_name="UPPER_case"))
    register(app, everywhere(PACKS))

    (finding,) = judged(app).findings

    assert (finding.rule, finding.path) == ("F3031", "Only/Bucket")


def test_additional_template_checks_of_the_app_fail(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path / "cdk.out"), post_cli_context=CONTEXT)
    bucket = aws_s3.CfnBucket(Stack(app, "Only"), "Bucket")
    bucket.add_property_override("Nope", 1)
    accept(bucket)
    register(app, everywhere(PACKS))

    (fault,) = faults(judged(app))

    assert fault.startswith("CloudFormation Validate: judged 2 times")


def test_app_that_would_raise_or_print_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="failSynthOnValidationErrors"):
        register(App(outdir=str(tmp_path)), everywhere(PACKS))


# The CLI runs the app with CDK_APP_MODE=process, plain Python sets nothing, and pytest is recognised by its variables
SCRIPT = """
import sys
from datetime import date
from pathlib import Path
from aws_cdk import App, Stack, aws_s3
from slipway.nag.names import everywhere
from slipway.nag.packs import CONTEXT, register
from slipway.nag.terminal import print_report
from slipway.nag.verdict import judge

app = App(post_cli_context=CONTEXT)
aws_s3.CfnBucket(Stack(app, "Only"), "Bucket")
packs = everywhere(["AwsSolutions", "Serverless"])
register(app, packs)
verdict = judge(Path(app.synth().directory), packs, today=date(2027, 1, 1))
print_report(verdict)
sys.exit(7 if verdict.red else 0)
"""


@pytest.mark.parametrize("mode", ["process", None])
def test_gate_is_the_only_judge(tmp_path: Path, mode: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"CDK_OUTDIR": str(tmp_path / "cdk.out"), "CDK_VALIDATION": "false"}
    if mode:
        environment["CDK_APP_MODE"] = mode

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        cwd=entry.CDK_JSON.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 7, done.stderr
    assert "nag gate RED: 2 findings, 0 faults" in done.stderr
    assert done.stderr.count("AwsSolutions-S10") == 3  # in the rule, the advice and the last line
    assert done.stdout == ""
