"""Price of each resource type: a function for types that cost money, a reason for those that don't."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

from slipway.cost.assembly import PricedResource, PricedStack
from slipway.cost.scope import HOURS, MILLION, SECONDS, Charge, CostScope
from slipway_runtime.flag_names import MAX_AGE

Pricer = Callable[[PricedResource, CostScope], Iterator[Charge]]

_DAYS = Decimal("30.4")
_GB = Decimal(1_000_000_000)

# An API's methods each have these when detailed metrics are on:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
_METHOD_METRICS = 5

# Alarms that a target tracking policy creates: high and low, and for a table's capacity both again for the provisioned
# units. https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html
_POLICY_ALARMS = {"dynamodb": 4, "lambda": 2}

# Lambda's pollers of an empty queue, each with long polls of 20 s:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
_IDLE_POLLS = SECONDS / 20 * 5

# These managed rule groups have their own subscription fee.
_PAID_GROUPS = frozenset(
    {
        "AWSManagedRulesACFPRuleSet",
        "AWSManagedRulesATPRuleSet",
        "AWSManagedRulesAntiDDoSRuleSet",
        "AWSManagedRulesBotControlRuleSet",
    }
)


def _key(key: PricedResource, scope: CostScope) -> Iterator[Charge]:
    yield Charge.monthly("KMS", "keys", scope.prices.kms.key.of(1))
    if key.get("EnableKeyRotation") is True:
        rotations = scope.prices.kms.rotation.of(scope.assume.key_rotations)
        yield Charge.monthly("KMS", "rotated key versions", rotations)


def _kms_reuse(scope: CostScope) -> Charge:
    calls = SECONDS / scope.assume.kms_reuse_seconds
    return Charge.monthly("KMS", "requests", scope.prices.kms.requests.of(calls))


def _secret(secret: PricedResource, scope: CostScope) -> Iterator[Charge]:
    prices = scope.prices
    yield Charge.monthly("Secrets Manager", "secrets", prices.secrets_manager.secret.of(1))
    reads = scope.traffic.api * scope.assume.secret_reads_per_request * MILLION
    yield Charge.per_million("Secrets Manager", "requests", prices.secrets_manager.requests.of(reads))
    if secret.get("KmsKeyId") is not None:
        yield Charge.per_million("KMS", "requests", prices.kms.requests.of(reads))


def _alarm(alarm: PricedResource, scope: CostScope) -> Iterator[Charge]:
    metrics = alarm.list("Metrics")
    expressions = [str(metric["Expression"]) for metric in metrics if "Expression" in metric]
    for expression in expressions:
        if expression.lstrip().upper().startswith(("SELECT", "SEARCH")):
            raise alarm.error("the number of metrics that its query finds is known only at run time")
    periods = [
        alarm.stack.number(metric["MetricStat"]["Period"], f"{alarm.logical_id}.Metrics.MetricStat.Period")
        for metric in metrics
        if "MetricStat" in metric
    ] or [alarm.number("Period", default=60)]
    band = 3 if any("ANOMALY_DETECTION_BAND" in expression for expression in expressions) else 1
    for fine in (True, False):
        count = sum((period < 60) is fine for period in periods) * band
        price = scope.prices.cloudwatch.alarm_high_resolution if fine else scope.prices.cloudwatch.alarm
        if count:
            yield Charge.monthly("CloudWatch", "alarms, high resolution" if fine else "alarms", price.of(count))


def _composite_alarm(_: PricedResource, scope: CostScope) -> Iterator[Charge]:
    yield Charge.monthly("CloudWatch", "alarms, composite", scope.prices.cloudwatch.alarm_composite.of(1))


def _scaling_policy(policy: PricedResource, scope: CostScope) -> Iterator[Charge]:
    if policy.get("PolicyType") != "TargetTrackingScaling":
        raise policy.error("only target tracking is priced; it creates its own alarms")
    metric = policy.get(
        "TargetTrackingScalingPolicyConfiguration", "PredefinedMetricSpecification", "PredefinedMetricType"
    )
    namespace = "dynamodb" if str(metric).startswith("DynamoDB") else "lambda"
    count = _POLICY_ALARMS[namespace]
    yield Charge.monthly("CloudWatch", "alarms of auto scaling", scope.prices.cloudwatch.alarm.of(count))


def _scalable_target(target: PricedResource, scope: CostScope) -> Iterator[Charge]:
    """Yield provisioned concurrency at its minimum; a table's capacity is priced with the table."""
    if target.get("ScalableDimension") != "lambda:function:ProvisionedConcurrency":
        return
    minimum = target.number("MinCapacity")
    for function in scope.functions(target, target.get("ResourceId")):
        yield _provisioned(function, minimum, scope)


