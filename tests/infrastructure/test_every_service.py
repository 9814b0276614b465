"""What the requirements ask of every service (P1 to P16), of each one that the app deploys.

Tests that say nothing particular of `items` are imported from its files and run here for the other services; what only
its own names could say is said here over all names. A service that joins `app.SERVICES` is held to them at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from app import SERVICES
from services.items.infrastructure import Items
from slipway.service import Service
from slipway.settings.shifts import Shift
from tests.infrastructure import synthesis
from tests.infrastructure.matrix import changed
from tests.infrastructure.synthesis import KEPT, Deployment, Resource, Template

# Imported to be collected once more, with the fixtures of this file.
from tests.infrastructure.test_data import (  # noqa: F401
    test_buckets_block_all_public_access,
    test_buckets_refuse_requests_without_tls,
    test_logs_go_at_90_days,
    test_s3_may_deliver_its_access_logs,
    test_the_bucket_logs_its_accesses_to_the_services_own_log_bucket,
    test_the_table_streams_new_and_old_images,
)
from tests.infrastructure.test_foundation import (  # noqa: F401
    test_api_gateways_logging_role_is_made_in_the_foundation_alone,
)
from tests.infrastructure.test_functions import (  # noqa: F401
    test_api_gateway_may_call_the_function_for_this_api_alone,
    test_dead_letters_stay_for_14_days_and_take_tls_only,
    test_no_function_logs_its_events,
    test_no_two_aliases_hold_provisioned_concurrency_on_one_version,
)
from tests.infrastructure.test_observability import (  # noqa: F401
    test_alarms_of_this_account_may_publish_to_the_topic,
    test_every_alarm_tells_the_encrypted_topic_when_it_goes_off_and_when_it_is_over,
    test_silence_is_no_alarm,
    test_the_dashboard_begins_with_requests_latency_and_error_rate,
    test_the_dashboards_address_is_an_output,
    test_the_topic_tells_the_configured_addresses,
)
from tests.infrastructure.test_security import _KEY_OF as KEY_OF
from tests.infrastructure.test_security import (  # noqa: F401
    test_alarms_and_topics_may_use_the_key_for_this_account_alone,
    test_cloudwatch_logs_may_use_the_key_for_log_groups_of_this_account_alone,
    test_only_log_buckets_are_encrypted_by_s3_itself,
    test_tables_say_that_the_key_is_a_customers,
    test_the_key_policy_lets_in_nobody_but_the_account_and_services_under_a_condition,
    test_the_service_has_a_key_of_its_own_that_rotates_and_is_retained,
)
from tests.infrastructure.test_stacks import (  # noqa: F401
    BACKUP,
    test_a_failed_creation_leaves_nothing_in_its_way,
    test_another_region_leaves_no_trace_of_the_first,
    test_arns_are_those_of_the_regions_own_partition,
    test_in_dev_what_is_stateful_goes_with_its_stack,
    test_no_policy_is_inline_or_denies,
    test_nobody_outside_is_let_in,
    test_outputs_export_nothing,
    test_resources_wait_for_each_other_in_no_circle,
    test_stacks_go_to_the_environments_account_and_region,
    test_stacks_know_each_other_weakly_and_in_the_order_of_their_deployment,
    test_staging_and_prod_retain_and_protect,
    test_topics_take_tls_only,
    test_weak_references_meet_an_output_that_is_there,
    test_what_publishes_under_the_key_may_make_data_keys,
)
from tests.infrastructure.test_stacks import _ids as ids_of
from tests.infrastructure.test_stacks import _listed as listed
from tests.infrastructure.test_stacks import _statements as statements
from tests.infrastructure.test_stacks import _tags as tags_of

OTHERS = [service for service in SERVICES if service is not Items]
VARIANTS = ("dev", "staging", "prod", "dev, Frankfurt")

_QUEUES = {"JobQueueUrl", "JobDeadLetterQueueUrl", "WorkQueueUrl", "WorkDeadLetterQueueUrl", "DeadLetterQueueUrl"}
OUTPUTS = {
    "ingest": {
        "security": {"KeyArn", "KeyId"},
        "data": {"TableName", "TableArn", "JobsTableName", "BucketName", "LogBucketName"},
        "compute": {
            *("ApiId", "ApiEndpoint", "HealthEndpoint", "ApiKeyId", "UsagePlanId"),
            *("ApiFunctionArn", "ProcessorFunctionArn", "WorkerFunctionArn"),
            *("ApiHookFunctionArn", "ProcessorHookFunctionArn", "WorkerHookFunctionArn"),
            *_QUEUES,
        },
        "observability": {"AlarmTopicArn", "DashboardUrl"},
    },
    "processing": {
        "security": {"KeyArn", "KeyId", "UserPoolId", "UserPoolArn", "UserPoolClientId"},
        "data": {"TableName", "TableArn", "BucketName", "LogBucketName"},
        "compute": {
            *("ApiId", "ApiEndpoint", "HealthEndpoint", "DeadLetterQueueUrl"),
            *("ApiFunctionArn", "WorkerFunctionArn", "ApiHookFunctionArn", "WorkerHookFunctionArn"),
        },
        "observability": {"AlarmTopicArn", "DashboardUrl"},
    },
}
# The user for tests is in dev alone.
TEST_USER = {"TestUserSecretArn", "TestUserFunctionArn"}

# Prefixes of a service's bucket under which its functions reach objects whose ids are made later.
PREFIXES = {"ingest": {"payloads/", "jobs/"}, "processing": {"processed/", "uploads/"}}


@dataclass(frozen=True)
class Function:
    """A function of a template."""

    template: Template
    key: str
    properties: dict[str, Any]

    @property
    def reference(self) -> str:
        return f"<{self.template.name}/{self.key}>"

    @property
    def module(self) -> str:
        """The module of its handler, such as `api` or `hooks`."""
        return str(self.properties["Handler"]).split(".")[-2]

    @property
    def takes_traffic(self) -> bool:
        """Whether clients, queues or other functions call it, and not only a deployment."""
        return self.module not in {"hooks", "test_user"}

    @property
    def aliases(self) -> dict[str, tuple[str, Resource]]:
        """Its aliases by name: logical id and resource."""
        return {
            resource["Properties"]["Name"]: (key, resource)
            for key, resource in self.template.of_type("AWS::Lambda::Alias").items()
            if resource["Properties"]["FunctionName"] == {"Ref": self.key}
        }

    def statements(self) -> Iterator[dict[str, Any]]:
        """What its role allows."""
        role = self.properties["Role"]["Fn::GetAtt"][0]
        for _, policy, statement in statements(self.template):
            if {"Ref": role} in policy["Properties"].get("Roles", []):
                yield statement


def functions(deployment: Deployment) -> list[Function]:
    """Every function, also those that share a handler."""
    return [
        Function(template, key, resource["Properties"])
        for template in deployment
        for key, resource in template.of_type("AWS::Lambda::Function").items()
    ]


@pytest.fixture(params=OTHERS, ids=[service.name for service in OTHERS])
def kind(request: pytest.FixtureRequest) -> type[Service]:
    """Each service but `items` in turn."""
    found: type[Service] = request.param
    return found


@pytest.fixture(params=VARIANTS)
def deployment(request: pytest.FixtureRequest, kind: type[Service]) -> Deployment:
    """Each variant in turn."""
    return synthesis.deployment(request.param, kind)


@pytest.fixture(params=["dev", "staging", "prod"])
def committed(request: pytest.FixtureRequest, kind: type[Service]) -> Deployment:
    """Each environment as it is committed, in turn."""
    return synthesis.deployment(request.param, kind)


@pytest.fixture
def dev(kind: type[Service]) -> Deployment:
    return synthesis.deployment("dev", kind)


@pytest.fixture
def staging(kind: type[Service]) -> Deployment:
    return synthesis.deployment("staging", kind)


@pytest.fixture
def prod(kind: type[Service]) -> Deployment:
    return synthesis.deployment("prod", kind)


@pytest.fixture(params=["BucketName", "LogBucketName"])
def bucket(request: pytest.FixtureRequest, deployment: Deployment) -> dict[str, Any]:
    properties: dict[str, Any] = deployment.behind(deployment.output(request.param))["Properties"]
    return properties


# P1, P2, P10


def test_the_key_has_an_alias_with_service_and_environment(deployment: Deployment, kind: type[Service]) -> None:
    alias = deployment["security"].only("AWS::KMS::Alias")

    assert alias["AliasName"] == f"alias/{kind.name}-{deployment.environment.name}"
    assert deployment.text("security", alias["TargetKeyId"]) == deployment.output("KeyArn")


def test_whatever_is_stored_is_encrypted_with_the_services_key(deployment: Deployment) -> None:
    # Given everything of a kind that stores data, in every stack
    kinds = set()
    # (the foundation is no service and has no key: it holds nothing of one)
    for template in deployment:
        if template.name == "foundation":
            continue
        for resource_type, key_of in KEY_OF.items():
            for properties in template.properties_of(resource_type):
                if properties.get("BucketName", "").startswith("cf-serverless-logs-"):
                    continue
                # Then it names the service's key
                assert deployment.text(template.name, key_of(properties)) == deployment.output("KeyArn")
                kinds.add(resource_type)
    # Secrets alone are not in every service
    assert kinds >= set(KEY_OF) - {"AWS::SecretsManager::Secret"}


def test_secrets_are_generated_and_stand_in_no_template(deployment: Deployment) -> None:
    for template in deployment:
        for secret in template.properties_of("AWS::SecretsManager::Secret"):
            assert "SecretString" not in secret
            assert secret["GenerateSecretString"]["PasswordLength"] == 64
        assert "{{resolve:" not in template.text()
        for kind in ("AWS::ApiGateway::ApiKey", "AWS::Cognito::UserPoolClient"):
            for properties in template.properties_of(kind):
                assert not {"Value", "ClientSecret"} & set(properties)


# P3, P4


def test_tables_recover_and_stream_and_what_is_in_them_expires(deployment: Deployment) -> None:
    for table in deployment["data"].properties_of("AWS::DynamoDB::Table"):
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
        # What these services keep in tables expires.
        assert table["TimeToLiveSpecification"]["Enabled"] is True


def test_what_is_provisioned_scales_by_itself_and_each_index_too(deployment: Deployment) -> None:
    # Given every table and index with provisioned capacity
    data = deployment["data"]
    provisioned = set()
    for key, table in data.of_type("AWS::DynamoDB::Table").items():
        if table["Properties"].get("BillingMode", "PROVISIONED") == "PROVISIONED":
            places = ["", *(f"/index/{index['IndexName']}" for index in table["Properties"]["GlobalSecondaryIndexes"])]
            provisioned |= {
                (f"table/<data/{key}>{place}", f"dynamodb:{'index' if place else 'table'}:{kind}CapacityUnits")
                for place in places
                for kind in ("Read", "Write")
            }
    # Then each scales, at 70 % with cooldowns of 60 s
    targets = data.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    assert provisioned == {
        (deployment.text("data", target["Properties"]["ResourceId"]), target["Properties"]["ScalableDimension"])
        for target in targets.values()
    }
    policies = data.properties_of("AWS::ApplicationAutoScaling::ScalingPolicy")
    assert {policy["ScalingTargetId"]["Ref"] for policy in policies} == set(targets)
    for policy in policies:
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        assert tracking["TargetValue"] == 70
        assert tracking["ScaleInCooldown"] == tracking["ScaleOutCooldown"] == 60


# P5


def test_buckets_belong_to_their_owner_and_keep_versions_unless_configured_not_to(
    bucket: dict[str, Any], deployment: Deployment, kind: type[Service]
) -> None:
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert "AccessControl" not in bucket
    # C5: the staging bucket of `processing` keeps versions in prod.
    uploads = getattr(getattr(deployment.environment.services, kind.name), "uploads", None)
    unversioned = uploads is not None and not uploads.versioned and "-logs-" not in bucket["BucketName"]
    assert not (unversioned and deployment.environment.name == "prod")
    assert bucket.get("VersioningConfiguration") == (None if unversioned else {"Status": "Enabled"})


def test_old_versions_move_and_go_and_broken_uploads_go(deployment: Deployment) -> None:
    rules = deployment.behind(deployment.output("BucketName"))["Properties"]["LifecycleConfiguration"]["Rules"]

    (rule,) = [rule for rule in rules if "NoncurrentVersionTransitions" in rule]
    assert rule["Status"] == "Enabled"
    assert "Prefix" not in rule
    assert rule["NoncurrentVersionTransitions"] == [{"StorageClass": "STANDARD_IA", "TransitionInDays": 30}]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_bucket_names_carry_the_services_own_id(deployment: Deployment, kind: type[Service]) -> None:
    unique_id = deployment.environment.unique_id(kind.name)

    assert re.fullmatch(r"[0-9a-z]{8}", unique_id)
    assert unique_id not in {deployment.environment.unique_id(other.name) for other in SERVICES if other is not kind}
    for output, name in (("BucketName", "cf-serverless-"), ("LogBucketName", "cf-serverless-logs-")):
        assert deployment.behind(deployment.output(output))["Properties"]["BucketName"] == f"{name}{unique_id}"


# P6


def test_functions_run_python_on_arm_with_traces_json_logs_and_a_layer(deployment: Deployment) -> None:
    for function in functions(deployment):
        properties = function.properties
        assert (properties["Runtime"], properties["Architectures"]) == ("python3.14", ["arm64"])
        assert properties["TracingConfig"] == {"Mode": "Active"}
        assert properties["LoggingConfig"]["LogFormat"] == "JSON"
        assert properties["LoggingConfig"]["ApplicationLogLevel"] == deployment.environment.logs.level.value
        (layer,) = properties["Layers"]
        content = function.template.resources[layer["Ref"]]["Properties"]
        assert content["Content"]["S3Key"] != properties["Code"]["S3Key"]
        assert content["CompatibleRuntimes"] == ["python3.14"]
        assert content["CompatibleArchitectures"] == ["arm64"]


def test_every_environment_ships_the_same_bytes(dev: Deployment, staging: Deployment, prod: Deployment) -> None:
    # Given that dev may have functions that the others have not
    shipped = [
        {function.properties["Code"]["S3Key"] for function in functions(deployment)}
        | {
            layer["Content"]["S3Key"]
            for template in deployment
            for layer in template.properties_of("AWS::Lambda::LayerVersion")
        }
        for deployment in (dev, staging, prod)
    ]

    assert len(shipped[0]) == 2
    assert shipped[0] == shipped[1] == shipped[2]


def test_every_function_has_a_log_group_and_a_role_of_its_own(deployment: Deployment) -> None:
    # Given all functions
    found = functions(deployment)
    groups = [(function.template.name, function.properties["LoggingConfig"]["LogGroup"]["Ref"]) for function in found]
    roles = [(function.template.name, function.properties["Role"]["Fn::GetAtt"][0]) for function in found]

    # Then none shares a log group or a role with another
    assert len(set(groups)) == len(set(roles)) == len(found)
    for stack, group in groups:
        resource = deployment[stack].resources[group]
        assert resource["Type"] == "AWS::Logs::LogGroup"
        assert resource["Properties"]["RetentionInDays"] == deployment.environment.logs.retention_days
    for stack, role in roles:
        properties = deployment[stack].resources[role]["Properties"]
        (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
        assert not {"ManagedPolicyArns", "Policies"} & set(properties)


def test_a_function_writes_to_its_own_log_group_alone(deployment: Deployment) -> None:
    for function in functions(deployment):
        group = function.properties["LoggingConfig"]["LogGroup"]["Ref"]
        written = [
            (action, deployment.texts(function.template.name, statement["Resource"]))
            for statement in function.statements()
            for action in listed(statement["Action"])
            if action.startswith("logs:")
        ]
        own = {f"<{function.template.name}/{group}.Arn>"}
        assert sorted(written) == [("logs:CreateLogStream", own), ("logs:PutLogEvents", own)], function.reference


def test_the_key_opens_what_functions_read_and_nothing_else_does(deployment: Deployment) -> None:
    for function in functions(deployment):
        keys = {
            action: deployment.texts(function.template.name, statement["Resource"])
            for statement in function.statements()
            for action in listed(statement["Action"])
            if action.startswith("kms:")
        }
        assert set(keys) <= {"kms:Decrypt", "kms:GenerateDataKey"}
        assert "kms:Decrypt" in keys
        assert set().union(*keys.values()) == {deployment.output("KeyArn")}


def test_a_hook_may_call_the_new_version_it_checks_and_report_and_nothing_else(deployment: Deployment) -> None:
    hooks = [function for function in functions(deployment) if function.module == "hooks"]

    assert hooks
    for hook in hooks:
        reached: dict[str, set[str]] = {}
        for statement in hook.statements():
            for action in listed(statement["Action"]):
                reached.setdefault(action, set()).update(deployment.texts("compute", statement["Resource"]))
        work = {action for action in reached if not action.startswith(("logs:", "xray:", "kms:", "sqs:"))}
        assert work == {"lambda:InvokeFunction", "codedeploy:PutLifecycleEventHookExecutionStatus"}
        target = deployment.text("compute", hook.properties["Environment"]["Variables"]["TARGET_ALIAS_ARN"])
        assert reached["lambda:InvokeFunction"] == {target}
        assert deployment.behind(target)["Properties"]["Name"] == "staging"
        (group,) = reached["codedeploy:PutLifecycleEventHookExecutionStatus"]
        assert "*" not in group


def test_a_resource_with_a_wildcard_in_it_leaves_an_id_open_and_nothing_else(
    deployment: Deployment, kind: type[Service]
) -> None:
    # Given what may have an id at its end that is not known before
    place = f"{deployment.environment.region}:{deployment.environment.account}"
    bucket = f"cf-serverless-{deployment.environment.unique_id(kind.name)}"
    prefixes = "|".join(sorted(PREFIXES[kind.name]))
    allowed = {
        rf"arn:[^:]+:s3:::{bucket}/({prefixes})\*": {"s3:GetObject", "s3:PutObject"},
        rf"arn:[^:]+:cloudformation:{place}:stack/{deployment.environment.name}-[a-z-]+/\*": {
            "cloudformation:DescribeStacks",
            "cloudformation:GetStackPolicy",
            "cloudformation:SetStackPolicy",
            "cloudformation:UpdateTerminationProtection",
        },
        **BACKUP,
    }

    for template in deployment:
        for key, _, statement in statements(template):
            for text in deployment.texts(template.name, statement["Resource"]):
                if "*" in text and text != "*":
                    (actions,) = [may for pattern, may in allowed.items() if re.fullmatch(pattern, text)] or [set()]
                    assert set(listed(statement["Action"])) <= actions, f"{key}: {text}"


def test_what_is_called_asynchronously_is_retried_twice_for_two_hours_then_put_aside(deployment: Deployment) -> None:
    for template in deployment:
        for config in template.properties_of("AWS::Lambda::EventInvokeConfig"):
            assert config["MaximumRetryAttempts"] == 2
            assert config["MaximumEventAgeInSeconds"] == 7200
            queue = deployment.text(template.name, config["DestinationConfig"]["OnFailure"]["Destination"])
            assert deployment.behind(queue)["Type"] == "AWS::SQS::Queue"
    # CodeDeploy calls hooks, and CloudFormation what stands behind a custom resource, asynchronously
    for function in functions(deployment):
        if not function.takes_traffic:
            configured = [
                config
                for config in function.template.properties_of("AWS::Lambda::EventInvokeConfig")
                if config["FunctionName"] == {"Ref": function.key}
            ]
            # CodeDeploy and Secrets Manager call the function itself, others an alias
            assert len(configured) == 1 + len(function.aliases) == 3, function.reference


def test_variables_hold_no_secret(deployment: Deployment, kind: type[Service]) -> None:
    for function in functions(deployment):
        variables = {
            name: deployment.text(function.template.name, value)
            for name, value in function.properties["Environment"]["Variables"].items()
        }
        assert {name: variables[name] for name in ("ENVIRONMENT", "POWERTOOLS_SERVICE_NAME")} == {
            "ENVIRONMENT": deployment.environment.name,
            "POWERTOOLS_SERVICE_NAME": kind.name,
        }
        for name, value in variables.items():
            assert "resolve:" not in value, name
            # A secret is named by its ARN
            if re.search("SECRET|PASSWORD|TOKEN|API_KEY", name):
                assert name.endswith("_ARN"), name


# P7, P8


def test_versions_are_kept_and_both_aliases_start_at_the_newest(deployment: Deployment) -> None:
    for function in functions(deployment):
        assert set(function.aliases) == {"live", "staging"}, function.reference
        versions = {
            resource["Properties"]["FunctionVersion"]["Fn::GetAtt"][0] for _, resource in function.aliases.values()
        }
        (version,) = versions
        resource = function.template.resources[version]
        assert resource["Type"] == "AWS::Lambda::Version"
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) in KEPT


def test_whatever_may_call_a_function_may_call_live_alone(deployment: Deployment) -> None:
    live = {f"<{function.template.name}/{function.aliases['live'][0]}>" for function in functions(deployment)}

    for template in deployment:
        for permission in template.properties_of("AWS::Lambda::Permission"):
            assert deployment.text(template.name, permission["FunctionName"]) in live
        for mapping in template.properties_of("AWS::Lambda::EventSourceMapping"):
            name = deployment.text(template.name, mapping["FunctionName"])
            assert name.endswith(":live")
            assert any(alias in name for alias in live)
        for user in template.properties_of("Custom::TestUser"):
            assert deployment.text(template.name, user["ServiceToken"]) in live


def test_whatever_takes_traffic_is_deployed_by_code_deploy_with_a_check_and_a_way_back(deployment: Deployment) -> None:
    compute = deployment["compute"]
    groups = compute.of_type("AWS::CodeDeploy::DeploymentGroup")
    used = set()
    for function in functions(deployment):
        if not function.takes_traffic:
            continue
        # Given how `live` of the function moves
        _, live = function.aliases["live"]
        update = live["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        used.add(update["DeploymentGroupName"]["Ref"])
        group = groups[update["DeploymentGroupName"]["Ref"]]["Properties"]
        # Then by the configured strategy
        shift = deployment.environment.deployment.shift
        named = group["DeploymentConfigName"]
        if shift.predefined:
            assert named == f"CodeDeployDefault.Lambda{shift.name}"
        else:
            own = compute.resources[named["Ref"]]
            assert own["Type"] == "AWS::CodeDeploy::DeploymentConfig"
            assert Shift.of_template(own["Properties"]) == shift
        # And a contract check of this function comes first
        checks = [
            hook
            for hook in functions(deployment)
            if deployment.text("compute", update["BeforeAllowTrafficHook"]) == hook.reference
        ]
        (hook,) = checks
        target = deployment.text("compute", hook.properties["Environment"]["Variables"]["TARGET_ALIAS_ARN"])
        assert target == f"<compute/{function.aliases['staging'][0]}>"
        # And alarm, failure and stop bring the old version back
        assert set(group["AutoRollbackConfiguration"]["Events"]) == {
            "DEPLOYMENT_FAILURE",
            "DEPLOYMENT_STOP_ON_ALARM",
            "DEPLOYMENT_STOP_ON_REQUEST",
        }
        alarms = [
            compute.resources[alarm["Name"]["Ref"]]["Properties"] for alarm in group["AlarmConfiguration"]["Alarms"]
        ]
        # Callers wait for an API's function alone, and can throttle whatever does not read a queue or stream
        reads = any(
            function.aliases["live"][0] in str(mapping["FunctionName"])
            for mapping in compute.properties_of("AWS::Lambda::EventSourceMapping")
        )
        also = {"Duration"} if function.module == "api" else {"Throttles"} if reads else set()
        assert {alarm.get("MetricName") for alarm in alarms} == {"Errors", None, *also}
        version = live["Properties"]["FunctionVersion"]["Fn::GetAtt"][0]
        for alarm in alarms:
            assert alarm["TreatMissingData"] == "notBreaching"
            # What the function counts itself is beside them, in metric math
            if "Metrics" in alarm:
                (faults,) = (query["MetricStat"]["Metric"] for query in alarm["Metrics"] if query["Id"] == "faults")
                names = {entry["Name"]: deployment.text("compute", entry["Value"]) for entry in faults["Dimensions"]}
                variables = function.properties["Environment"]["Variables"]
                assert faults["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
                assert names == {
                    "service": variables["POWERTOOLS_SERVICE_NAME"],
                    "function_name": function.reference,
                    "function_version": f"<compute/{version}.Version>",
                }
                continue
            assert alarm["Namespace"] == "AWS/Lambda"
            dimensions = {entry["Name"]: deployment.text("compute", entry["Value"]) for entry in alarm["Dimensions"]}
            assert dimensions["Resource"] == f"{function.reference}:live"
            assert dimensions["ExecutedVersion"] == f"<compute/{version}.Version>"
        # And what the deployment uses is there before it begins
        role = group["ServiceRoleArn"]["Fn::GetAtt"][0]
        policies = {
            key
            for key, resource in compute.of_type("AWS::IAM::ManagedPolicy").items()
            if {"Ref": role} in resource["Properties"]["Roles"]
        }
        assert policies
        assert {*policies, hook.aliases["live"][0], function.aliases["staging"][0]} <= set(live["DependsOn"])
    assert used == set(groups)


def test_code_deploy_may_move_one_alias_and_call_one_hook_alone(deployment: Deployment) -> None:
    compute = deployment["compute"]
    for group in compute.properties_of("AWS::CodeDeploy::DeploymentGroup"):
        role = group["ServiceRoleArn"]["Fn::GetAtt"][0]
        reached: dict[str, set[str]] = {}
        for _, policy, statement in statements(compute):
            if {"Ref": role} in policy["Properties"].get("Roles", []):
                for action in listed(statement["Action"]):
                    reached.setdefault(action, set()).update(deployment.texts("compute", statement["Resource"]))
        assert set(reached) == {
            *("lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"),
            *("lambda:InvokeFunction", "cloudwatch:DescribeAlarms"),
        }
        assert len(reached["lambda:UpdateAlias"]) == 2
        # The hook by its name, and by its alias
        assert len({arn.removesuffix(".Arn>") for arn in reached["lambda:InvokeFunction"]}) == 2


# P12, P13


def _watched(deployment: Deployment) -> set[tuple[str, str, str]]:
    """Namespace, metric, and what each alarm is on."""
    return {
        (
            metric["Namespace"],
            metric["MetricName"],
            ",".join(deployment.text("observability", entry["Value"]) for entry in metric.get("Dimensions", [])),
        )
        for alarm in deployment["observability"].properties_of("AWS::CloudWatch::Alarm")
        for metric in [
            *(query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query),
            *([alarm] if "MetricName" in alarm else []),
        ]
    }


def test_alarms_watch_every_function_table_index_and_dead_letter(deployment: Deployment) -> None:
    watched = _watched(deployment)

    for function in functions(deployment):
        if function.takes_traffic:
            for metric in ("Errors", "Throttles", "Duration"):
                assert ("AWS/Lambda", metric, function.reference) in watched
    for key, table in deployment["data"].of_type("AWS::DynamoDB::Table").items():
        for metric in ("ReadThrottleEvents", "WriteThrottleEvents"):
            assert ("AWS/DynamoDB", metric, f"<data/{key}>") in watched
            for index in table["Properties"].get("GlobalSecondaryIndexes", []):
                assert ("AWS/DynamoDB", metric, f"{index['IndexName']},<data/{key}>") in watched
    # A queue that moves what failed to another is watched by its age, the others by anything in them
    for key, queue in deployment["compute"].of_type("AWS::SQS::Queue").items():
        works = "RedrivePolicy" in queue["Properties"]
        metric = "ApproximateAgeOfOldestMessage" if works else "ApproximateNumberOfMessagesVisible"
        assert ("AWS/SQS", metric, f"<compute/{key}.QueueName>") in watched
    # And both kinds of errors of the API
    of_api = {metric.upper().removesuffix("ERROR") for space, metric, _ in watched if space == "AWS/ApiGateway"}
    assert of_api == {"4XX", "5XX", "COUNT"}


def test_the_dashboard_shows_what_p13_lists_of_everything(deployment: Deployment) -> None:
    dashboard = deployment["observability"].only("AWS::CloudWatch::Dashboard")
    body = deployment.text("observability", dashboard["DashboardBody"])
    shown = json.dumps([widget["properties"].get("metrics") for widget in json.loads(body)["widgets"]])

    for function in functions(deployment):
        if function.takes_traffic:
            for metric in ("Invocations", "Errors", "Duration", "ConcurrentExecutions"):
                assert f'"AWS/Lambda", "{metric}", "FunctionName", "{function.reference}"' in shown
    for key in deployment["data"].of_type("AWS::DynamoDB::Table"):
        for metric in ("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents"):
            assert f'"AWS/DynamoDB", "{metric}", "TableName", "<data/{key}>"' in shown
    for key in deployment["compute"].of_type("AWS::SQS::Queue"):
        for metric in ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"):
            assert f'"AWS/SQS", "{metric}", "QueueName", "<compute/{key}.QueueName>"' in shown
    for metric in ("Count", "Latency"):
        assert f'"AWS/ApiGateway", "{metric}"' in shown
    for statistic in ("p50", "p90", "p99"):
        assert f'"stat": "{statistic}"' in shown


# P14, P15, P16


@pytest.mark.parametrize("stack", ["security", "data", "compute", "observability"])
def test_outputs_have_stable_ids(deployment: Deployment, kind: type[Service], stack: str) -> None:
    assert set(deployment[stack].outputs) - TEST_USER == OUTPUTS[kind.name][stack]


def test_outputs_that_name_a_function_name_its_alias_live(deployment: Deployment) -> None:
    for template in deployment:
        for name in template.outputs:
            if name.endswith("FunctionArn"):
                alias = deployment.behind(deployment.output(name))
                assert (alias["Type"], alias["Properties"]["Name"]) == ("AWS::Lambda::Alias", "live"), name


def test_endpoints_are_those_of_the_api(deployment: Deployment) -> None:
    host = f"{deployment.output('ApiId')}.execute-api.{deployment.environment.region}."
    endpoint = deployment.output("ApiEndpoint")

    assert endpoint.startswith(f"https://{host}")
    assert endpoint.endswith("/")
    assert deployment.output("HealthEndpoint") == f"{endpoint}health"


def test_everything_that_can_carry_tags_carries_all_of_them(deployment: Deployment, kind: type[Service]) -> None:
    tags = deployment.environment.tags
    for template in deployment:
        expected = {
            "Project": tags.project,
            "Application": tags.application,
            "Service": "foundation" if template.name == "foundation" else kind.name,
            "Environment": deployment.environment.name,
            "Owner": tags.owner,
            "CostCenter": tags.cost_center,
            "ManagedBy": "cdk",
        }
        for key, resource in template.resources.items():
            if not resource["Type"].startswith("Custom::"):
                assert tags_of(resource) in (None, expected), f"{template.name}: {key} ({resource['Type']})"


def test_no_id_carries_the_name_of_the_environment_account_or_region(dev: Deployment, kind: type[Service]) -> None:
    # Given dev under another name, elsewhere
    elsewhere = changed(dev.environment, {"name": "zebra", "account": "444444444444", "region": "us-east-2"})
    renamed = synthesis.deploy("zebra", elsewhere, kind)

    # Then every resource has the id that it had
    for stack in ("foundation", "security", "data", "compute", "observability"):
        assert ids_of(renamed, stack) == ids_of(dev, stack)


def test_environments_differ_in_no_id_of_what_they_share(staging: Deployment, prod: Deployment) -> None:
    # Given that prod has all that staging has
    for stack in ("foundation", "security", "data", "compute"):
        assert ids_of(staging, stack) <= ids_of(prod, stack)
