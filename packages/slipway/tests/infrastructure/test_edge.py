"""The edge and the domain."""

from __future__ import annotations

import re
from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN, changed, variants
from slipway.testing.templates import DeployedTemplates

# The only region in which deliveries of CloudFront's logs can be created:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging.html
CLOUDFRONT_REGION = "us-east-1"

with_domain = pytest.mark.parametrize(
    "deployment",
    variants(lambda environment: environment.services.catalog.custom_domain is not None),
    indirect=True,
)
without_domain = pytest.mark.parametrize(
    "deployment",
    variants(lambda environment: environment.services.catalog.custom_domain is None),
    indirect=True,
)


def _distribution(deployment: DeployedTemplates) -> dict[str, Any]:
    resource = deployment.behind(deployment.output("DistributionId"))
    assert resource["Type"] == "AWS::CloudFront::Distribution"
    config: dict[str, Any] = resource["Properties"]["DistributionConfig"]
    return config


def _origin(deployment: DeployedTemplates) -> dict[str, Any]:
    (origin,) = _distribution(deployment)["Origins"]
    return dict(origin)


def _cache_policy(deployment: DeployedTemplates) -> dict[str, Any]:
    name = _distribution(deployment)["DefaultCacheBehavior"]["CachePolicyId"]["Ref"]
    config: dict[str, Any] = deployment["compute"].resources[name]["Properties"]["CachePolicyConfig"]
    return config


def _logs(deployment: DeployedTemplates) -> str:
    """Return the stack with the delivery of the edge's logs."""
    (name,) = [template.name for template in deployment if template.of_type("AWS::Logs::Delivery")]
    return name


