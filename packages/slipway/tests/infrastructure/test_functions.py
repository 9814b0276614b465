"""Functions: configuration, permissions, aliases, triggers, provisioned concurrency."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infrastructure.matrix import variants
from slipway.testing.templates import KEPT, DeployedTemplates

HANDLERS = ("api.handler", "stream.handler", "rotation.handler", "hooks.api_handler", "hooks.stream_handler")
PROBE = "hooks.probe_handler"
ASYNCHRONOUS = ("rotation.handler", "hooks.api_handler", "hooks.stream_handler")
ROUTES = (
    ("/health", "GET"),
    ("/items", "GET"),
    ("/items", "POST"),
    ("/items/{id}", "DELETE"),
    ("/items/{id}", "GET"),
    ("/items/{id}", "PUT"),
)

# Permissions of every function: its own log, traces, and the key for its variables
_BASE = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "kms:Decrypt",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
}
_FLAGS = {"appconfig:GetLatestConfiguration", "appconfig:StartConfigurationSession"}
_FAILURES = {"sqs:SendMessage", "kms:GenerateDataKey"}
_IDEMPOTENCY = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
# Actions without a resource type in the service authorization reference


def _permissions(deployment: DeployedTemplates, handler: str) -> dict[str, set[str]]:
    """Return the actions of a function's role, with the resources that each reaches."""
    stack, _ = deployment.place_of_function(handler)
    role = deployment.function(handler)["Role"]["Fn::GetAtt"][0]
    reached: dict[str, set[str]] = {}
    for policy in deployment[stack].properties_of("AWS::IAM::ManagedPolicy"):
        if {"Ref": role} not in policy["Roles"]:
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            for action in actions:
                reached.setdefault(action, set()).update(deployment.texts(stack, statement["Resource"]))
    return reached


def _version_of(deployment: DeployedTemplates, stack: str, alias: dict[str, Any]) -> str:
    version: str = alias["FunctionVersion"]["Fn::GetAtt"][0]
    assert deployment[stack].resources[version]["Type"] == "AWS::Lambda::Version"
    return version


def _arn(reference: str) -> str:
    return reference.removesuffix(">") + ".Arn>"


def _handlers(deployment: DeployedTemplates) -> set[str]:
    """Return the handlers of an environment's functions, with the probe if it is configured."""
    return {*HANDLERS, *([PROBE] if deployment.environment.services.catalog.probe else [])}


def test_service_has_exactly_these_functions(deployment: DeployedTemplates) -> None:
    assert set(deployment.functions()) == _handlers(deployment)


@pytest.mark.requirement("functions")
@pytest.mark.parametrize("handler", HANDLERS)
def test_functions_run_python_on_arm_with_traces_and_json_logs(deployment: DeployedTemplates, handler: str) -> None:
    function = deployment.function(handler)

    assert function["Runtime"] == "python3.14"
    assert function["Architectures"] == ["arm64"]
    assert function["TracingConfig"] == {"Mode": "Active"}
    logging = function["LoggingConfig"]
    assert logging["LogFormat"] == "JSON"
    assert logging["ApplicationLogLevel"] == deployment.environment.logs.level.value


@pytest.mark.requirement("functions")
@pytest.mark.parametrize("handler", HANDLERS)
def test_functions_log_to_their_own_groups(deployment: DeployedTemplates, handler: str) -> None:
    # Given the explicit log group of the function
    stack, _ = deployment.place_of_function(handler)
    group = deployment.function(handler)["LoggingConfig"]["LogGroup"]["Ref"]
    resource = deployment[stack].resources[group]

    # Then it is encrypted, expires as configured, and is used by no other function
    assert resource["Type"] == "AWS::Logs::LogGroup"
    assert resource["Properties"]["RetentionInDays"] == deployment.environment.logs.retention_days
    assert "KmsKeyId" in resource["Properties"]
    users = [entry for entry in deployment.functions().values() if entry["LoggingConfig"]["LogGroup"] == {"Ref": group}]
    assert len(users) == len({deployment.place_of_function(name)[0] for name in HANDLERS if name == handler})


@pytest.mark.requirement("functions")
@pytest.mark.parametrize("handler", HANDLERS)
def test_functions_ship_code_and_dependencies_separately(deployment: DeployedTemplates, handler: str) -> None:
    # Given code and layer
    stack, _ = deployment.place_of_function(handler)
    function = deployment.function(handler)
    # An environment with experiments adds AWS FIS's extension
    layer, *_ = function["Layers"]
    content = deployment[stack].resources[layer["Ref"]]["Properties"]

    # Then they are two zips, for the same runtime and processor
    assert function["Code"]["S3Key"] != content["Content"]["S3Key"]
    assert content["CompatibleRuntimes"] == ["python3.14"]
    assert content["CompatibleArchitectures"] == ["arm64"]


