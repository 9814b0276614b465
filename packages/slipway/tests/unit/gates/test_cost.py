"""The estimate adds up the prices of a template's resources, and refuses resources without a known price."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from slipway.cost import CostError, Estimate, estimate, load_prices, markdown, read_assembly, unknown_types
from slipway.cost.assembly import PIPELINE
from slipway.cost.prices import PRICES_FILE
from slipway.cost.scope import Per
from unit.typed import typed

Resources = dict[str, Any]


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def write_assembly(
    folder: Path, resources: Resources, *, stage: str | None = "dev-shop", region: str = "us-east-1", **template: Any
) -> Path:
    """An assembly with one stack, in a stage, or with `stage=None` at the root as the pipeline's."""
    inner = folder if stage is None else folder / f"assembly-Pipeline-{stage}"
    inner.mkdir(parents=True)
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": f"aws://111111111111/{region}",
        "properties": {"templateFile": "S.template.json", "stackName": "the-stack"},
    }
    (inner / "manifest.json").write_text(json.dumps({"artifacts": {"S": stack, "S.assets": {"type": "other"}}}))
    (inner / "S.template.json").write_text(json.dumps({"Resources": resources, **template}))
    if stage is not None:
        nested = {
            "type": "cdk:cloud-assembly",
            "properties": {"directoryName": inner.name, "displayName": f"Pipeline/{stage}"},
        }
        (folder / "manifest.json").write_text(json.dumps({"artifacts": {"N": nested}}))
    return folder


def priced(folder: Path, resources: Resources, *changes: str, **options: Any) -> Estimate:
    stacks = read_assembly(write_assembly(folder / "cdk.out", resources, **options))
    return estimate(stacks, load_prices(overrides=changes))


def lines(found: Estimate, per: Per) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for line in found.lines:
        if line.charge.per is per:
            what = f"{line.charge.aws}: {line.charge.what}"
            sums[what] = sums.get(what, Decimal(0)) + line.charge.usd
    return sums


API = {
    "Api": resource("ApiGateway::RestApi"),
    "Get": resource(
        "ApiGateway::Method",
        RestApiId={"Ref": "Api"},
        Integration={"Uri": {"Fn::Join": ["", ["arn:", {"Ref": "Live"}, "/invocations"]]}},
    ),
    "Options": resource("ApiGateway::Method", RestApiId={"Ref": "Api"}, Integration={"Type": "MOCK"}),
    "Handler": resource(
        "Lambda::Function",
        MemorySize=512,
        Architectures=["arm64"],
        LoggingConfig={"LogGroup": {"Ref": "Logs"}},
    ),
    "Live": resource("Lambda::Alias", FunctionName={"Ref": "Handler"}),
    "Logs": resource("Logs::LogGroup", RetentionInDays=30),
}


def test_fixed_costs_are_monthly(tmp_path: Path) -> None:
    # Given a rotated key in its first year, a secret, a dashboard, and alarms of each resolution
    found = priced(
        tmp_path,
        {
            "Key": resource("KMS::Key", EnableKeyRotation=True),
            "Secret": resource("SecretsManager::Secret"),
            "Dashboard": resource("CloudWatch::Dashboard"),
            "Plain": resource("CloudWatch::Alarm", Period=60),
            "Fine": resource("CloudWatch::Alarm", Period=10),
            "Math": resource(
                "CloudWatch::Alarm",
                Metrics=[
                    {"Id": "a", "MetricStat": {"Period": 60}},
                    {"Id": "b", "MetricStat": {"Period": 60}},
                    {"Id": "c", "Expression": "a/b"},
                ],
            ),
            "Both": resource("CloudWatch::CompositeAlarm"),
        },
    )

    # Then each has its price; an alarm on metric math costs as much as its two metrics
    assert lines(found, Per.MONTH) == {
        "KMS: keys": Decimal("1.00"),
        "Secrets Manager: secrets": Decimal("0.40"),
        "CloudWatch: dashboards": Decimal("3.00"),
        "CloudWatch: alarms": Decimal("0.30"),
        "CloudWatch: alarms, high resolution": Decimal("0.30"),
        "CloudWatch: alarms, composite": Decimal("0.50"),
    }
    assert found.monthly("dev", "shop") == Decimal("5.50")


