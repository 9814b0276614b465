"""Tables and buckets."""

from __future__ import annotations

from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import ENVIRONMENTS, SPECIMEN, changed, variants
from slipway.settings import Environment
from slipway.settings.model import Provisioned
from slipway.testing.templates import DeployedTemplates


def _table(deployment: DeployedTemplates, output: str = "TableName") -> dict[str, Any]:
    resource = deployment.behind(deployment.output(output))
    assert resource["Type"] == "AWS::DynamoDB::Table"
    properties: dict[str, Any] = resource["Properties"]
    return properties


def _bucket(deployment: DeployedTemplates, output: str) -> dict[str, Any]:
    resource = deployment.behind(deployment.output(output))
    assert resource["Type"] == "AWS::S3::Bucket"
    properties: dict[str, Any] = resource["Properties"]
    return properties


def _provisioned(environment: Environment) -> bool:
    return isinstance(environment.services.catalog.capacity, Provisioned)


@pytest.fixture(params=["BucketName", "LogBucketName"])
def bucket(request: pytest.FixtureRequest, deployment: DeployedTemplates) -> dict[str, Any]:
    return _bucket(deployment, request.param)


@pytest.mark.requirement("the table")
@pytest.mark.parametrize("output", ["TableName", "IdempotencyTableName"])
def test_tables_have_point_in_time_recovery_in_every_environment(deployment: DeployedTemplates, output: str) -> None:
    recovery = _table(deployment, output)["PointInTimeRecoverySpecification"]

    assert recovery["PointInTimeRecoveryEnabled"] is True


