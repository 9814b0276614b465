"""APIs: what their gateway limits and caches, and who signs in to test them."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.testing.templates import DeployedTemplates


@pytest.fixture
def settings(deployment: DeployedTemplates, service: str) -> Any:
    """Return the service's own part of the configuration."""
    return getattr(deployment.environment.services, service)


@pytest.mark.requirement("ingest: the usage plan")
def test_a_usage_plan_is_as_configured(deployment: DeployedTemplates, settings: Any) -> None:
    plans = deployment["compute"].properties_of("AWS::ApiGateway::UsagePlan")
    if (wanted := getattr(settings, "usage_plan", None)) is None:
        assert not plans
        return
    (plan,) = plans
    assert plan["Throttle"] == {"RateLimit": wanted.rate, "BurstLimit": wanted.burst}
    assert plan["Quota"] == {"Limit": wanted.quota_per_day, "Period": "DAY"}
    assert len(plan["ApiStages"]) == 1
    key = deployment["compute"].only("AWS::ApiGateway::UsagePlanKey")
    assert deployment.text("compute", key["KeyId"]) == deployment.output("ApiKeyId")


@pytest.mark.requirement(
    "ingest: the stage cache", "ingest: a stage cache that caches nothing, or returns one record for another"
)
def test_what_a_stage_caches_is_encrypted_and_as_old_as_configured(
    deployment: DeployedTemplates, settings: Any
) -> None:
    cache: Any = getattr(settings, "stage_cache", None)
    for stage in deployment["compute"].properties_of("AWS::ApiGateway::Stage"):
        cached = [entry for entry in stage["MethodSettings"] if entry.get("CachingEnabled")]
        assert bool(stage.get("CacheClusterEnabled")) is bool(cached) is (cache is not None)
        assert stage.get("CacheClusterSize") == (cache and cache.size_gb)
        for entry in cached:
            assert entry["HttpMethod"] == "GET"
            assert entry["CacheDataEncrypted"] is True
            assert entry["CacheTtlInSeconds"] == cache.ttl_seconds


@pytest.mark.requirement("processing: users")
def test_a_test_user_is_there_as_configured(deployment: DeployedTemplates, settings: Any) -> None:
    wanted = getattr(getattr(settings, "user_pool", None), "test_user", False)
    assert bool(deployment["security"].of_type("Custom::TestUser")) is wanted
    assert ("TestUserSecretArn" in deployment["security"].outputs) is wanted


@pytest.mark.requirement("processing: uploads")
def test_configured_origins_may_send_and_fetch_objects(deployment: DeployedTemplates, settings: Any) -> None:
    buckets = deployment["data"].properties_of("AWS::S3::Bucket")
    rules = [rule for bucket in buckets for rule in bucket.get("CorsConfiguration", {}).get("CorsRules", ())]
    assert bool(rules) is hasattr(settings, "uploads")
    for rule in rules:
        assert set(rule["AllowedMethods"]) == {"GET", "PUT", "POST"}
        assert rule["AllowedOrigins"] == list(deployment.environment.cors.origins)