def _alias(alias: PricedResource, scope: CostScope) -> Iterator[Charge]:
    if alias.get("ProvisionedConcurrencyConfig") is None:
        return
    scaled = [
        target
        for target in scope.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
        if alias in scope.targets(target, target.get("ResourceId"))
    ]
    # A scalable target's minimum takes precedence.
    if not scaled:
        count = alias.number("ProvisionedConcurrencyConfig", "ProvisionedConcurrentExecutions")
        for function in scope.functions(alias, alias.get("FunctionName")):
            yield _provisioned(function, count, scope)


def _memory_gb(function: PricedResource) -> Decimal:
    return function.number("MemorySize", default=128) / 1024


def _is_arm(function: PricedResource) -> bool:
    return function.list("Architectures") == ["arm64"]


def _provisioned(function: PricedResource, count: Decimal, scope: CostScope) -> Charge:
    rates = scope.prices.lambda_.arm64 if _is_arm(function) else scope.prices.lambda_.x86_64
    seconds = _memory_gb(function) * SECONDS * count
    return Charge.monthly("Lambda", "provisioned concurrency", rates.provisioned_concurrency.of(seconds))


def _function(function: PricedResource, scope: CostScope) -> Iterator[Charge]:
    assume = scope.assume
    traced = function.get("TracingConfig", "Mode") == "Active"
    served = [
        # If the API is traced, the trace begins there and is already counted.
        (scope.api_share(function) * scope.traffic.api, assume.api_duration_ms, traced and not scope.api_is_traced),
        (scope.event_share(function), assume.event_duration_ms, traced),
    ]
    for share, milliseconds, begins in served:
        for aws, what, usd in _invocations(function, share * MILLION, milliseconds, begins, scope):
            yield Charge.per_million(aws, what, usd)
    if function.get("SnapStart", "ApplyOn") == "PublishedVersions":
        # Only one version: older ones keep their snapshots until they have been unused for two weeks.
        cached = scope.prices.lambda_.snapshot_cache.of(_memory_gb(function) * SECONDS)
        yield Charge.monthly("Lambda", "snapshots", cached)
    scheduled = scope.scheduled(function)
    if scheduled:
        for aws, what, usd in _invocations(function, scheduled, assume.event_duration_ms, traced, scope):
            yield Charge.monthly(aws, what, usd)
    if scheduled or any(share for share, *_ in served):
        if function.get("Environment", "Variables", "POWERTOOLS_METRICS_NAMESPACE") is not None:
            metrics = scope.prices.cloudwatch.metric.of(assume.custom_metrics_per_function)
            yield Charge.monthly("CloudWatch", "metrics that functions publish", metrics)
    else:
        few = assume.occasional_invocations_per_month
        for aws, what, usd in _invocations(function, few, assume.occasional_duration_ms, traced, scope):
            yield Charge.monthly(aws, what, usd)


def _invocations(
    function: PricedResource, count: Decimal, milliseconds: Decimal, traced: bool, scope: CostScope
) -> Iterator[tuple[str, str, Decimal]]:
    prices, assume = scope.prices, scope.assume
    seconds = count * milliseconds / 1000
    rates = prices.lambda_.arm64 if _is_arm(function) else prices.lambda_.x86_64
    yield "Lambda", "requests", prices.lambda_.requests.of(count)
    yield "Lambda", "duration", rates.duration.of(seconds * _memory_gb(function))
    ephemeral = function.number("EphemeralStorage", "Size", default=512) - 512
    if ephemeral > 0:
        usd = prices.lambda_.ephemeral_storage.of(seconds * ephemeral / 1024)
        yield "Lambda", "ephemeral storage", usd
    if function.get("SnapStart", "ApplyOn") == "PublishedVersions":
        restored = count * assume.cold_start_share * _memory_gb(function)
        yield "Lambda", "starts from snapshots", prices.lambda_.snapshot_restore.of(restored)
    retention = scope.retention_days(function, function.get("LoggingConfig", "LogGroup"))
    yield "CloudWatch", "logs", _logs(count * assume.function_log_bytes, retention, scope)
    if traced:
        yield "X-Ray", "traces", prices.x_ray.traces.of(count * assume.trace_share)
    if function.get("KmsKeyArn") is not None:
        yield "KMS", "requests", prices.kms.requests.of(count * assume.cold_start_share)