@pytest.mark.requirement("the table")
def test_the_table_streams_new_and_old_images(deployment: DeployedTemplates) -> None:
    assert _table(deployment)["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.mark.requirement("the table")
def test_the_expiry_of_idempotency_records_is_enabled(deployment: DeployedTemplates) -> None:
    expiry = _table(deployment, "IdempotencyTableName")["TimeToLiveSpecification"]

    assert expiry == {"AttributeName": "expiration", "Enabled": True}


@pytest.mark.requirement("items: the item", "a provisioned index that does not scale, one hot partition")
def test_indexes_order_items_by_recency_and_status(deployment: DeployedTemplates) -> None:
    # Given the keys of the table and its indexes
    table = _table(deployment)
    indexes = {
        index["IndexName"]: [(key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]]
        for index in table["GlobalSecondaryIndexes"]
    }

    # Then no index has a single partition for all items: its partition key includes a shard
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == [("id", "HASH")]
    assert indexes == {
        "by-recency": [("shard", "HASH"), ("recency", "RANGE")],
        "by-status": [("status_shard", "HASH"), ("recency", "RANGE")],
    }
    assert {index["Projection"]["ProjectionType"] for index in table["GlobalSecondaryIndexes"]} == {"ALL"}


@pytest.mark.requirement("capacity by configuration")
@pytest.mark.parametrize("deployment", variants(lambda environment: not _provisioned(environment)), indirect=True)
def test_a_table_on_demand_has_neither_throughput_nor_scaling(deployment: DeployedTemplates) -> None:
    table = _table(deployment)

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert "ProvisionedThroughput" not in table
    assert all("ProvisionedThroughput" not in index for index in table["GlobalSecondaryIndexes"])
    assert not deployment["data"].of_type("AWS::ApplicationAutoScaling::ScalableTarget")


@pytest.mark.requirement("capacity by configuration")
@pytest.mark.parametrize("deployment", variants(_provisioned), indirect=True)
def test_a_provisioned_table_starts_with_the_configured_units(deployment: DeployedTemplates) -> None:
    capacity = deployment.environment.services.catalog.capacity
    assert isinstance(capacity, Provisioned)
    table = _table(deployment)

    assert table.get("BillingMode", "PROVISIONED") == "PROVISIONED"
    assert table["ProvisionedThroughput"] == {
        "ReadCapacityUnits": capacity.read,
        "WriteCapacityUnits": capacity.write,
    }
    for index in table["GlobalSecondaryIndexes"]:
        assert index["ProvisionedThroughput"] == {
            "ReadCapacityUnits": capacity.index_read,
            "WriteCapacityUnits": capacity.index_write,
        }


@pytest.mark.requirement("capacity by configuration", "a provisioned index that does not scale, one hot partition")
@pytest.mark.parametrize("deployment", variants(_provisioned), indirect=True)
def test_provisioned_table_and_indexes_scale_reads_and_writes(deployment: DeployedTemplates) -> None:
    capacity = deployment.environment.services.catalog.capacity
    assert isinstance(capacity, Provisioned)
    # Given the scalable targets
    data = deployment["data"]
    scaling: dict[tuple[str, str], tuple[int, int]] = {}
    policies = data.properties_of("AWS::ApplicationAutoScaling::ScalingPolicy")
    for key, target in data.of_type("AWS::ApplicationAutoScaling::ScalableTarget").items():
        properties = target["Properties"]
        resource = deployment.text("data", properties["ResourceId"]).removeprefix("table/")
        resource = resource.removeprefix(deployment.output("TableName"))
        scaling[resource, properties["ScalableDimension"]] = (properties["MinCapacity"], properties["MaxCapacity"])
        (policy,) = [entry for entry in policies if entry["ScalingTargetId"] == {"Ref": key}]
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        # Then each tracks the configured target with the configured cooldowns
        assert tracking["TargetValue"] == capacity.target_utilization_percent
        assert tracking["ScaleInCooldown"] == tracking["ScaleOutCooldown"] == capacity.cooldown_seconds
        kind = "Read" if "Read" in properties["ScalableDimension"] else "Write"
        metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
        assert metric == f"DynamoDB{kind}CapacityUtilization"

    # And everything provisioned is scaled
    expected = {
        ("", "dynamodb:table:ReadCapacityUnits"): (capacity.read, capacity.maximum),
        ("", "dynamodb:table:WriteCapacityUnits"): (capacity.write, capacity.maximum),
    }
    for index in ("by-recency", "by-status"):
        expected[f"/index/{index}", "dynamodb:index:ReadCapacityUnits"] = (capacity.index_read, capacity.maximum)
        expected[f"/index/{index}", "dynamodb:index:WriteCapacityUnits"] = (capacity.index_write, capacity.maximum)
    assert scaling == expected


@pytest.mark.requirement("capacity by configuration", "items: capacity, throttles, compression")
def test_committed_capacities_match_the_requirements(
    dev: DeployedTemplates, staging: DeployedTemplates, prod: DeployedTemplates
) -> None:
    # Given dev on demand, and prod with 25/25 to 1000, indexes with 10/10, at 70 % with cooldowns of 60 s
    capacity = prod.environment.services.catalog.capacity
    assert isinstance(capacity, Provisioned)
    assert (capacity.read, capacity.write, capacity.index_read, capacity.index_write) == (25, 25, 10, 10)
    assert (capacity.maximum, capacity.target_utilization_percent, capacity.cooldown_seconds) == (1000, 70, 60)
    assert dev.environment.services.catalog.capacity.mode == "on-demand"
    # And staging is configured like prod, but smaller
    smaller = staging.environment.services.catalog.capacity
    assert isinstance(smaller, Provisioned)
    assert smaller.maximum < capacity.maximum
    assert smaller.read < capacity.read


@pytest.mark.requirement("buckets")
def test_buckets_enforce_their_owner_and_keep_versions(bucket: dict[str, Any]) -> None:
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "AccessControl" not in bucket


@pytest.mark.requirement("buckets")
@pytest.mark.parametrize("output", ["BucketName", "LogBucketName"])
def test_buckets_refuse_requests_without_tls(deployment: DeployedTemplates, output: str) -> None:
    # Given the bucket's policy
    reference = deployment.output(output)
    policy = deployment["data"].only(
        "AWS::S3::BucketPolicy", lambda entry: deployment.text("data", entry["Bucket"]) == reference
    )

    # Then it denies all requests to the bucket and its objects without TLS
    (denial,) = [entry for entry in policy["PolicyDocument"]["Statement"] if entry["Effect"] == "Deny"]
    assert denial["Principal"] in ("*", {"AWS": "*"})
    assert denial["Action"] == "s3:*"
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    arn = reference.removesuffix(">") + ".Arn>"
    assert deployment.texts("data", denial["Resource"]) == {arn, f"{arn}/*"}


@pytest.mark.requirement("buckets")
def test_bucket_logs_accesses_to_log_bucket(deployment: DeployedTemplates) -> None:
    logging = _bucket(deployment, "BucketName")["LoggingConfiguration"]

    assert deployment.text("data", logging["DestinationBucketName"]) == deployment.output("LogBucketName")
    assert logging["LogFilePrefix"] == "s3/"


@pytest.mark.requirement("buckets")
def test_old_versions_and_broken_uploads_expire(deployment: DeployedTemplates) -> None:
    (rule,) = _bucket(deployment, "BucketName")["LifecycleConfiguration"]["Rules"]

    assert rule["Status"] == "Enabled"
    assert rule["NoncurrentVersionTransitions"] == [{"StorageClass": "STANDARD_IA", "TransitionInDays": 30}]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert "ExpirationInDays" not in rule


@pytest.mark.requirement("buckets")
def test_logs_expire_after_90_days(deployment: DeployedTemplates) -> None:
    (rule,) = _bucket(deployment, "LogBucketName")["LifecycleConfiguration"]["Rules"]

    assert rule["Status"] == "Enabled"
    assert rule["ExpirationInDays"] == 90
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


@pytest.mark.requirement("buckets")
def test_bucket_names_contain_an_id_of_eight_characters(deployment: DeployedTemplates) -> None:
    unique_id = deployment.environment.unique_id("catalog")

    assert len(unique_id) == 8
    assert _bucket(deployment, "BucketName")["BucketName"] == f"cf-serverless-{unique_id}"
    assert _bucket(deployment, "LogBucketName")["BucketName"] == f"cf-serverless-logs-{unique_id}"


@pytest.mark.requirement("buckets")
def test_bucket_names_are_the_same_at_every_synth(dev: DeployedTemplates) -> None:
    again = synthesis.deploy("dev, again", ENVIRONMENTS["dev"])

    assert _bucket(again, "BucketName")["BucketName"] == _bucket(dev, "BucketName")["BucketName"]


@pytest.mark.requirement("buckets")
def test_bucket_names_differ_between_environments() -> None:
    dev = SPECIMEN.environment("dev")
    variants: list[Environment] = [
        dev,
        *SPECIMEN.environments[1:],
        changed(dev, {"region": "eu-west-1"}),
        changed(dev, {"account": "444444444444"}),
    ]

    assert len({variant.unique_id("catalog") for variant in variants}) == len(variants)
