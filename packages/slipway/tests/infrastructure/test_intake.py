"""A queue with its reader, and a REST API with keys and a cache: what their blocks guarantee."""

from __future__ import annotations

from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN, changed
from slipway.testing.templates import DeployedTemplates
from specimen.services.intake.infrastructure import Intake

DEV, PROD = SPECIMEN.environment("dev"), SPECIMEN.environment("prod")
VARIANTS = {
    "dev": DEV,
    "prod": PROD,
    "prod, no cache": changed(PROD, {"services.intake.stage_cache": None}),
    "dev, cache": changed(DEV, {"services.intake.stage_cache": {"size_gb": "6.1", "ttl_seconds": 30}}),
    "dev, new account": changed(
        DEV, {f"services.intake.{name}.reserved_concurrency": None for name in ("api", "worker")}
    ),
    "dev, another plan": changed(
        DEV,
        {
            "services.intake.usage_plan": {"rate": 7, "burst": 9, "quota_per_day": 11},
            "services.intake.worker.timeout_seconds": 60,
        },
    ),
}


@pytest.fixture(scope="module", params=VARIANTS)
def intake(request: pytest.FixtureRequest) -> DeployedTemplates:
    return synthesis.deploy(request.param, VARIANTS[request.param], Intake)


def _settings(intake: DeployedTemplates) -> Any:
    return intake.environment.services.intake


def _queue(intake: DeployedTemplates, output: str) -> dict[str, Any]:
    return dict(intake.behind(intake.output(output))["Properties"])


def test_visibility_is_six_timeouts_and_receives_are_five(intake: DeployedTemplates) -> None:
    queue = _queue(intake, "WorkQueueUrl")

    assert queue["VisibilityTimeout"] == 6 * _settings(intake).worker.timeout_seconds
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    target = intake.text("compute", queue["RedrivePolicy"]["deadLetterTargetArn"])
    assert target == intake.output("WorkDeadLetterQueueUrl").replace(">", ".Arn>")


@pytest.mark.requirement("ingest: background jobs", "ingest: sizes")
def test_live_reads_and_leaves_capacity_for_a_check(intake: DeployedTemplates) -> None:
    mapping = intake["compute"].only("AWS::Lambda::EventSourceMapping")

    assert intake.text("compute", mapping["EventSourceArn"]) == intake.output("WorkQueueUrl").replace(">", ".Arn>")
    # `live` of the alias's own ARN, from which CDK extracts the function's name
    live = intake.aliases("worker.handler")["live"]
    assert intake.text("compute", mapping["FunctionName"]) == f"select(6,split(:,{live})):live"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    # A throttled batch is received in vain, and a new version's contract check needs capacity besides the batches
    reserved = intake.function("worker.handler").get("ReservedConcurrentExecutions")
    assert mapping.get("ScalingConfig") == ({"MaximumConcurrency": reserved - 2} if reserved else None)


@pytest.mark.requirement("ingest: sizes", "processing: sizes")
@pytest.mark.parametrize("handler", ["api.handler", "worker.handler"])
def test_functions_are_of_the_configured_size(intake: DeployedTemplates, handler: str) -> None:
    wanted = getattr(_settings(intake), handler.partition(".")[0])
    function = intake.function(handler)

    assert (function["Timeout"], function["MemorySize"]) == (wanted.timeout_seconds, wanted.memory_mb)
    assert function.get("ReservedConcurrentExecutions") == wanted.reserved_concurrency


def test_the_usage_plan_is_as_configured(intake: DeployedTemplates) -> None:
    plan = intake["compute"].only("AWS::ApiGateway::UsagePlan")
    wanted = _settings(intake).usage_plan

    assert plan["Throttle"] == {"RateLimit": wanted.rate, "BurstLimit": wanted.burst}
    assert plan["Quota"] == {"Limit": wanted.quota_per_day, "Period": "DAY"}
    assert len(plan["ApiStages"]) == 1
    key = intake["compute"].only("AWS::ApiGateway::UsagePlanKey")
    assert intake.text("compute", key["KeyId"]) == intake.output("ApiKeyId")
    assert "Value" not in intake["compute"].only("AWS::ApiGateway::ApiKey")


@pytest.mark.requirement("ingest: the stage cache")
def test_only_configured_methods_are_cached_and_encrypted(intake: DeployedTemplates) -> None:
    stage = intake["compute"].only("AWS::ApiGateway::Stage")
    cache = _settings(intake).stage_cache
    cached = [entry for entry in stage["MethodSettings"] if entry.get("CachingEnabled")]

    assert bool(stage.get("CacheClusterEnabled")) is bool(cached) is (cache is not None)
    if cache is not None:
        assert stage["CacheClusterSize"] == cache.size_gb
        (entry,) = cached
        assert (entry["ResourcePath"], entry["HttpMethod"]) == ("/~1data", "GET")
        assert entry["CacheDataEncrypted"] is True
        assert entry["CacheTtlInSeconds"] == cache.ttl_seconds
