"""The specimen's services of prod, broken in one way for each contract test: `infrastructure.broken:subject`.

Loaded as a pytest plugin, it runs each test only on its own breakage.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN
from slipway.service import Service
from slipway.testing.app import Subject
from slipway.testing.templates import DeployedTemplates, Resource, Template
from specimen.services.catalog.infrastructure import Catalog
from specimen.services.intake.infrastructure import Intake
from specimen.services.studio.infrastructure import Studio

Break = Callable[[dict[str, Template]], None]
"""Changes templates in place, by stack name."""

WHOLE: Final = "whole"
"""An intact environment, for tests that compare environments."""

_ELSEWHERE: Final = "999999999999"
"""An account that is unrelated to the specimen."""


def _resources(templates: Mapping[str, Template], resource_type: str) -> list[Resource]:
    found = [resource for template in templates.values() for resource in template.of_type(resource_type).values()]
    assert found, f"nothing to break: no {resource_type}"
    return found


def _holders(node: Any, path: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the containers of the last part of a path; `*` stands for every entry of a list."""
    if not path:
        yield node
    elif path[0] == "*":
        for entry in node:
            yield from _holders(entry, path[1:])
    elif path[0] in node:
        yield from _holders(node[path[0]], path[1:])


def _set(resource_type: str, path: str, value: Any, where: Callable[[Resource], bool] = lambda _: True) -> Break:
    """Return a change that sets a value in every resource of a type that has the path.

    Args:
        resource_type: Type of the resources.
        path: Dotted keys within the resource; `*` stands for every entry of a list.
        value: The new value.
        where: Selects the resources to change.
    """

    def change(templates: dict[str, Template]) -> None:
        *parents, last = path.split(".")
        holders = [
            holder
            for resource in _resources(templates, resource_type)
            if where(resource)
            for holder in _holders(resource, parents)
        ]
        assert any(holder.get(last) != value for holder in holders), f"nothing to break: {resource_type}, {path}"
        for holder in holders:
            holder[last] = value

    return change


def _allow(action: str, resource: str) -> Break:
    """Return a change that lets every role do something more."""

    def change(templates: dict[str, Template]) -> None:
        for policy in _resources(templates, "AWS::IAM::ManagedPolicy"):
            statement = {"Effect": "Allow", "Action": action, "Resource": resource}
            policy["Properties"]["PolicyDocument"]["Statement"].append(statement)

    return change


def _take_key(templates: dict[str, Template]) -> None:
    for policy in _resources(templates, "AWS::IAM::ManagedPolicy"):
        document = policy["Properties"]["PolicyDocument"]
        document["Statement"] = [each for each in document["Statement"] if "kms:" not in str(each["Action"])]


def _output(stack: str, name: str, value: Any) -> Break:
    """Return a change of an output's value."""

    def change(templates: dict[str, Template]) -> None:
        templates[stack].raw["Outputs"][name]["Value"] = value

    return change


def _drop_outputs(stack: str, prefix: str) -> Break:
    """Return a change that removes the outputs whose names start with a prefix."""

    def change(templates: dict[str, Template]) -> None:
        outputs = templates[stack].raw["Outputs"]
        gone = [name for name in outputs if name.startswith(prefix)]
        assert gone, f"nothing to break: {stack}, {prefix}"
        for name in gone:
            del outputs[name]

    return change


def _export_outputs(templates: dict[str, Template]) -> None:
    for name, output in templates["data"].raw["Outputs"].items():
        output["Export"] = {"Name": name}


def _output_another_alias(templates: dict[str, Template]) -> None:
    aliases = templates["compute"].of_type("AWS::Lambda::Alias").items()
    staging = next(key for key, alias in aliases if alias["Properties"]["Name"] == "staging")
    _output("compute", "ApiFunctionArn", {"Ref": staging})(templates)


def _rename_tables(templates: dict[str, Template]) -> None:
    resources = templates["data"].raw["Resources"]
    for key in templates["data"].of_type("AWS::DynamoDB::Table"):
        resources[f"Prod{key}"] = resources.pop(key)


def _wait_in_a_circle(templates: dict[str, Template]) -> None:
    one, other, *_ = templates["compute"].of_type("AWS::Logs::LogGroup").items()
    one[1]["DependsOn"] = [other[0]]
    other[1]["DependsOn"] = [one[0]]


def _read_a_later_stack(templates: dict[str, Template]) -> None:
    later = templates["data"]
    reference = {"StackName": later.stack_name, "Region": later.region, "OutputName": next(iter(later.raw["Outputs"]))}
    (key,) = templates["security"].of_type("AWS::KMS::Key").values()
    key["Properties"]["Description"] = {"Fn::GetStackOutput": reference}