def _logs(size: Decimal, retention_days: Decimal, scope: CostScope) -> Decimal:
    """Return the monthly cost of ingesting a number of bytes, and of storing them until they expire."""
    gb = size / _GB
    kept = gb * scope.assume.log_storage_ratio * retention_days / _DAYS
    return scope.prices.cloudwatch.logs_ingested.of(gb) + scope.prices.cloudwatch.logs_stored.of(kept)


def _table(table: PricedResource, scope: CostScope) -> Iterator[Charge]:
    prices, assume, traffic = scope.prices.dynamodb, scope.assume, scope.traffic
    if table.get("TableClass") not in (None, "STANDARD"):
        raise table.error(f"table class {table.get('TableClass')} is not priced")
    indexes = table.list("GlobalSecondaryIndexes")
    if table.get("BillingMode") == "PAY_PER_REQUEST":
        bookkeeping = table.get("TimeToLiveSpecification") is not None and table.get("StreamSpecification") is None
        if bookkeeping:
            reads = Decimal(0)
            writes = (traffic.writes + scope.events) * assume.bookkeeping_writes_per_write
        else:
            reads = traffic.reads
            writes = traffic.writes * (1 + len(indexes))
        units = writes * assume.write_units_per_write * MILLION
        yield Charge.per_million("DynamoDB", "write requests", prices.write_requests.of(units))
        units = reads * assume.read_units_per_read * MILLION
        if units:
            yield Charge.per_million("DynamoDB", "read requests", prices.read_requests.of(units))
    else:
        capacity = (("ReadCapacityUnits", prices.read_capacity), ("WriteCapacityUnits", prices.write_capacity))
        minimum = {
            (_index(target), str(target.get("ScalableDimension")).rpartition(":")[2]): target.number("MinCapacity")
            for target in scope.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
            if table in scope.targets(target, target.get("ResourceId"))
        }
        places = [(None, table.get("ProvisionedThroughput"))]
        places += [(index["IndexName"], index.get("ProvisionedThroughput")) for index in indexes]
        for index_name, throughput in places:
            for name, price in capacity:
                given = (throughput or {}).get(name)
                place = f"{table.logical_id}.ProvisionedThroughput.{name}"
                lowest = minimum.get((index_name, name))
                count = table.stack.number(given, place) if lowest is None else lowest
                yield Charge.monthly("DynamoDB", "provisioned capacity", price.of(count * HOURS))
    yield Charge.monthly("DynamoDB", "storage", prices.storage.of(assume.stored_gb_per_table))
    if table.get("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") is True:
        usd = prices.point_in_time_recovery.of(assume.stored_gb_per_table)
        yield Charge.monthly("DynamoDB", "point-in-time recovery", usd)
    if table.get("SSESpecification", "SSEType") == "KMS":
        yield _kms_reuse(scope)


def _index(target: PricedResource) -> str | None:
    """Index of a scalable target's resource id, `table/<name>/index/<index>`, where the name may be a reference."""
    text = str(target.get("ResourceId"))
    _, marker, rest = text.partition("/index/")
    return rest.split("'")[0].split('"')[0] if marker else None


def _rest_api(_: PricedResource, scope: CostScope) -> Iterator[Charge]:
    requests = scope.traffic.api / scope.apis * MILLION
    yield Charge.per_million("API Gateway", "REST requests", scope.prices.api_gateway.rest_requests.of(requests))
    yield from _answers(scope)


def _http_api(api: PricedResource, scope: CostScope) -> Iterator[Charge]:
    if api.get("ProtocolType") not in (None, "HTTP"):
        raise api.error(f"protocol {api.get('ProtocolType')} is not priced")
    requests = scope.traffic.api / scope.apis * MILLION
    yield Charge.per_million("API Gateway", "HTTP requests", scope.prices.api_gateway.http_requests.of(requests))
    yield from _answers(scope)