def test_a_rotated_key_costs_more_once_it_has_rotated(tmp_path: Path) -> None:
    found = priced(tmp_path, {"Key": resource("KMS::Key", EnableKeyRotation=True)}, "key_rotations=2")

    assert found.amount(Per.MONTH) == Decimal("3.00")


def test_requests_cost_the_api_and_its_function(tmp_path: Path) -> None:
    # Given an API with one function and no distribution in front of it
    found = priced(
        tmp_path,
        API,
        "api_duration_ms=100",
        "function_log_bytes=1000",
        "log_storage_ratio=0",
        "response_bytes=1000",
    )

    # Then a million requests reach both: 1,000,000 x 0.1 s x 0.5 GB = 50,000 GB-s, 1 GB of logs, 1 GB sent
    assert lines(found, Per.MILLION_REQUESTS) == {
        "API Gateway: REST requests": Decimal("3.50"),
        "API Gateway: data out": Decimal("0.09"),
        "Lambda: requests": Decimal("0.20"),
        "Lambda: duration": Decimal("0.0000133334") * 50_000,
        "CloudWatch: logs": Decimal("0.50"),
    }


def test_a_scheduled_function_costs_what_its_rule_invokes(tmp_path: Path) -> None:
    # Given a function with a rule every five minutes, and one with a schedule that cannot be read
    resources = {
        "Asks": resource("Lambda::Function", MemorySize=512, Architectures=["arm64"]),
        "Live": resource("Lambda::Alias", FunctionName={"Ref": "Asks"}),
        "Often": resource("Events::Rule", ScheduleExpression="rate(5 minutes)", Targets=[{"Arn": {"Ref": "Live"}}]),
        "Daily": resource("Events::Rule", ScheduleExpression="cron(0 5 * * ? *)", Targets=[{"Arn": {"Ref": "Live"}}]),
    }
    found = lines(priced(tmp_path, resources, "event_duration_ms=1000"), Per.MONTH)

    # Then 730 hours have 8,760 runs of one second with 0.5 GB each
    assert found["Lambda: requests"] == Decimal("0.20") * 8_760 / 1_000_000
    assert found["Lambda: duration"] == Decimal("0.0000133334") * 4_380


def test_the_edge_keeps_cached_reads_from_the_api(tmp_path: Path) -> None:
    # Given a distribution that serves only reads, traffic of nine reads per write, and half of the reads cached
    edge = resource(
        "CloudFront::Distribution",
        DistributionConfig={"DefaultCacheBehavior": {"AllowedMethods": ["GET", "HEAD"]}},
    )
    changes = ("read_share=0.9", "cache_hit_ratio=0.5", "response_bytes=0")
    found = lines(priced(tmp_path, {**API, "Edge": edge}, *changes), Per.MILLION_REQUESTS)

    # Then the edge gets 900,000 requests, and the API 450,000 reads and 100,000 writes
    assert found["CloudFront: requests"] == Decimal("0.90")
    assert found["API Gateway: REST requests"] == Decimal("3.50") * Decimal("0.55")


def test_stored_logs_are_priced_by_their_retention(tmp_path: Path) -> None:
    changes = ("function_log_bytes=1000", "log_storage_ratio=0.152")
    found = lines(priced(tmp_path, API, *changes), Per.MILLION_REQUESTS)

    # 1 GB ingested, and 0.152 GB stored for 30 days of 30.4
    assert found["CloudWatch: logs"] == Decimal("0.50") + Decimal("0.15") * Decimal("0.03")


def test_every_option_of_an_api_is_priced(tmp_path: Path) -> None:
    # Given a stage with execution and access logs, traces, detailed metrics and a cache
    stage = resource(
        "ApiGateway::Stage",
        RestApiId={"Ref": "Api"},
        MethodSettings=[{"LoggingLevel": "INFO", "MetricsEnabled": True}],
        AccessLogSetting={"DestinationArn": {"Fn::GetAtt": ["Logs", "Arn"]}},
        TracingEnabled=True,
        CacheClusterEnabled=True,
        CacheClusterSize="0.5",
    )
    changes = (
        "log_storage_ratio=0",
        "function_log_bytes=0",
        "access_log_bytes=1000",
        "execution_log_bytes=1000",
        "trace_share=0.1",
    )
    found = priced(tmp_path, {**API, "Stage": stage}, *changes)

    # Then two methods have five metrics each, and each request leaves 2 kB of logs and a tenth of a trace
    assert lines(found, Per.MONTH) == {
        "CloudWatch: metrics by API method": Decimal("3.00"),
        "API Gateway: cache": Decimal("14.60"),
    }
    per_million = lines(found, Per.MILLION_REQUESTS)
    assert per_million["CloudWatch: logs"] == Decimal("1.00")
    assert per_million["X-Ray: traces"] == Decimal("0.50")