def test_every_environment_ships_the_same_bytes(
    dev: DeployedTemplates, staging: DeployedTemplates, prod: DeployedTemplates
) -> None:
    keys = [
        {
            (name, function["Code"]["S3Key"])
            for template in deployment
            for name, function in deployment.functions().items()
            if name != PROBE
        }
        | {
            ("layer", layer["Content"]["S3Key"])
            for template in deployment
            for layer in template.properties_of("AWS::Lambda::LayerVersion")
        }
        for deployment in (dev, staging, prod)
    ]

    assert keys[0] == keys[1] == keys[2]


@pytest.mark.requirement("functions")
def test_every_function_has_its_own_role(deployment: DeployedTemplates) -> None:
    roles = [
        (deployment.place_of_function(handler)[0], function["Role"]["Fn::GetAtt"][0])
        for handler, function in deployment.functions().items()
    ]

    assert len(set(roles)) == len(_handlers(deployment))
    for stack, role in roles:
        resource = deployment[stack].resources[role]["Properties"]
        (statement,) = resource["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
        assert "ManagedPolicyArns" not in resource
        assert "Policies" not in resource
        assert not [
            policy for policy in deployment[stack].properties_of("AWS::IAM::Policy") if {"Ref": role} in policy["Roles"]
        ]


def _faults(deployment: DeployedTemplates) -> set[str]:
    """Return what AWS FIS's extension does in a function's role, if the environment has experiments."""
    return set() if deployment.environment.resilience is None else {"s3:GetObject", "s3:ListBucket"}


@pytest.mark.requirement("functions")
def test_the_api_function_may_do_exactly_this(deployment: DeployedTemplates) -> None:
    # Given the permissions of its role
    reached = _permissions(deployment, "api.handler")
    table, idempotency = _arn(deployment.output("TableName")), _arn(deployment.output("IdempotencyTableName"))

    # Then it allows exactly these actions, on these resources
    assert set(reached) == _BASE | _IDEMPOTENCY | {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "secretsmanager:GetSecretValue",
        *_FLAGS,
        *_faults(deployment),
    }
    assert reached["dynamodb:Query"] == {f"{table}/index/by-recency", f"{table}/index/by-status"}
    assert reached["dynamodb:GetItem"] == {table}
    assert reached["dynamodb:PutItem"] <= {table, idempotency}
    assert reached["dynamodb:DeleteItem"] <= {table, idempotency}
    assert reached["dynamodb:UpdateItem"] <= {table, idempotency}
    assert reached["secretsmanager:GetSecretValue"] == {
        deployment.output("CursorSecretArn"),
        deployment.output("OriginSecretArn"),
    }
    assert reached["kms:Decrypt"] == {deployment.output("KeyArn")}


@pytest.mark.requirement("functions")
def test_the_stream_function_may_do_exactly_this(deployment: DeployedTemplates) -> None:
    # Given the permissions of its role
    reached = _permissions(deployment, "stream.handler")
    table, idempotency = _arn(deployment.output("TableName")), _arn(deployment.output("IdempotencyTableName"))
    stream = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}

    # Then it allows exactly these actions, on these resources
    assert set(reached) == _BASE | _FAILURES | _IDEMPOTENCY | stream | {
        "dynamodb:ListStreams",
        "s3:PutObject",
        "sns:Publish",
        *_faults(deployment),
    }
    for action in stream:
        assert reached[action] == {table.replace(".Arn>", ".StreamArn>")}
    for action in _IDEMPOTENCY:
        assert reached[action] == {idempotency}
    (objects,) = reached["s3:PutObject"]
    assert objects.endswith(f":s3:::cf-serverless-{deployment.environment.unique_id('catalog')}/items/*")
    assert reached["sns:Publish"] == {deployment.output("NotificationTopicArn")}
    # And writers with the key may generate data keys, and readers may decrypt
    assert reached["kms:GenerateDataKey"] == reached["kms:Decrypt"] == {deployment.output("KeyArn")}


@pytest.mark.requirement("functions")
def test_the_rotation_function_may_do_exactly_this(deployment: DeployedTemplates) -> None:
    reached = _permissions(deployment, "rotation.handler")
    steps = {
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    }

    assert set(reached) == _BASE | _FAILURES | steps | {"secretsmanager:GetRandomPassword"}
    for action in steps:
        assert reached[action] == {deployment.output("CursorSecretArn")}
    assert reached["kms:GenerateDataKey"] == reached["kms:Decrypt"] == {deployment.output("KeyArn")}