def _answers(scope: CostScope) -> Iterator[Charge]:
    """Yield the cost of an API's data transfer to the internet; transfer to CloudFront is free."""
    size = scope.traffic.direct / scope.apis * scope.assume.response_bytes * MILLION
    if size:
        yield Charge.per_million("API Gateway", "data out", scope.prices.data_transfer.out.of(size / _GB))


def _rest_stage(stage: PricedResource, scope: CostScope) -> Iterator[Charge]:
    prices, assume = scope.prices, scope.assume
    requests = scope.traffic.api / scope.apis * MILLION
    settings = stage.list("MethodSettings")
    if stage.get("CacheClusterEnabled") is True:
        size = format(stage.number("CacheClusterSize").normalize(), "f")
        price = prices.api_gateway.cache.get(size)
        if price is None:
            raise stage.error(f"prices.api_gateway.cache has no price for a cache of {size} GB; add it")
        yield Charge.monthly("API Gateway", "cache", price.of(HOURS))
    if any(setting.get("LoggingLevel") == "INFO" for setting in settings):
        retention = scope.execution_log_retention(stage)
        usd = _logs(requests * assume.execution_log_bytes, retention, scope)
        yield Charge.per_million("CloudWatch", "logs", usd)
    yield from _stage_logs(stage, ("AccessLogSetting", "DestinationArn"), requests, scope)
    if stage.get("TracingEnabled") is True:
        yield Charge.per_million("X-Ray", "traces", prices.x_ray.traces.of(requests * assume.trace_share))
    if any(setting.get("MetricsEnabled") is True for setting in settings):
        methods = sum(method.get("RestApiId") == stage.get("RestApiId") for method in _methods(stage))
        usd = prices.cloudwatch.metric.of(methods * _METHOD_METRICS)
        yield Charge.monthly("CloudWatch", "metrics by API method", usd)


def _http_stage(stage: PricedResource, scope: CostScope) -> Iterator[Charge]:
    requests = scope.traffic.api / scope.apis * MILLION
    yield from _stage_logs(stage, ("AccessLogSettings", "DestinationArn"), requests, scope)
    if stage.get("DefaultRouteSettings", "DetailedMetricsEnabled") is True:
        routes = [one for one in stage.stack.resources if one.type == "AWS::ApiGatewayV2::Route"]
        count = sum(route.get("ApiId") == stage.get("ApiId") for route in routes)
        usd = scope.prices.cloudwatch.metric.of(count * _METHOD_METRICS)
        yield Charge.monthly("CloudWatch", "metrics by API method", usd)


def _stage_logs(stage: PricedResource, path: tuple[str, ...], requests: Decimal, scope: CostScope) -> Iterator[Charge]:
    destination = stage.get(*path)
    if destination is not None:
        size = requests * scope.assume.access_log_bytes
        usd = _logs(size, scope.retention_days(stage, destination), scope)
        yield Charge.per_million("CloudWatch", "logs", usd)


def _methods(stage: PricedResource) -> Iterator[PricedResource]:
    return (one for one in stage.stack.resources if one.type == "AWS::ApiGateway::Method")


def _distribution(_: PricedResource, scope: CostScope) -> Iterator[Charge]:
    requests = scope.traffic.edge * MILLION
    size = requests * scope.assume.response_bytes
    yield Charge.per_million("CloudFront", "requests", scope.prices.cloudfront.requests.of(requests))
    yield Charge.per_million("CloudFront", "data out", scope.prices.cloudfront.data_out.of(size / _GB))


def _web_acl(acl: PricedResource, scope: CostScope) -> Iterator[Charge]:
    prices = scope.prices.waf
    rules = acl.list("Rules")
    for rule in rules:
        group = rule.get("Statement", {}).get("ManagedRuleGroupStatement", {})
        if group and (group.get("VendorName") != "AWS" or group.get("Name") in _PAID_GROUPS):
            raise acl.error(f"rule group {group.get('Name')} costs a subscription that is not priced")
    yield Charge.monthly("WAF", "web ACLs", prices.web_acl.of(1))
    yield Charge.monthly("WAF", "rules and managed groups", prices.rule.of(len(rules)))
    yield Charge.per_million("WAF", "requests", prices.requests.of(_seen_by(acl, scope) * MILLION))