def _add(stack: str, resource_type: str) -> Break:
    """Return a change that adds a resource without properties."""

    def change(templates: dict[str, Template]) -> None:
        templates[stack].raw["Resources"]["Added"] = {"Type": resource_type}

    return change


def _stack(stack: str, **changes: Any) -> Break:
    """Return a change of how a stack is deployed."""

    def change(templates: dict[str, Template]) -> None:
        templates[stack] = replace(templates[stack], **changes)

    return change


def _called_by(principal: str) -> Callable[[Resource], bool]:
    return lambda permission: permission["Properties"]["Principal"] == principal


def _scales(namespace: str) -> Callable[[Resource], bool]:
    return lambda target: target["Properties"]["ServiceNamespace"] == namespace


_BUCKET, _TABLE, _KEY = "AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key"
_FUNCTION, _ALARM, _QUEUE = "AWS::Lambda::Function", "AWS::CloudWatch::Alarm", "AWS::SQS::Queue"
_PERMISSION, _TARGET = "AWS::Lambda::Permission", "AWS::ApplicationAutoScaling::ScalableTarget"
_KEY_STATEMENT = "Properties.KeyPolicy.Statement.*"

_FUNCTIONS: Final[Mapping[str, Break]] = {
    "test_functions_run_python_on_arm_with_traces": _set(_FUNCTION, "Properties.TracingConfig.Mode", "PassThrough"),
    "test_every_environment_ships_the_same_bytes": _set(_FUNCTION, "Properties.Code.S3Key", "other.zip"),
    "test_every_function_has_its_own_log_group_and_role": _set("AWS::Logs::LogGroup", "Properties.RetentionInDays", 1),
    "test_a_function_writes_to_its_own_log_group_alone": _allow("logs:PutLogEvents", "*"),
    "test_functions_use_the_services_key_and_no_other": _allow("kms:Decrypt", "*"),
    "test_variables_hold_no_secret": _set(_FUNCTION, "Properties.Environment.Variables.API_TOKEN", "in the clear"),
    "test_versions_are_kept_and_both_aliases_start_at_the_newest": _set(
        "AWS::Lambda::Version", "DeletionPolicy", "Delete"
    ),
    "test_whatever_calls_a_function_calls_live_alone": _set(
        _PERMISSION, "Properties.FunctionName", {"Ref": "Function"}, _called_by("apigateway.amazonaws.com")
    ),
    "test_an_api_may_call_a_function_for_itself_alone": _set(
        _PERMISSION, "Properties.SourceArn", "arn:aws:execute-api:*", _called_by("apigateway.amazonaws.com")
    ),
    "test_only_live_holds_provisioned_concurrency": _set(
        _TARGET, "Properties.ResourceId", "function:catalog:staging", _scales("lambda")
    ),
    "test_hook_may_only_call_its_version_and_report": _allow("dynamodb:DeleteItem", "*"),
    "test_what_is_called_asynchronously_is_retried_then_put_aside": _set(
        "AWS::Lambda::EventInvokeConfig", "Properties.MaximumRetryAttempts", 0
    ),
    "test_what_reads_batches_answers_for_each_message": _set(
        "AWS::Lambda::EventSourceMapping", "Properties.FunctionResponseTypes", []
    ),
    "test_everything_with_traffic_has_check_and_rollback": _set(
        "AWS::CodeDeploy::DeploymentGroup", "Properties.AutoRollbackConfiguration.Events", ["DEPLOYMENT_FAILURE"]
    ),
    "test_code_deploy_may_move_one_alias_and_call_one_hook": _allow("lambda:UpdateFunctionCode", "*"),
}

_OBSERVABILITY: Final[Mapping[str, Break]] = {
    "test_alarms_watch_every_function_table_index_and_queue": _set(
        _ALARM, "Properties.MetricName", "Duration", lambda alarm: alarm["Properties"].get("MetricName") == "Throttles"
    ),
    "test_silence_is_no_alarm": _set(_ALARM, "Properties.TreatMissingData", "breaching"),
    "test_every_alarm_tells_the_topic_when_it_begins_and_ends": _set(_ALARM, "Properties.OKActions", []),
    "test_no_alarm_counts_the_account_without_saying_so": _set(_ALARM, "Properties.Dimensions", []),
    "test_alarms_of_this_account_may_publish_to_the_topic": _set(
        "AWS::SNS::TopicPolicy",
        "Properties.PolicyDocument.Statement.*.Condition.StringEquals.aws:SourceAccount",
        _ELSEWHERE,
    ),
    "test_the_topic_tells_the_configured_addresses": _set(
        "AWS::SNS::Subscription", "Properties.Endpoint", "nobody@example.com"
    ),
    "test_the_dashboard_shows_everything_that_works": _set(
        "AWS::CloudWatch::Dashboard", "Properties.DashboardBody", '{"widgets": []}'
    ),
    "test_the_dashboard_begins_with_an_apis_requests_latency_and_errors": _set(
        "AWS::CloudWatch::Dashboard", "Properties.DashboardBody", '{"widgets": []}'
    ),
    "test_the_dashboards_address_is_an_output": _output("observability", "DashboardUrl", "https://example.com/other"),
}