def _called(reached: dict[str, set[str]]) -> set[str]:
    """Return what a hook may call, after checking where it reports."""
    (group,) = reached["codedeploy:PutLifecycleEventHookExecutionStatus"]
    assert ":deploymentgroup:" in group
    assert "*" not in group
    return reached["lambda:InvokeFunction"]


_HOOK = {"lambda:InvokeFunction", "codedeploy:PutLifecycleEventHookExecutionStatus"}


@pytest.mark.requirement("functions")
def test_a_hook_may_only_call_the_new_version_and_report(deployment: DeployedTemplates) -> None:
    reached = _permissions(deployment, "hooks.stream_handler")

    assert set(reached) == _BASE | _FAILURES | _HOOK
    assert _called(reached) == {deployment.aliases("stream.handler")["staging"]}


@pytest.mark.requirement("functions")
def test_a_hook_that_compares_may_call_both_versions(deployment: DeployedTemplates) -> None:
    reached = _permissions(deployment, "hooks.api_handler")
    _, function = deployment.place_of_function("api.handler")

    compares = {"secretsmanager:GetSecretValue", "lambda:ListVersionsByFunction"}
    assert set(reached) == _BASE | _FAILURES | _HOOK | compares
    assert _called(reached) == {deployment.aliases("api.handler")["staging"], f"<compute/{function}.Arn>:live"}
    assert reached["lambda:ListVersionsByFunction"] == {f"<compute/{function}.Arn>"}
    assert reached["secretsmanager:GetSecretValue"] == {deployment.output("OriginSecretArn")}


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_function_writes_only_to_its_own_log_group(deployment: DeployedTemplates, handler: str) -> None:
    stack, _ = deployment.place_of_function(handler)
    group = deployment.function(handler)["LoggingConfig"]["LogGroup"]["Ref"]

    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        assert _permissions(deployment, handler)[action] == {f"<{stack}/{group}.Arn>"}


@pytest.mark.requirement("items: sizes")
def test_functions_have_the_configured_size(deployment: DeployedTemplates) -> None:
    for name in ("api", "stream"):
        function = deployment.function(f"{name}.handler")
        settings = getattr(deployment.environment.services.catalog, name)
        assert function["MemorySize"] == settings.memory_mb
        assert function["Timeout"] == settings.timeout_seconds
        assert function.get("ReservedConcurrentExecutions") == settings.reserved_concurrency


@pytest.mark.requirement("functions", "reserved concurrency that a new account does not have")
@pytest.mark.parametrize("deployment", ["dev, new account"], indirect=True)
def test_new_account_keeps_its_concurrency_if_configured(deployment: DeployedTemplates) -> None:
    # Given an account with ten concurrent executions in total, none of which can be reserved
    # Then no function reserves any
    assert all("ReservedConcurrentExecutions" not in function for function in deployment.functions().values())


@pytest.mark.requirement("items: sizes")
def test_reserved_concurrency_leaves_lambdas_minimum(committed: DeployedTemplates) -> None:
    # Given the default quota of 1000, of which Lambda keeps 100 unreserved
    reserved = sum(function.get("ReservedConcurrentExecutions", 0) for function in committed.functions().values())

    assert reserved <= 900


@pytest.mark.requirement("secrets")
def test_functions_get_the_variables_they_read_and_no_secret(deployment: DeployedTemplates) -> None:
    common = {
        "ENVIRONMENT": deployment.environment.name,
        "POWERTOOLS_SERVICE_NAME": "catalog",
        "POWERTOOLS_METRICS_NAMESPACE": deployment.environment.tags.project,
        "POWERTOOLS_LOG_LEVEL": deployment.environment.logs.level.value,
    }
    own = {
        "api.handler": {
            "TABLE_NAME": deployment.output("TableName"),
            "IDEMPOTENCY_TABLE_NAME": deployment.output("IdempotencyTableName"),
            "CURSOR_SECRET_ARN": deployment.output("CursorSecretArn"),
            "ORIGIN_SECRET_ARN": deployment.output("OriginSecretArn"),
            "CORS_ORIGINS": ",".join(deployment.environment.cors.origins),
            "FLAGS_APPLICATION": f"{deployment.environment.name}-catalog",
            "FLAGS_MAX_AGE_SECONDS": "60",
        },
        "stream.handler": {
            "BUCKET_NAME": deployment.output("BucketName"),
            "TOPIC_ARN": deployment.output("NotificationTopicArn"),
            "IDEMPOTENCY_TABLE_NAME": deployment.output("IdempotencyTableName"),
        },
        "rotation.handler": {},
        "hooks.api_handler": {
            "TARGET_ALIAS_ARN": deployment.aliases("api.handler")["staging"],
            "CURRENT_ALIAS_ARN": f"<compute/{deployment.place_of_function('api.handler')[1]}.Arn>:live",
            "ORIGIN_SECRET_ARN": deployment.output("OriginSecretArn"),
        },
        "hooks.stream_handler": {"TARGET_ALIAS_ARN": deployment.aliases("stream.handler")["staging"]},
    }
    for handler, function in deployment.functions().items():
        if handler == PROBE:
            # test_probe.py checks its addresses
            continue
        stack, _ = deployment.place_of_function(handler)
        variables = {
            name: deployment.text(stack, value) for name, value in function["Environment"]["Variables"].items()
        }
        has_traffic = handler in {"api.handler", "stream.handler"}
        assert variables == common | own[handler] | (_variables_of_faults(deployment) if has_traffic else {}), handler