def test_provisioned_tables_cost_minimum_and_scaling_alarms(tmp_path: Path) -> None:
    # Given a table of 5 read and 5 write units that scales from 2, with an index of 1 and 1 that does not scale
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    index = {"IndexName": "by-date", "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}
    target = resource(
        "ApplicationAutoScaling::ScalableTarget",
        MinCapacity=2,
        ResourceId={"Fn::Join": ["", ["table/", {"Ref": "Table"}]]},
        ScalableDimension="dynamodb:table:ReadCapacityUnits",
    )
    policy = resource(
        "ApplicationAutoScaling::ScalingPolicy",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}
        },
    )
    table = resource(
        "DynamoDB::Table",
        ProvisionedThroughput=units,
        GlobalSecondaryIndexes=[index],
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    found = priced(tmp_path, {"Table": table, "Target": target, "Policy": policy}, "stored_gb_per_table=2")

    # Then 3 read and 6 write units cost 730 hours, plus 2 GB with recovery, and four alarms
    assert lines(found, Per.MONTH) == {
        "DynamoDB: provisioned capacity": (3 * Decimal("0.00013") + 6 * Decimal("0.00065")) * 730,
        "DynamoDB: storage": Decimal("0.50"),
        "DynamoDB: point-in-time recovery": Decimal("0.40"),
        "CloudWatch: alarms of auto scaling": Decimal("0.40"),
    }


def test_tables_on_demand_cost_by_the_write_and_its_indexes(tmp_path: Path) -> None:
    # Given a table with one index, and an API of which one request in ten writes
    table = resource("DynamoDB::Table", BillingMode="PAY_PER_REQUEST", GlobalSecondaryIndexes=[{"IndexName": "a"}])
    changes = ("read_share=0.9", "read_units_per_read=0.5", "write_units_per_write=1")
    found = lines(priced(tmp_path, {**API, "Table": table}, *changes), Per.MILLION_REQUESTS)

    assert found["DynamoDB: write requests"] == Decimal("0.625") * Decimal("0.2")
    assert found["DynamoDB: read requests"] == Decimal("0.125") * Decimal("0.45")


def test_provisioned_concurrency_is_priced_at_its_minimum(tmp_path: Path) -> None:
    target = resource(
        "ApplicationAutoScaling::ScalableTarget",
        MinCapacity=2,
        ResourceId={"Fn::Join": ["", ["function:", {"Fn::Select": [6, {"Fn::Split": [":", {"Ref": "Live"}]}]}]]},
        ScalableDimension="lambda:function:ProvisionedConcurrency",
    )
    found = lines(priced(tmp_path, {**API, "Target": target}), Per.MONTH)

    # 2 x 0.5 GB x 730 h x 3600 s
    assert found["Lambda: provisioned concurrency"] == Decimal("0.0000033334") * 2_628_000


def test_snapshot_is_priced_by_month_and_by_restore(tmp_path: Path) -> None:
    handler = resource(
        "Lambda::Function", MemorySize=512, Architectures=["arm64"], SnapStart={"ApplyOn": "PublishedVersions"}
    )
    estimate = priced(tmp_path, {**API, "Handler": handler}, "cold_start_share=0.01")

    # 0.5 GB x 730 h x 3600 s, and 0.5 GB for each of 10,000 starts
    assert lines(estimate, Per.MONTH)["Lambda: snapshots"] == Decimal("0.0000015046") * 1_314_000
    restored = lines(estimate, Per.MILLION_REQUESTS)["Lambda: starts from snapshots"]
    assert restored == Decimal("0.0001397998") * 5_000


def test_no_snapshot_costs_nothing(tmp_path: Path) -> None:
    estimate = priced(tmp_path, API)

    assert not [name for per in Per for name in lines(estimate, per) if "snapshot" in name]


def test_created_items_reach_stream_bucket_and_topic(tmp_path: Path) -> None:
    # Given a function behind a filtered stream; one request in ten writes, and half of the writes create an item
    resources = {
        **API,
        "Reader": resource("Lambda::Function"),
        "Mapping": resource(
            "Lambda::EventSourceMapping", FunctionName={"Ref": "Reader"}, FilterCriteria={"Filters": []}
        ),
        "Bucket": resource("S3::Bucket"),
        "Topic": resource("SNS::Topic", FifoTopic=True),
    }
    changes = ("read_share=0.9", "create_share=0.5", "message_bytes=1000", "stored_gb_per_bucket=0")
    found = lines(priced(tmp_path, resources, *changes), Per.MILLION_REQUESTS)

    # Then 50,000 of a million are passed on: 1,050,000 invocations, 50,000 objects, and messages of 0.05 GB
    assert found["Lambda: requests"] == Decimal("0.20") * Decimal("1.05")
    assert found["S3: PUT requests"] == Decimal("0.25")
    assert found["SNS: publishes"] == Decimal("0.015") + Decimal("0.017") * Decimal("0.05")


def test_dead_letter_queue_is_free_and_polls_are_priced(tmp_path: Path) -> None:
    resources = {
        **API,
        "Dead": resource("SQS::Queue"),
        "Work": resource("SQS::Queue", RedrivePolicy={"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}}),
        "Worker": resource("Lambda::Function"),
        "Mapping": resource(
            "Lambda::EventSourceMapping",
            FunctionName={"Ref": "Worker"},
            EventSourceArn={"Fn::GetAtt": ["Work", "Arn"]},
        ),
    }
    found = priced(tmp_path, resources, "read_share=0.5", "queue_requests_per_message=3")

    # 500,000 messages x 3 requests; five pollers with polls of 20 s make 657,000 requests per month
    assert lines(found, Per.MILLION_REQUESTS)["SQS: requests"] == Decimal("0.60")
    assert lines(found, Per.MONTH)["SQS: empty polls"] == Decimal("0.40") * Decimal("0.657")


def test_web_acl_costs_rules_and_inspected_requests(tmp_path: Path) -> None:
    managed = {
        "Statement": {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}}
    }
    acl = resource("WAFv2::WebACL", Scope="REGIONAL", Rules=[managed, {"Statement": {"RateBasedStatement": {}}}])
    found = priced(tmp_path, {**API, "Acl": acl})

    assert found.amount(Per.MONTH) - priced(tmp_path / "without", API).amount(Per.MONTH) == Decimal(7)
    assert lines(found, Per.MILLION_REQUESTS)["WAF: requests"] == Decimal("0.60")


def pipeline(**extra: Any) -> Resources:
    def action(provider: str, **configuration: Any) -> dict[str, Any]:
        return {
            "Name": provider,
            "ActionTypeId": {"Provider": provider, "Owner": "AWS"},
            "Configuration": configuration,
        }

    build = resource(
        "CodeBuild::Project", Environment={"Type": "LINUX_CONTAINER", "ComputeType": "BUILD_GENERAL1_MEDIUM"}
    )
    actions = [
        action("CodeBuild", ProjectName={"Ref": "Build"}),
        action("CloudFormation"),
        action("CloudFormation"),
        action("Manual"),
    ]
    spine = resource("CodePipeline::Pipeline", Stages=[{"Actions": actions}], **extra)
    return {"Build": build, "Spine": spine}


def test_pipeline_costs_minutes_of_actions_and_builds(tmp_path: Path) -> None:
    # Given a build of 5 minutes, two deployments of 3 minutes, and an approval
    changes = ("build_minutes=5", "action_minutes.CloudFormation=3", "build_log_mb=0", "runs_per_month=10")
    found = priced(tmp_path, pipeline(PipelineType="V2"), *changes, stage=None)

    # Then a run costs 5 build minutes and 11 action minutes: waiting for approval is free
    assert found.amount(Per.RUN, PIPELINE) == Decimal("0.05") + Decimal("0.022")
    assert found.monthly(PIPELINE) == Decimal("0.72")


def test_a_pipeline_of_type_v1_costs_by_the_month(tmp_path: Path) -> None:
    found = priced(tmp_path, pipeline(), "build_minutes=0", "build_log_mb=0", stage=None)

    assert (found.amount(Per.MONTH), found.amount(Per.RUN)) == (Decimal(1), Decimal(0))


def test_references_reach_other_stacks_through_their_outputs(tmp_path: Path) -> None:
    # Given a log delivery whose bucket is only known through another stack's output
    value = {"Fn::GetStackOutput": {"StackName": "the-stack", "OutputName": "BucketArn"}}
    resources = {
        "Bucket": resource("S3::Bucket"),
        "Destination": resource("Logs::DeliveryDestination", DestinationResourceArn=value, OutputFormat="json"),
    }
    outputs = {"BucketArn": {"Value": {"Fn::GetAtt": ["Bucket", "Arn"]}}}

    # Then it is priced; without the output it cannot be recognised as a bucket, and is refused
    assert priced(tmp_path / "with", resources, Outputs=outputs).lines
    with pytest.raises(CostError, match=r"Destination .*only deliveries to one bucket"):
        priced(tmp_path / "without", resources)


def test_environments_are_identified_by_stage_or_tags(tmp_path: Path) -> None:
    tags = [{"Key": "Environment", "Value": "pre-prod"}, {"Key": "Service", "Value": "shop"}]
    by_stage = priced(tmp_path / "stage", {"Key": resource("KMS::Key")}, stage="dev-my-shop")
    by_tags = priced(tmp_path / "tags", {"Key": resource("KMS::Key", Tags=tags)}, stage="pre-prod-shop")

    assert by_stage.parts == [("dev", "my-shop")]
    assert by_tags.parts == [("pre-prod", "shop")]


@pytest.mark.parametrize(
    "value",
    [
        256,
        "256",
        {"Ref": "Memory"},
        {"Fn::If": ["Big", 256, 128]},
        {"Fn::If": ["Small", {"Ref": "AWS::NoValue"}, 256]},
        {"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "memory"]},
    ],
)
def test_numbers_are_found_through_intrinsic_functions(tmp_path: Path, value: Any) -> None:
    template = {
        "Parameters": {"Memory": {"Type": "Number", "Default": "256"}},
        "Mappings": {"Sizes": {"us-east-1": {"memory": 256}}},
    }
    function = resource("Lambda::Function", MemorySize=value, Architectures=["arm64"])
    changes = ("occasional_invocations_per_month=1000", "occasional_duration_ms=1000")
    found = lines(priced(tmp_path, {"Function": function}, *changes, **template), Per.MONTH)

    assert found["Lambda: duration"] == Decimal("0.0000133334") * 250


@pytest.mark.parametrize("value", [{"Ref": "Unset"}, {"Fn::GetAtt": ["A", "B"]}, True, "many"])
def test_number_known_only_at_deployment_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(CostError, match=r"the-stack: Function\.MemorySize is .*not a number"):
        priced(tmp_path, {"Function": resource("Lambda::Function", MemorySize=value)})


def test_nested_stacks_cost_as_much_as_their_resources(tmp_path: Path) -> None:
    # Given a key in a nested stack, and the same key in a flat one
    key = {"Key": resource("KMS::Key")}
    nested = resource("CloudFormation::Stack", TemplateURL="https://a")
    nested["Metadata"] = {"aws:asset:path": "Inner.nested.template.json"}
    folder = write_assembly(tmp_path / "nested", {"Inner": nested})
    inner = folder / "assembly-Pipeline-dev-shop" / "Inner.nested.template.json"
    inner.write_text(json.dumps({"Resources": key}), encoding="utf-8")

    # When both are estimated
    found = estimate(read_assembly(folder), load_prices())

    # Then they cost the same, and a nested stack whose template is missing is refused
    assert lines(found, Per.MONTH) == lines(priced(tmp_path, key), Per.MONTH)
    inner.unlink()
    with pytest.raises(CostError, match="AWS::CloudFormation::Stack"):
        estimate(read_assembly(folder), load_prices())


def test_an_unknown_type_is_refused_by_its_name(tmp_path: Path) -> None:
    resources = {"Cluster": resource("EKS::Cluster"), "Role": resource("IAM::Role")}
    folder = write_assembly(tmp_path / "cdk.out", resources)

    assert unknown_types(read_assembly(folder)) == ["AWS::EKS::Cluster"]
    with pytest.raises(CostError, match=r"^AWS::EKS::Cluster: no price is known"):
        estimate(read_assembly(folder), load_prices())


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (
            resource(
                "WAFv2::WebACL",
                Rules=[
                    {
                        "Statement": {
                            "ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesATPRuleSet"}
                        }
                    }
                ],
            ),
            "AWSManagedRulesATPRuleSet",
        ),
        (resource("WAFv2::WebACL", Rules={"Fn::If": ["A", [], []]}), "not a list"),
        (resource("DynamoDB::Table", TableClass="STANDARD_INFREQUENT_ACCESS"), "STANDARD_INFREQUENT_ACCESS"),
        (resource("ApiGatewayV2::Api", ProtocolType="WEBSOCKET"), "WEBSOCKET"),
        (resource("CloudWatch::Alarm", Metrics=[{"Expression": "SELECT MAX(a) FROM b"}]), "run time"),
        (
            resource("CodeBuild::Project", Environment={"Type": "LINUX_GPU_CONTAINER", "ComputeType": "HUGE"}),
            r"prices\.codebuild\.minute\.LINUX_GPU_CONTAINER\.HUGE",
        ),
    ],
)
def test_unpriced_kind_of_a_known_type_is_refused(tmp_path: Path, one: dict[str, Any], message: str) -> None:
    with pytest.raises(CostError, match=message):
        priced(tmp_path, {"One": one})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("key = { usd = 1.00", "kye = { usd = 1.00", "prices.kms.key: field required (and 1 more)"),
        ("key = { usd = 1.00", "key = { usd = -1.00", "prices.kms.key.usd: input should be greater than or equal to 0"),
        ("key = { usd = 1.00", 'key = { usd = "1.00"', "prices.kms.key.usd"),
        ("read_share = 0.9", "read_share = 1.9", "assumptions.read_share"),
        ("https://aws.amazon.com/kms/pricing/", "somewhere", "prices.kms.source"),
        ("as_of = 2025-06-01", 'as_of = "lately"', "as_of"),
        ("default = 100_000", "else = 100_000", "assumptions.requests_per_month.default"),
        ("[prices.kms]", "[prices.kms", "is not valid TOML"),
    ],
)
def test_faulty_price_file_is_refused_by_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = PRICES_FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "prices.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(CostError) as raised:
        load_prices(file)

    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("change", ["reads=1", "read_share", "read_share=lots", "read_share=2", "read_share.dev=1"])