def _seen_by(acl: PricedResource, scope: CostScope) -> Decimal:
    """Return the requests that a web ACL inspects: viewers' at the edge, those of its API otherwise."""
    return scope.traffic.edge if acl.get("Scope") == "CLOUDFRONT" else scope.traffic.api


def _web_acl_log(logging: PricedResource, scope: CostScope) -> Iterator[Charge]:
    acls = scope.targets(logging, logging.get("ResourceArn"))
    requests = sum((_seen_by(acl, scope) for acl in acls), Decimal(0)) * MILLION
    if logging.get("LoggingFilter", "DefaultBehavior") == "DROP":
        requests *= scope.assume.waf_logged_share
    for destination in logging.list("LogDestinationConfigs"):
        if [one.type for one in scope.targets(logging, destination)] != ["AWS::Logs::LogGroup"]:
            raise logging.error("only logs in a log group are priced")
        usd = _logs(requests * scope.assume.waf_log_bytes, scope.retention_days(logging, destination), scope)
        yield Charge.per_million("CloudWatch", "logs", usd)


def _backup_selection(selection: PricedResource, scope: CostScope) -> Iterator[Charge]:
    days = Decimal(0)
    for plan in scope.targets(selection, selection.get("BackupPlanId")):
        for rule in plan.list("BackupPlan", "BackupPlanRule"):
            days += plan.stack.number(rule["Lifecycle"]["DeleteAfterDays"], f"{plan.logical_id}.DeleteAfterDays")
    prices, assume = scope.prices.backup, scope.assume
    for resource in scope.targets(selection, selection.get("BackupSelection", "Resources")):
        match resource.type:
            case "AWS::DynamoDB::Table":
                # One per day, each of the whole table.
                usd = prices.dynamodb_storage.of(days * assume.stored_gb_per_table)
            case "AWS::S3::Bucket":
                usd = prices.s3_storage.of(assume.stored_gb_per_bucket)
            case other:
                raise selection.error(f"backups of {other} are not priced")
        yield Charge.monthly("Backup", "storage", usd)


_TESTS_A_MONTH = Decimal("4.35")
"""Weeks per month."""


def _restore_testing_selection(selection: PricedResource, scope: CostScope) -> Iterator[Charge]:
    """Yield the cost of weekly restores. AWS's fee per test is not among the prices: see its page."""
    prices, assume = scope.prices.backup, scope.assume
    for resource in scope.targets(selection, selection.get("ProtectedResourceArns")):
        match resource.type:
            case "AWS::DynamoDB::Table":
                usd = prices.dynamodb_restores.of(_TESTS_A_MONTH * assume.stored_gb_per_table)
            case "AWS::S3::Bucket":
                usd = prices.s3_restores.of(_TESTS_A_MONTH * assume.stored_gb_per_bucket)
            case other:
                raise selection.error(f"restores of {other} are not priced")
        yield Charge.monthly("Backup", "restore tests", usd)


_MINUTES = re.compile(r"PT(\d+)M")


def _experiment_template(template: PricedResource, scope: CostScope) -> Iterator[Charge]:
    """Yield what the experiment costs at every delivery: each action is charged by the minute."""
    for name, action in template.get("Actions").items():
        found = _MINUTES.fullmatch(str(action["Parameters"].get("duration")))
        if found is None:
            raise template.error(f"the action {name} has no duration in minutes")
        yield Charge.per_run("FIS", "experiments", scope.prices.fis.action.of(Decimal(found[1])))


def _dashboard(_: PricedResource, scope: CostScope) -> Iterator[Charge]:
    yield Charge.monthly("CloudWatch", "dashboards", scope.prices.cloudwatch.dashboard.of(1))


def _topic(topic: PricedResource, scope: CostScope) -> Iterator[Charge]:
    prices, assume = scope.prices.sns, scope.assume
    fifo = topic.get("FifoTopic") is True
    emails = sum(
        subscription.get("Protocol") in ("email", "email-json")
        and topic in scope.targets(subscription, subscription.get("TopicArn"))
        for subscription in scope.of_type("AWS::SNS::Subscription")
    )
    publishes = prices.fifo_publishes if fifo else prices.publishes
    if emails or scope.tells_alarms(topic):
        sent = assume.notifications_per_month
        yield Charge.monthly("SNS", "notifications", publishes.of(sent) + prices.email_deliveries.of(sent * emails))
    elif scope.events:
        events = scope.events * MILLION
        payload = prices.fifo_payload.of(events * assume.message_bytes / _GB) if fifo else Decimal(0)
        yield Charge.per_million("SNS", "publishes", publishes.of(events) + payload)
        if topic.get("KmsMasterKeyId") is not None:
            yield _kms_reuse(scope)