@pytest.mark.requirement("items: the edge")
def test_the_edge_only_serves_https_and_http_2(deployment: DeployedTemplates) -> None:
    distribution = _distribution(deployment)

    assert distribution["Enabled"] is True
    assert distribution["HttpVersion"] == "http2"
    assert distribution["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "https-only"
    assert not distribution.get("CacheBehaviors")


@pytest.mark.requirement("items: the edge")
def test_the_edge_caches_reads_and_passes_preflights_on(deployment: DeployedTemplates) -> None:
    behavior = _distribution(deployment)["DefaultCacheBehavior"]

    assert set(behavior["AllowedMethods"]) == {"GET", "HEAD", "OPTIONS"}
    assert set(behavior["CachedMethods"]) == {"GET", "HEAD"}


@pytest.mark.requirement("items: the edge")
def test_the_edge_serves_only_configured_countries(deployment: DeployedTemplates) -> None:
    distribution = _distribution(deployment)
    restriction = distribution["Restrictions"]["GeoRestriction"]

    assert distribution["PriceClass"] == "PriceClass_100"
    assert restriction["RestrictionType"] == "whitelist"
    assert restriction["Locations"] == list(deployment.environment.services.catalog.geo.allow)


@pytest.mark.requirement("items: the edge")
def test_committed_countries_match_the_requirements() -> None:
    for environment in SPECIMEN.environments:
        assert set(environment.services.catalog.geo.allow) == {"US", "CA", "GB", "DE", "JP"}


@pytest.mark.requirement("items: the edge", "stale and wrong lists from the cache")
def test_edges_cache_is_short_and_per_list(deployment: DeployedTemplates) -> None:
    # Given the cache policy; writes invalidate nothing
    policy = _cache_policy(deployment)

    # Then copies expire within seconds, and the queries that select a list are part of the key
    assert policy["MinTTL"] == 0
    assert policy["DefaultTTL"] <= 10
    assert policy["MaxTTL"] <= 60
    queries = policy["ParametersInCacheKeyAndForwardedToOrigin"]["QueryStringsConfig"]
    if queries["QueryStringBehavior"] != "all":
        assert queries["QueryStringBehavior"] == "whitelist"
        assert {"cursor", "limit", "status"} <= set(queries["QueryStrings"])


def test_answers_to_several_origins_are_cached_separately(deployment: DeployedTemplates) -> None:
    headers = _cache_policy(deployment)["ParametersInCacheKeyAndForwardedToOrigin"]["HeadersConfig"]

    assert headers == {"HeaderBehavior": "whitelist", "Headers": ["Origin"]}


@pytest.mark.requirement("items: the edge", "the viewer's host at API Gateway", "one cache key, two answers")
def test_nothing_outside_the_cache_key_reaches_the_origin(deployment: DeployedTemplates) -> None:
    # Given that requests with the same key get the same answer, and API Gateway follows X-HTTP-Method-Override
    behavior = _distribution(deployment)["DefaultCacheBehavior"]

    # Then no policy forwards anything outside the key
    assert "OriginRequestPolicyId" not in behavior
    assert "ForwardedValues" not in behavior
    assert not deployment["compute"].of_type("AWS::CloudFront::OriginRequestPolicy")
    assert _cache_policy(deployment)["ParametersInCacheKeyAndForwardedToOrigin"]["CookiesConfig"] == {
        "CookieBehavior": "none"
    }


def test_the_origin_is_the_apis_stage_over_tls_1_2(deployment: DeployedTemplates) -> None:
    origin = _origin(deployment)
    (stage,) = deployment["compute"].properties_of("AWS::ApiGateway::Stage")

    domain = deployment.text("compute", origin["DomainName"])
    assert domain.startswith(f"{deployment.output('ApiId')}.execute-api.{deployment.environment.region}.")
    assert origin["OriginPath"] == f"/{stage['StageName']}"
    assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert origin["CustomOriginConfig"]["OriginSSLProtocols"] == ["TLSv1.2"]


@pytest.mark.requirement("items: access")
def test_edges_secret_is_not_in_the_template(deployment: DeployedTemplates) -> None:
    (header,) = _origin(deployment)["OriginCustomHeaders"]
    secret = deployment.output("OriginSecretArn")

    assert header["HeaderName"] == "X-Origin-Verify"
    assert deployment.text("compute", header["HeaderValue"]) == (
        f"{{{{resolve:secretsmanager:{secret}:SecretString:header::}}}}"
    )


@pytest.mark.requirement("items: the edge", "CloudFront's logs of version 1")
def test_access_logs_use_version_2_into_the_log_bucket(deployment: DeployedTemplates) -> None:
    # Given the log delivery
    stack = _logs(deployment)
    template = deployment[stack]
    delivery = template.only("AWS::Logs::Delivery")
    source = template.only("AWS::Logs::DeliverySource")
    ((destination_key, destination),) = template.of_type("AWS::Logs::DeliveryDestination").items()
    ((source_key, _),) = template.of_type("AWS::Logs::DeliverySource").items()
    ((_, delivering),) = template.of_type("AWS::Logs::Delivery").items()

    # Then it delivers from the distribution to the log bucket
    assert source["LogType"] == "ACCESS_LOGS"
    assert deployment.text(stack, source["ResourceArn"]).endswith(
        f":distribution/{deployment.output('DistributionId')}"
    )
    assert delivery["DeliverySourceName"] == source["Name"]
    assert source_key in delivering["DependsOn"]
    assert delivery["DeliveryDestinationArn"] == {"Fn::GetAtt": [destination_key, "Arn"]}
    bucket = deployment.text(stack, destination["Properties"]["DestinationResourceArn"])
    # A stack in another region knows the bucket only by name
    name = f"cf-serverless-logs-{deployment.environment.unique_id('catalog')}"
    arn = deployment.output("LogBucketName").removesuffix(">") + ".Arn>"
    assert re.sub(rf"^arn:[^:]+:s3:::{name}/", f"{arn}/", bucket) == f"{arn}/cloudfront"
    # And version 1, which needs a bucket with ACLs, is disabled
    assert "Logging" not in _distribution(deployment)


@pytest.mark.requirement("items: the edge", "deliveries of CloudFront's logs outside us-east-1")
def test_deliveries_are_created_in_cloudfronts_region(deployment: DeployedTemplates) -> None:
    # Given that CloudWatch Logs creates deliveries of CloudFront in one region only
    stack = deployment[_logs(deployment)]

    assert stack.region == CLOUDFRONT_REGION
    assert (stack.name == "compute") is (deployment.environment.region == CLOUDFRONT_REGION)


def test_log_bucket_accepts_only_this_accounts_edge_logs(deployment: DeployedTemplates) -> None:
    # Given the statement for log delivery
    statements = [
        statement
        for policy in deployment["data"].properties_of("AWS::S3::BucketPolicy")
        if deployment.text("data", policy["Bucket"]) == deployment.output("LogBucketName")
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Principal"] == {"Service": "delivery.logs.amazonaws.com"}
    ]

    # Then it allows writing under the prefix, for this account and CloudFront's region
    (statement,) = statements
    account = deployment.environment.account
    assert statement["Action"] == "s3:PutObject"
    assert deployment.text("data", statement["Resource"]).endswith(".Arn>/cloudfront/*")
    assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == account
    source = deployment.text("data", statement["Condition"]["ArnLike"]["aws:SourceArn"])
    assert source.endswith(f":logs:{CLOUDFRONT_REGION}:{account}:delivery-source:*")


def _firewall(deployment: DeployedTemplates) -> tuple[str, str]:
    """Return the stack and the logical id of the edge's web ACL."""
    ((stack, key),) = [
        (template.name, key)
        for template in deployment
        for key, acl in template.of_type("AWS::WAFv2::WebACL").items()
        if acl["Properties"]["Scope"] == "CLOUDFRONT"
    ]
    return stack, key


@pytest.fixture(scope="module")
def abroad() -> DeployedTemplates:
    """Return an environment with WAF in another region than CloudFront's."""
    environment = changed(SPECIMEN.environment("prod"), {"region": "eu-central-1"})
    return synthesis.deploy("prod, Frankfurt", environment)


@pytest.mark.requirement("items: the edge")
@pytest.mark.parametrize("deployment", variants(lambda environment: environment.waf.enabled), indirect=True)
def test_the_edge_counts_every_viewer_by_its_address(deployment: DeployedTemplates) -> None:
    # Given the web ACL of the distribution
    stack, key = _firewall(deployment)
    rules = deployment[stack].resources[key]["Properties"]["Rules"]
    assert deployment.text("compute", _distribution(deployment)["WebACLId"]) == f"<{stack}/{key}.Arn>"

    # Then one rule counts every request by its source address
    (rate,) = [rule for rule in rules if "RateBasedStatement" in rule["Statement"]]
    assert rate["Action"] == {"Block": {}}
    assert rate["Statement"]["RateBasedStatement"] == {
        "AggregateKeyType": "IP",
        "Limit": deployment.environment.waf.requests_per_5_minutes,
    }
    # And it is in the distribution's stack, since the region is CloudFront's
    assert stack == "compute"


@pytest.mark.parametrize("deployment", variants(lambda environment: not environment.waf.enabled), indirect=True)
def test_without_waf_the_edge_has_no_web_acl(deployment: DeployedTemplates) -> None:
    assert "WebACLId" not in _distribution(deployment)


@pytest.mark.requirement("items: the edge")
def test_the_edges_web_acl_is_in_cloudfronts_region(abroad: DeployedTemplates) -> None:
    # Given a service in another region
    stack, key = _firewall(abroad)

    # Then the web ACL is in a stack in CloudFront's region, deployed before the distribution
    assert abroad[stack].region == CLOUDFRONT_REGION
    assert abroad.text("compute", _distribution(abroad)["WebACLId"]) == f"<{stack}/{key}.Arn>"
    assert abroad[stack].stack_name in abroad["compute"].text()
    assert abroad["compute"].stack_name not in abroad[stack].text().replace(abroad[stack].stack_name, "")
    # And its log needs no key in another region
    (group,) = abroad[stack].properties_of("AWS::Logs::LogGroup")
    assert "KmsKeyId" not in group
    assert group["RetentionInDays"] == abroad.environment.logs.retention_days


@pytest.mark.requirement("items: a custom domain")
@with_domain
def test_own_domain_has_certificate_and_tls_1_2(deployment: DeployedTemplates) -> None:
    domain = deployment.environment.services.catalog.custom_domain
    assert domain
    distribution = _distribution(deployment)

    assert distribution["Aliases"] == [domain.name]
    assert distribution["ViewerCertificate"] == {
        "AcmCertificateArn": domain.certificate_arn,
        "MinimumProtocolVersion": "TLSv1.2_2021",
        "SslSupportMethod": "sni-only",
    }


@pytest.mark.requirement("items: a custom domain")
@with_domain
def test_an_own_domain_points_to_the_distribution(deployment: DeployedTemplates) -> None:
    domain = deployment.environment.services.catalog.custom_domain
    assert domain
    records = deployment["compute"].properties_of("AWS::Route53::RecordSet")

    assert {record["Type"] for record in records} == {"A", "AAAA"}
    for record in records:
        assert record["Name"] == f"{domain.name}."
        assert record["HostedZoneId"] == domain.hosted_zone_id
        target = deployment.text("compute", record["AliasTarget"]["DNSName"])
        assert target == deployment.output("DistributionDomain")


@pytest.mark.requirement("items: a custom domain")
@without_domain
def test_without_a_domain_there_is_neither_certificate_nor_record(deployment: DeployedTemplates) -> None:
    distribution = _distribution(deployment)

    assert "Aliases" not in distribution
    assert "ViewerCertificate" not in distribution
    assert not deployment["compute"].of_type("AWS::Route53::RecordSet")


@pytest.mark.requirement("items: a custom domain")
def test_no_domain_is_configured_by_default() -> None:
    assert all(environment.services.catalog.custom_domain is None for environment in SPECIMEN.environments)