def test_a_wrong_assumption_on_the_command_line_is_refused(change: str) -> None:
    with pytest.raises(CostError, match=f"--set {change}"):
        load_prices(overrides=[change])


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    result = typed("cost", str(folder), "--json", str(folder.parent / "build" / "cost.json"), *arguments)
    return result.exit_code, result.stdout, result.stderr


def test_the_command_prints_tables_and_writes_json(tmp_path: Path) -> None:
    folder = write_assembly(tmp_path / "cdk.out", API)

    code, out, _ = run(folder)

    written = json.loads((tmp_path / "build" / "cost.json").read_text())
    assert code == 0
    assert "dev" in out
    assert "API Gateway: REST requests" in out
    assert "2025-06-01" in out
    assert "\x1b" not in out
    assert written["parts"][0]["environment"] == "dev"
    assert written["total_usd_per_month"] == pytest.approx(sum(part["usd_per_month"] for part in written["parts"]))


def test_markdown_is_written_between_its_markers(tmp_path: Path) -> None:
    folder = write_assembly(tmp_path / "cdk.out", API)

    printed = run(folder, "--markdown")[1]

    assert printed == markdown(estimate(read_assembly(folder), load_prices()))
    assert printed.startswith("<!-- cost -->\n")
    assert printed.endswith("<!-- /cost -->\n")


def test_other_regions_are_reported_as_priced_elsewhere(tmp_path: Path) -> None:
    folder = write_assembly(tmp_path / "cdk.out", API, region="eu-west-1")

    assert "eu-west-1 are counted at these prices too" in run(folder)[1]


def test_command_reports_a_fault_in_one_line(tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "nothing")
    assert (code, out) == (2, "")
    said = "manifest.json is missing: not a cloud assembly; `cdk synth` writes one"
    assert err.splitlines() == [f"{tmp_path}/nothing/{said}"]

    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "manifest.json").write_text("{}")
    code, _, err = run(tmp_path / "empty")
    assert code == 2
    assert err.splitlines() == [f"no stack in {tmp_path}/empty: run `make synth`"]