def _variables_of_faults(deployment: DeployedTemplates) -> dict[str, str]:
    """Return what AWS FIS's extension reads, if the environment has experiments."""
    if deployment.environment.resilience is None:
        return {}
    faults = f"cf-serverless-faults-{deployment.environment.unique_id('catalog')}"
    return {
        "AWS_FIS_CONFIGURATION_LOCATION": f"arn:<AWS::Partition>:s3:::{faults}/faults/",
        "AWS_FIS_POLL_MAX_WAIT_MILLISECONDS": "200",
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/aws-fis/bootstrap",
    }


@pytest.mark.parametrize("handler", HANDLERS)
def test_versions_are_kept_and_both_aliases_start_at_the_newest(deployment: DeployedTemplates, handler: str) -> None:
    # Given the aliases of the function
    stack, function = deployment.place_of_function(handler)
    aliases = {
        resource["Properties"]["Name"]: resource["Properties"]
        for resource in deployment[stack].of_type("AWS::Lambda::Alias").values()
        if resource["Properties"]["FunctionName"] == {"Ref": function}
    }

    # Then both exist, on the same version, which is retained when replaced
    assert set(aliases) == {"live", "staging"}
    versions = {_version_of(deployment, stack, alias) for alias in aliases.values()}
    (version,) = versions
    resource = deployment[stack].resources[version]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) in KEPT


@pytest.mark.parametrize("handler", ["api.handler", "stream.handler"])
def test_the_new_version_is_behind_staging_before_live_moves(deployment: DeployedTemplates, handler: str) -> None:
    stack, _ = deployment.place_of_function(handler)
    aliases = {name: reference[1:-1].split("/")[1] for name, reference in deployment.aliases(handler).items()}

    assert aliases["staging"] in deployment[stack].resources[aliases["live"]]["DependsOn"]


@pytest.mark.requirement("versions and aliases")
def test_the_api_reaches_live_only(deployment: DeployedTemplates) -> None:
    # Given the integration of every route except preflights
    live = deployment.aliases("api.handler")["live"]
    methods = [
        method
        for method in deployment["compute"].properties_of("AWS::ApiGateway::Method")
        if method["HttpMethod"] != "OPTIONS"
    ]

    # Then it invokes the alias
    assert len(methods) >= len(ROUTES)
    for method in methods:
        assert deployment.text("compute", method["Integration"]["Uri"]).endswith(f"/functions/{live}/invocations")


@pytest.mark.requirement("versions and aliases")
def test_the_stream_reaches_live_only(deployment: DeployedTemplates) -> None:
    mapping = deployment["compute"].only("AWS::Lambda::EventSourceMapping")
    qualified = deployment.text("compute", mapping["FunctionName"])

    assert deployment.aliases("stream.handler")["live"] == deployment.output("StreamFunctionArn")
    assert deployment.output("StreamFunctionArn") in qualified
    assert qualified.endswith(":live")


@pytest.mark.requirement("versions and aliases")
def test_only_live_receives_traffic(deployment: DeployedTemplates) -> None:
    live = {deployment.aliases(handler)["live"] for handler in _handlers(deployment)}

    for template in deployment:
        for permission in template.properties_of("AWS::Lambda::Permission"):
            # Secrets Manager invokes the function itself, as documented, and rotates without traffic shifting
            if permission["Principal"] != "secretsmanager.amazonaws.com":
                assert deployment.text(template.name, permission["FunctionName"]) in live
            assert permission["Action"] == "lambda:InvokeFunction"