_STACKS: Final[Mapping[str, Break]] = {
    "test_outputs_name_what_the_service_has": _drop_outputs("data", "TableName"),
    "test_outputs_export_nothing": _export_outputs,
    "test_outputs_that_name_a_function_name_its_alias_live": _output_another_alias,
    "test_endpoints_are_those_of_the_api": _output("compute", "ApiEndpoint", "https://example.com/"),
    "test_everything_that_can_carry_tags_carries_all": _set(_TABLE, "Properties.Tags", []),
    "test_what_is_stateful_stays_unless_disposable": _set(_TABLE, "DeletionPolicy", "Delete"),
    "test_stateful_stacks_are_protected_as_configured": _stack("data", termination_protection=False),
    "test_no_update_may_take_what_outlives_its_stack": _set(_QUEUE, "DeletionPolicy", "Retain"),
    "test_a_failed_creation_leaves_nothing_in_its_way": _set(_BUCKET, "DeletionPolicy", "Retain"),
    "test_a_failed_creation_deletes_nothing_undeletable": _set(_TABLE, "DeletionPolicy", "RetainExceptOnCreate"),
    "test_environments_differ_in_no_id_of_what_they_share": _rename_tables,
    "test_resources_wait_for_each_other_in_no_circle": _wait_in_a_circle,
    "test_stacks_know_each_other_weakly_and_in_order": _read_a_later_stack,
    "test_weak_references_meet_an_output_that_is_there": _drop_outputs("security", "PublishOutput"),
    "test_stacks_go_to_the_environments_account_and_region": _stack("data", account=_ELSEWHERE),
    "test_arns_are_those_of_the_regions_own_partition": _allow("s3:GetObject", "arn:aws-cn:s3:::bucket/key"),
    "test_no_policy_is_inline_or_denies": _set(
        "AWS::IAM::ManagedPolicy", "Properties.PolicyDocument.Statement.*.Effect", "Deny"
    ),
    "test_a_wildcard_leaves_an_id_open_and_nothing_else": _allow("s3:PutObject", "arn:aws:s3:::everything/*"),
    "test_nobody_outside_is_let_in": _set(
        "AWS::SQS::QueuePolicy", "Properties.PolicyDocument.Statement.*.Effect", "Allow"
    ),
    "test_topics_take_tls_only": _set("AWS::SNS::TopicPolicy", "Properties.Topics", []),
    "test_readers_can_decrypt_and_writers_can_make_data_keys": _take_key,
    "test_api_gateways_logging_role_is_made_in_the_foundation_alone": _add("compute", "AWS::ApiGateway::Account"),
}