def _queue(queue: PricedResource, scope: CostScope) -> Iterator[Charge]:
    if scope.is_dead_letters(queue):
        # Only failures reach this queue, so its traffic is not priced.
        return
    price = scope.prices.sqs.fifo_requests if queue.get("FifoQueue") is True else scope.prices.sqs.requests
    requests = scope.traffic.writes * scope.assume.queue_requests_per_message * MILLION
    yield Charge.per_million("SQS", "requests", price.of(requests))
    if scope.is_polled(queue):
        yield Charge.monthly("SQS", "empty polls", price.of(_IDLE_POLLS))
    if queue.get("KmsMasterKeyId") is not None:
        yield _kms_reuse(scope)


def _bucket(bucket: PricedResource, scope: CostScope) -> Iterator[Charge]:
    prices, assume = scope.prices, scope.assume
    yield Charge.monthly("S3", "storage", prices.s3.storage.of(assume.stored_gb_per_bucket))
    if scope.is_log_bucket(bucket):
        return
    for pipeline in scope.of_type("AWS::CodePipeline::Pipeline"):
        if bucket in scope.targets(pipeline, pipeline.get("ArtifactStore", "Location")):
            days = [
                bucket.stack.number(rule["ExpirationInDays"], f"{bucket.logical_id}.ExpirationInDays")
                for rule in bucket.list("LifecycleConfiguration", "Rules")
                if "ExpirationInDays" in rule
            ]
            kept = min(days, default=assume.retention_days_when_unset) / _DAYS
            usd = prices.s3.storage.of(assume.artifact_mb_per_run / 1000 * kept)
            yield Charge.per_run("S3", "artifacts", usd + prices.s3.puts.of(len(scope.actions(pipeline))))
    if scope.events:
        puts = scope.events * MILLION
        yield Charge.per_million("S3", "PUT requests", prices.s3.puts.of(puts))
        for rule in bucket.list("BucketEncryption", "ServerSideEncryptionConfiguration"):
            if rule.get("ServerSideEncryptionByDefault", {}).get("SSEAlgorithm") == "aws:kms":
                share = assume.bucket_key_share if rule.get("BucketKeyEnabled") is True else Decimal(1)
                yield Charge.per_million("KMS", "requests", prices.kms.requests.of(puts * share))


def _pipeline(pipeline: PricedResource, scope: CostScope) -> Iterator[Charge]:
    prices, assume = scope.prices.codepipeline, scope.assume
    if pipeline.get("PipelineType") in (None, "V1"):
        yield Charge.monthly("CodePipeline", "V1 pipelines", prices.v1_pipeline.of(1))
        return
    for action in scope.actions(pipeline):
        provider = action["ActionTypeId"]["Provider"]
        if provider == "Manual" or action["ActionTypeId"]["Owner"] == "Custom":
            continue
        minutes = assume.build_minutes if provider == "CodeBuild" else assume.action_minutes.get(provider)
        if minutes is None:
            known = "assumptions.action_minutes"
            raise pipeline.error(
                f"action {action.get('Name')}: {known} in prices.toml has no entry for {provider}; add one"
            )
        yield Charge.per_run("CodePipeline", f"{provider} action minutes", prices.v2_action.of(minutes))


def _project(project: PricedResource, scope: CostScope) -> Iterator[Charge]:
    assume = scope.assume
    kind, compute = str(project.get("Environment", "Type")), str(project.get("Environment", "ComputeType"))
    price = scope.prices.codebuild.minute.get(kind, {}).get(compute)
    if price is None:
        raise project.error(f"prices.codebuild.minute.{kind}.{compute} is not in prices.toml")
    builds = sum(
        project in scope.targets(pipeline, action.get("Configuration", {}).get("ProjectName"))
        for pipeline in scope.of_type("AWS::CodePipeline::Pipeline")
        for action in scope.actions(pipeline)
    )
    if not builds:
        raise project.error("no pipeline runs it, so the number of runs is unknown")
    yield Charge.per_run("CodeBuild", "build minutes", price.of(assume.build_minutes * builds))
    retention = scope.retention_days(project, project.get("LogsConfig", "CloudWatchLogs", "GroupName"))
    size = assume.build_log_mb * 1_000_000 * builds
    yield Charge.per_run("CloudWatch", "logs", _logs(size, retention, scope))