@pytest.mark.requirement("functions", "retries and dead letters without effect")
@pytest.mark.parametrize("handler", ASYNCHRONOUS)
@pytest.mark.parametrize("alias", ["live", "staging"])
def test_asynchronous_calls_are_retried_twice_then_dead_letters(
    deployment: DeployedTemplates, handler: str, alias: str
) -> None:
    # Given the asynchronous invocation settings of the alias
    stack, function = deployment.place_of_function(handler)
    reference = deployment.aliases(handler)[alias]
    (config,) = [
        resource
        for resource in deployment[stack].of_type("AWS::Lambda::EventInvokeConfig").values()
        if resource["Properties"]["FunctionName"] == {"Ref": function}
        and reference in deployment.text(stack, resource["Properties"]["Qualifier"])
    ]

    # Then failed events end in an encrypted queue
    properties = config["Properties"]
    assert properties["MaximumRetryAttempts"] == 2
    assert properties["MaximumEventAgeInSeconds"] == 7200
    queue = deployment.text(stack, properties["DestinationConfig"]["OnFailure"]["Destination"])
    assert deployment.behind(queue)["Type"] == "AWS::SQS::Queue"
    # And the settings depend on the alias, which they only refer to by name
    assert reference[1:-1].split("/")[1] in config["DependsOn"]


@pytest.mark.requirement("items: after a creation")
def test_stream_is_read_with_partial_failures(
    deployment: DeployedTemplates,
) -> None:
    # Given the mapping of the table's stream
    mapping = deployment["compute"].only("AWS::Lambda::EventSourceMapping")

    # Then only failed records are retried, in halved batches, and end in the dead letter queue
    stream = _arn(deployment.output("TableName")).replace(".Arn>", ".StreamArn>")
    assert deployment.text("compute", mapping["EventSourceArn"]) == stream
    assert [json.loads(entry["Pattern"]) for entry in mapping["FilterCriteria"]["Filters"]] == [
        {"eventName": ["INSERT"]}
    ]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["MaximumRecordAgeInSeconds"] == 7200
    queue = deployment.text("compute", mapping["DestinationConfig"]["OnFailure"]["Destination"])
    assert queue == _arn(deployment.output("DeadLetterQueueUrl"))


@pytest.mark.requirement("items: after a creation")
def test_notifications_go_to_an_encrypted_fifo_topic(deployment: DeployedTemplates) -> None:
    topic = deployment.behind(deployment.output("NotificationTopicArn"))["Properties"]

    assert topic["FifoTopic"] is True
    assert "KmsMasterKeyId" in topic


@pytest.mark.requirement("provisioned concurrency")
@pytest.mark.parametrize(
    "deployment",
    variants(lambda environment: environment.services.catalog.api.provisioned_concurrency is not None),
    indirect=True,
)
def test_warm_environments_scale_on_live_by_target_tracking(deployment: DeployedTemplates) -> None:
    # Given the scalable target in compute
    settings = deployment.environment.services.catalog.api.provisioned_concurrency
    assert settings
    compute = deployment["compute"]
    target = compute.only("AWS::ApplicationAutoScaling::ScalableTarget")
    policy = compute.only("AWS::ApplicationAutoScaling::ScalingPolicy")

    # Then it is the alias `live` of the API's function, within the configured bounds
    assert target["ScalableDimension"] == "lambda:function:ProvisionedConcurrency"
    assert deployment.aliases("api.handler")["live"] in deployment.text("compute", target["ResourceId"])
    assert deployment.text("compute", target["ResourceId"]).endswith(":live")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (settings.minimum, settings.maximum)
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == settings.target_utilization
    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert metric == "LambdaProvisionedConcurrencyUtilization"


@pytest.mark.parametrize(
    "deployment", variants(lambda environment: environment.services.catalog.stream.snap_start), indirect=True
)
def test_versions_start_from_snapshots_if_configured(deployment: DeployedTemplates) -> None:
    functions = deployment["compute"].properties_of("AWS::Lambda::Function")

    starts = {function["Handler"].split(".")[-2]: function.get("SnapStart") for function in functions}
    assert starts["stream"] == {"ApplyOn": "PublishedVersions"}
    assert starts["api"] is None


@pytest.mark.requirement("provisioned concurrency")
def test_prod_keeps_1_to_10_environments_warm_at_70_percent(dev: DeployedTemplates, prod: DeployedTemplates) -> None:
    settings = prod.environment.services.catalog.api.provisioned_concurrency

    assert settings
    assert (settings.minimum, settings.maximum, settings.target_utilization) == (1, 10, 0.7)
    assert dev.environment.services.catalog.api.provisioned_concurrency is None