_STORAGE: Final[Mapping[str, Break]] = {
    "test_the_service_has_a_key_of_its_own_that_rotates": _set(_KEY, "Properties.EnableKeyRotation", value=False),
    "test_the_key_has_an_alias_with_service_and_environment": _set(
        "AWS::KMS::Alias", "Properties.AliasName", "alias/other"
    ),
    "test_whatever_is_stored_is_encrypted_with_the_services_key": _set(
        _QUEUE, "Properties.KmsMasterKeyId", "alias/aws/sqs"
    ),
    "test_tables_say_that_the_key_is_a_customers": _set(_TABLE, "Properties.SSESpecification.SSEEnabled", value=False),
    "test_cloudwatch_logs_may_use_the_key_for_this_accounts_groups": _set(
        _KEY, f"{_KEY_STATEMENT}.Condition.ArnLike.kms:EncryptionContext:aws:logs:arn", "arn:aws:logs:*:*:*"
    ),
    "test_alarms_and_topics_may_use_key_in_this_account": _set(
        _KEY, f"{_KEY_STATEMENT}.Condition.StringEquals.aws:SourceAccount", _ELSEWHERE
    ),
    "test_key_admits_account_and_services_conditionally": _set(_KEY, f"{_KEY_STATEMENT}.Condition", value={}),
    "test_secrets_are_generated_and_stand_in_no_template": _set(
        "AWS::SecretsManager::Secret", "Properties.SecretString", "in the clear"
    ),
    "test_tables_recover_to_any_second": _set(
        _TABLE, "Properties.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled", value=False
    ),
    "test_tables_are_protected_as_configured": _set(_TABLE, "Properties.DeletionProtectionEnabled", value=False),
    "test_what_is_provisioned_scales_and_each_index_too": _set(
        _TARGET, "Properties.ScalableDimension", "dynamodb:table:ReadCapacityUnits", _scales("dynamodb")
    ),
    "test_buckets_are_closed_to_the_public_and_to_plain_http": _set(
        _BUCKET, "Properties.PublicAccessBlockConfiguration.BlockPublicPolicy", value=False
    ),
    "test_buckets_log_their_accesses_to_the_services_own_log_bucket": _set(
        _BUCKET, "Properties.LoggingConfiguration.DestinationBucketName", "another-services-logs"
    ),
    "test_old_versions_and_broken_uploads_go": _set(
        _BUCKET, "Properties.LifecycleConfiguration.Rules.*.Status", "Disabled"
    ),
    "test_bucket_names_carry_the_services_own_id": _set(_BUCKET, "Properties.BucketName", "guessable"),
    "test_queues_keep_what_failed_and_take_tls_only": _set("AWS::SQS::QueuePolicy", "Properties.Queues", []),
}

_GATEWAY: Final[Mapping[str, Break]] = {
    "test_a_usage_plan_is_as_configured": _set("AWS::ApiGateway::UsagePlan", "Properties.Throttle.RateLimit", 1),
    "test_what_a_stage_caches_is_encrypted_and_as_old_as_configured": _set(
        "AWS::ApiGateway::Stage", "Properties.MethodSettings.*.CacheDataEncrypted", value=False
    ),
    "test_a_test_user_is_there_as_configured": _add("security", "Custom::TestUser"),
    "test_configured_origins_may_send_and_fetch_objects": _set(
        _BUCKET, "Properties.CorsConfiguration.CorsRules.*.AllowedOrigins", ["*"]
    ),
    "test_messages_are_hidden_for_six_timeouts_and_tried_five_times": _set(
        _QUEUE, "Properties.VisibilityTimeout", 1, lambda queue: "RedrivePolicy" in queue["Properties"]
    ),
}

BREAKS: Final[Mapping[str, Break]] = {**_FUNCTIONS, **_OBSERVABILITY, **_STACKS, **_STORAGE, **_GATEWAY}
"""Breakages by the contract test that detects them."""

_SERVICES: Final[Mapping[str, type[Service]]] = {
    "test_a_usage_plan_is_as_configured": Intake,
    "test_what_a_stage_caches_is_encrypted_and_as_old_as_configured": Intake,
    "test_messages_are_hidden_for_six_timeouts_and_tried_five_times": Intake,
    "test_a_test_user_is_there_as_configured": Studio,
    "test_configured_origins_may_send_and_fetch_objects": Studio,
}
"""Services of the tests that `catalog`, the service of the others, has nothing for."""

_COMPARING: Final = (
    "test_every_environment_ships_the_same_bytes",
    "test_environments_differ_in_no_id_of_what_they_share",
)
"""Tests that compare the environments of a service."""


def subject() -> Subject:
    """Return a service once per test, broken in an environment named after the test.

    For a test that compares environments, the service is named after it too, and has an intact environment to compare.
    """
    cases = [(name, _service_of(name).name) for name in BREAKS if name not in _COMPARING]
    cases += [(environment, name) for name in _COMPARING for environment in (WHOLE, name)]
    return Subject(SPECIMEN, cases, _deploy)


def _service_of(name: str) -> type[Service]:
    return _SERVICES.get(name, Catalog)


def _deploy(name: str, _service: str) -> DeployedTemplates:
    whole = synthesis.deployment("prod", _service_of(name))
    if name == WHOLE:
        return whole
    templates = {
        stack: replace(template, raw=copy.deepcopy(template.raw)) for stack, template in whole.templates.items()
    }
    BREAKS[name](templates)
    return DeployedTemplates(name, whole.environment, templates)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run each test only on its own breakage."""
    items[:] = [item for item in items if _is_on_its_own(item)]


def _is_on_its_own(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    # Tests without parameters look at no deployment
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    return item.originalname in (*parameters.get("case", ()), parameters.get("service"))