def _delivery_destination(destination: PricedResource, scope: CostScope) -> Iterator[Charge]:
    """Yield no cost for CloudFront's log delivery to a bucket; another destination's log group would cost money."""
    found = [one.type for one in scope.targets(destination, destination.get("DestinationResourceArn"))]
    if found != ["AWS::S3::Bucket"] or destination.get("OutputFormat") == "parquet":
        raise destination.error("only deliveries to one bucket, and not as Parquet, are priced")
    yield from ()


def _user_pool(pool: PricedResource, scope: CostScope) -> Iterator[Charge]:
    plan = str(pool.get("UserPoolTier") or "ESSENTIALS")
    price = scope.prices.cognito.user.get(plan)
    if price is None:
        raise pool.error(f"no price is known for the plan {plan}")
    users = price.of(scope.assume.active_users_per_million_requests)
    yield Charge.per_million("Cognito", f"active users, {plan.lower()}", users)


def _flags(_: PricedResource, scope: CostScope) -> Iterator[Charge]:
    """Yield the cost of functions' requests to AppConfig: each environment once per cache period, and at its start."""
    prices, assume = scope.prices.app_config, scope.assume
    for function in scope.of_type("AWS::Lambda::Function"):
        age = function.get("Environment", "Variables", MAX_AGE)
        if age is None:
            continue
        polls = SECONDS / Decimal(str(age)) * assume.flag_pollers
        yield Charge.monthly("AppConfig", "requests", prices.requests.of(polls))
        starts = scope.traffic.api * assume.cold_start_share * MILLION
        yield Charge.per_million("AppConfig", "configurations received", prices.received.of(starts))


PRICED: Mapping[str, Pricer] = {
    "AWS::AppConfig::Deployment": _flags,
    "AWS::Cognito::UserPool": _user_pool,
    "AWS::ApiGateway::RestApi": _rest_api,
    "AWS::ApiGateway::Stage": _rest_stage,
    "AWS::ApiGatewayV2::Api": _http_api,
    "AWS::ApiGatewayV2::Stage": _http_stage,
    "AWS::ApplicationAutoScaling::ScalableTarget": _scalable_target,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _scaling_policy,
    "AWS::Backup::BackupSelection": _backup_selection,
    "AWS::Backup::RestoreTestingSelection": _restore_testing_selection,
    "AWS::CloudFront::Distribution": _distribution,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::CompositeAlarm": _composite_alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::CodeBuild::Project": _project,
    "AWS::CodePipeline::Pipeline": _pipeline,
    "AWS::DynamoDB::Table": _table,
    "AWS::FIS::ExperimentTemplate": _experiment_template,
    "AWS::KMS::Key": _key,
    "AWS::Lambda::Alias": _alias,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::DeliveryDestination": _delivery_destination,
    "AWS::S3::Bucket": _bucket,
    "AWS::SNS::Topic": _topic,
    "AWS::SQS::Queue": _queue,
    "AWS::SecretsManager::Secret": _secret,
    "AWS::WAFv2::LoggingConfiguration": _web_acl_log,
    "AWS::WAFv2::WebACL": _web_acl,
}
"""Pricing function of each type that costs money."""

_NO_CHARGE = "AWS charges nothing for it"
_PART = "part of the API, which is charged per request"
_GRANT = "a permission"

_FLAGS = "AppConfig charges for each read by a function: priced at the deployment"

