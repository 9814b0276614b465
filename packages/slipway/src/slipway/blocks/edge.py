"""CloudFront in front of a REST API."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Duration, Stack, Stage
from aws_cdk import Environment as Target
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.bucket import LogBucket
from slipway.blocks.key import ServiceKey
from slipway.blocks.rest import STAGE, RestEntry
from slipway.blocks.waf import EdgeProof, EdgeWebAcl
from slipway.delivery.names import EDGE_FIREWALL, EDGE_LOGS
from slipway.settings import Environment
from slipway.settings.model import CustomDomain, Geo

ORIGIN_HEADER = "X-Origin-Verify"
"""Header by which the origin knows its own distribution."""

ACCESS_LOG_PREFIX = "cloudfront"

CLOUDFRONT_REGION = "us-east-1"
"""The region of CloudFront's own resources: web ACLs for it, and the deliveries of its logs, are made there."""

CACHE_DEFAULT = Duration.seconds(10)
CACHE_MAXIMUM = Duration.seconds(60)
"""A write invalidates nothing, so what the edge keeps is short; ETags make the check at the origin cheap."""


class EdgeDistribution(Construct):
    """A distribution for reads: HTTPS only, cached by the queries that matter, allowed countries, access logs.

    With WAF on, it has a web ACL of its own, which counts each viewer by the address that connects.

    Args:
        scope: the compute stack.
        construct_id: id in it.
        service: the service's name.
        environment: settings; `waf` and `logs` apply.
        key: the service's key.
        origin: the API that it stands before.
        proof: header and secret that are sent with every request to the origin.
        cached_queries: query parameters that are part of the cache key; others do not reach the origin.
        geo: countries that are answered.
        logs_bucket: where the access logs go, under `cloudfront/`.
        custom_domain: a name of one's own. Default: CloudFront's.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        environment: Environment,
        key: ServiceKey,
        origin: RestEntry,
        proof: EdgeProof,
        cached_queries: Sequence[str],
        geo: Geo,
        logs_bucket: LogBucket,
        custom_domain: CustomDomain | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        web_acl = self._web_acl(service, environment, key)
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"Reads of {origin.api.rest_api_name}",
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.HttpOrigin(
                    origin.host,
                    origin_path=f"/{STAGE}",
                    protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
                    origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
                    # Resolved by CloudFormation at deploy: the template holds the reference, not the value.
                    custom_headers={proof.header: proof.secret.secret_value_from_json(proof.field).unsafe_unwrap()},
                ),
                # OPTIONS is a browser's preflight, which the API answers; it is never cached.
                allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD_OPTIONS,
                cached_methods=cloudfront.CachedMethods.CACHE_GET_HEAD,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
                compress=True,
                cache_policy=self._cache_policy(cached_queries),
                response_headers_policy=cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
            ),
            geo_restriction=cloudfront.GeoRestriction.allowlist(*geo.allow),
            http_version=cloudfront.HttpVersion.HTTP2,
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            # CloudFront's own certificate has a policy of its own, which nothing here can set.
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021 if custom_domain else None,
            certificate=self._certificate(custom_domain),
            domain_names=[custom_domain.name] if custom_domain else None,
            web_acl_id=web_acl.arn if web_acl else None,
        )
        self._acknowledge(custom_domain, protected=web_acl is not None)
        self._log_to(logs_bucket)
        if custom_domain:
            self._name(custom_domain)

    def _cache_policy(self, cached_queries: Sequence[str]) -> cloudfront.CachePolicy:
        return cloudfront.CachePolicy(
            self,
            "CachePolicy",
            min_ttl=Duration.seconds(0),
            default_ttl=CACHE_DEFAULT,
            max_ttl=CACHE_MAXIMUM,
            query_string_behavior=cloudfront.CacheQueryStringBehavior.allow_list(*cached_queries),
            # An answer names the origin that it is for, so it is cached by it. No other header of the viewer
            # reaches the API: there is no origin request policy, so what is sent is what is in the key, and two
            # requests with one key cannot have two answers. API Gateway would follow X-HTTP-Method-Override:
            # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
            # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/controlling-origin-requests.html
            header_behavior=cloudfront.CacheHeaderBehavior.allow_list("Origin"),
            cookie_behavior=cloudfront.CacheCookieBehavior.none(),
            enable_accept_encoding_brotli=True,
            enable_accept_encoding_gzip=True,
        )

    def _web_acl(self, service: str, environment: Environment, key: ServiceKey) -> EdgeWebAcl | None:
        if not environment.waf.enabled:
            return None
        scope = self._in_cloudfronts_region("EdgeFirewall", EDGE_FIREWALL, "AWS WAF before the distribution")
        # A key cannot be used from another region.
        return EdgeWebAcl(scope, "WebAcl", service=service, environment=environment, key=key if scope is self else None)

    def _certificate(self, custom_domain: CustomDomain | None) -> acm.ICertificate | None:
        if custom_domain is None:
            return None
        return acm.Certificate.from_certificate_arn(self, "Certificate", custom_domain.certificate_arn)

    def _name(self, custom_domain: CustomDomain) -> None:
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=custom_domain.hosted_zone_id, zone_name=custom_domain.hosted_zone_name
        )
        target = route53.RecordTarget.from_alias(targets.CloudFrontTarget(self.distribution))
        route53.ARecord(self, "Ipv4", zone=zone, record_name=custom_domain.name, target=target)
        route53.AaaaRecord(self, "Ipv6", zone=zone, record_name=custom_domain.name, target=target)

    def _log_to(self, bucket: LogBucket) -> None:
        # Version 2 of CloudFront's logs: version 1 needs a bucket with ACLs, which ours refuse.
        scope = self._in_cloudfronts_region("EdgeLogs", EDGE_LOGS, "Delivers the edge's access logs")
        name = f"{Stack.of(self).stack_name}-edge"
        source = logs.CfnDeliverySource(
            scope, "LogSource", name=name, log_type="ACCESS_LOGS", resource_arn=self.distribution.distribution_arn
        )
        destination = logs.CfnDeliveryDestination(
            scope,
            "LogDestination",
            name=name,
            destination_resource_arn=f"{bucket.bucket_arn}/{ACCESS_LOG_PREFIX}",
            output_format="json",
        )
        delivery = logs.CfnDelivery(
            scope,
            "LogDelivery",
            delivery_source_name=name,
            delivery_destination_arn=destination.attr_arn,
        )
        delivery.add_resource_dependency(source)

    def _in_cloudfronts_region(self, construct_id: str, name: str, holds: str) -> Construct:
        """Return where CloudFront's own resources are made: a stack of its own where the service's region is another.

        Args:
            construct_id: id of that stack in the stage.
            name: end of its name.
            holds: what it is for, in its description.
        """
        stack = Stack.of(self)
        stage = Stage.of(self)
        if stack.region == CLOUDFRONT_REGION or stage is None:
            return self
        return Stack(
            stage,
            construct_id,
            env=Target(account=stack.account, region=CLOUDFRONT_REGION),
            stack_name=f"{stack.stack_name}-{name}",
            description=f"{holds}, in the region of CloudFront's own resources",
            analytics_reporting=False,
        )

    def _acknowledge(self, custom_domain: CustomDomain | None, *, protected: bool) -> None:
        if not protected:
            accept(
                self.distribution,
                "AwsSolutions-CFR2",
                reason="WAF is off in dev by configuration: no user's traffic comes here, and the configuration "
                "refuses it off in every other environment.",
            )
        accept(
            self.distribution,
            "AwsSolutions-CFR3",
            reason="Access logs are delivered by CloudFront's version 2 logging, which this rule does not look at; "
            "a template test asserts the delivery.",
        )
        if custom_domain is None:
            accept(
                self.distribution,
                "AwsSolutions-CFR4",
                reason="Without a domain of one's own the certificate is CloudFront's, for which no minimum version "
                "can be set; with custom_domain configured TLS 1.2 is the minimum.",
            )


def allow_edge_logs(bucket: LogBucket) -> None:
    """Let CloudFront's version 2 logging write under `cloudfront/` of a log bucket.

    Args:
        bucket: the log bucket; the statement stands in its policy, in its own stack.
    """
    stack = Stack.of(bucket)
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            sid="CloudFrontAccessLogs",
            principals=[iam.ServicePrincipal("delivery.logs.amazonaws.com")],
            actions=["s3:PutObject"],
            resources=[bucket.arn_for_objects(f"{ACCESS_LOG_PREFIX}/*")],
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {
                    "aws:SourceArn": stack.format_arn(
                        service="logs",
                        resource="delivery-source",
                        resource_name="*",
                        region=CLOUDFRONT_REGION,
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    )
                },
            },
        )
    )