FREE: Mapping[str, str] = {
    "AWS::AppConfig::Application": _FLAGS,
    "AWS::AppConfig::ConfigurationProfile": _FLAGS,
    "AWS::AppConfig::DeploymentStrategy": _FLAGS,
    "AWS::AppConfig::Environment": _FLAGS,
    "AWS::AppConfig::HostedConfigurationVersion": _FLAGS,
    "AWS::ApiGateway::Account": _NO_CHARGE,
    "AWS::ApiGateway::ApiKey": _PART,
    "AWS::ApiGateway::Authorizer": _PART,
    "AWS::ApiGateway::BasePathMapping": _PART,
    "AWS::ApiGateway::Deployment": _PART,
    "AWS::ApiGateway::DomainName": _PART,
    "AWS::ApiGateway::GatewayResponse": _PART,
    "AWS::ApiGateway::Method": _PART,
    "AWS::ApiGateway::Model": _PART,
    "AWS::ApiGateway::RequestValidator": _PART,
    "AWS::ApiGateway::Resource": _PART,
    "AWS::ApiGateway::UsagePlan": _PART,
    "AWS::ApiGateway::UsagePlanKey": _PART,
    "AWS::ApiGatewayV2::Authorizer": _PART,
    "AWS::ApiGatewayV2::Integration": _PART,
    "AWS::ApiGatewayV2::Route": _PART,
    "AWS::Backup::BackupPlan": "its backups are priced at its selection",
    "AWS::Backup::RestoreTestingPlan": "its restores are priced at its selections",
    "AWS::Backup::BackupVault": "its contents are priced at the selection",
    "AWS::CDK::Metadata": "CDK's own record in the template",
    "AWS::CertificateManager::Certificate": "public certificates cost nothing",
    "AWS::CloudFront::CachePolicy": "part of the distribution, which is charged per request",
    "AWS::CloudFront::OriginAccessControl": "part of the distribution, which is charged per request",
    "AWS::CloudFront::OriginRequestPolicy": "part of the distribution, which is charged per request",
    "AWS::CloudFront::ResponseHeadersPolicy": "part of the distribution, which is charged per request",
    "AWS::CodeBuild::ReportGroup": _NO_CHARGE,
    "AWS::CodeDeploy::Application": "CodeDeploy costs nothing for Lambda",
    "AWS::CodeDeploy::DeploymentConfig": "CodeDeploy costs nothing for Lambda",
    "AWS::CodeDeploy::DeploymentGroup": "CodeDeploy costs nothing for Lambda",
    "AWS::CodePipeline::Webhook": _NO_CHARGE,
    "AWS::Cognito::UserPoolClient": "part of the user pool",
    "AWS::Events::EventBus": "custom events cost a dollar per million, and a delivery puts a handful",
    "AWS::Events::EventBusPolicy": _GRANT,
    "Custom::TestUser": "one invocation of a function, which is priced",
    "AWS::Events::Rule": "events of AWS's own services and schedules of rules cost nothing",
    "AWS::IAM::ManagedPolicy": _GRANT,
    "AWS::IAM::Policy": _GRANT,
    "AWS::IAM::Role": _GRANT,
    "AWS::KMS::Alias": "a name",
    "AWS::Lambda::EventInvokeConfig": "a setting of the function",
    "AWS::Lambda::EventSourceMapping": "the reads of a table's stream are free; invocations are the function's",
    "AWS::Lambda::LayerVersion": "code up to 75 GB per region is free",
    "AWS::Lambda::Permission": _GRANT,
    "AWS::Lambda::Version": "code up to 75 GB per region is free",
    "AWS::Logs::Delivery": "priced at its destination",
    "AWS::Logs::DeliverySource": "priced at the destination of its deliveries",
    "AWS::Logs::LogGroup": "priced at the resource that writes to it",
    "AWS::Logs::MetricFilter": "the metric is custom: assumptions.custom_metrics_per_function",
    "AWS::Logs::ResourcePolicy": _GRANT,
    "AWS::Route53::RecordSet": "queries of alias records for AWS's own services cost nothing",
    "AWS::S3::BucketPolicy": _GRANT,
    "AWS::SNS::Subscription": "priced at the topic",
    "AWS::SNS::TopicPolicy": _GRANT,
    "AWS::SQS::QueuePolicy": _GRANT,
    "AWS::Scheduler::Schedule": "fourteen million invocations per month are free",
    "AWS::SecretsManager::ResourcePolicy": _GRANT,
    "AWS::SecretsManager::RotationSchedule": "rotation makes a few calls per month; its function is priced",
    "AWS::WAFv2::WebACLAssociation": "part of the web ACL",
}
"""Types that cost nothing by themselves, and why."""


def unknown_types(stacks: Iterable[PricedStack]) -> list[str]:
    """Return the stacks' resource types that are neither priced nor listed as free, in order."""
    present = {resource.type for stack in stacks for resource in stack.resources}
    return sorted(present - PRICED.keys() - FREE.keys())
