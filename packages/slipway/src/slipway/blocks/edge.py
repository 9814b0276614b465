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
"""Header with which the distribution identifies itself to its origin."""

ACCESS_LOG_PREFIX = "cloudfront"

CLOUDFRONT_REGION = "us-east-1"
"""Region of CloudFront's own resources: its web ACLs, and the deliveries of its logs."""

CACHE_DEFAULT = Duration.seconds(10)
CACHE_MAXIMUM = Duration.seconds(60)
"""Maximum time in the edge cache. Short, because writes invalidate nothing; ETags make revalidation at the origin
cheap.
"""


class EdgeDistribution(Construct):
    """A distribution for reads: HTTPS only, limited to allowed countries, with access logs.

    With WAF enabled it has its own web ACL, which counts each viewer by the connecting address.

    Args:
        scope: The compute stack.
        construct_id: Id in it.
        service: The service's name.
        environment: Settings; `waf` and `logs` apply.
        key: The service's key.
        origin: The API behind it.
        proof: Header and secret that are sent with every request to the origin.
        cached_queries: Query parameters that are part of the cache key; others do not reach the origin.
        geo: Allowed countries.
        logs_bucket: Bucket for the access logs, under `cloudfront/`.
        custom_domain: Custom domain name. Default: CloudFront's.
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
                    # CloudFormation resolves this at deployment: the template contains the reference, not the value.
                    custom_headers={proof.header: proof.secret.secret_value_from_json(proof.field).unsafe_unwrap()},
                ),
                # OPTIONS is a browser's preflight: the API answers it, and it is never cached.
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
            # CloudFront's own certificate has a fixed security policy.
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021 if custom_domain else None,
            certificate=self._certificate(custom_domain),
            domain_names=[custom_domain.name] if custom_domain else None,
            web_acl_id=web_acl.arn if web_acl else None,
        )
        self._acknowledge(custom_domain, protected=web_acl is not None)
        self._log_to(logs_bucket)
        self.host = custom_domain.name if custom_domain else self.distribution.distribution_domain_name
        """Host name that viewers use."""
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
            # An answer depends on the requesting origin, so the cache key includes it. No other viewer header reaches
            # the API: without an origin request policy, only what is in the key is sent, so two requests with the same
            # key cannot have two answers. API Gateway would honour X-HTTP-Method-Override:
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
        scope = self._in_cloudfronts_region("EdgeFirewall", EDGE_FIREWALL, "AWS WAF in front of the distribution")
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
        # CloudFront's logging version 2: version 1 needs a bucket with ACLs, which ours disable.
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
        """Return the scope for CloudFront's own resources: a separate stack if the service is in another region.

        Args:
            construct_id: Id of that stack in the stage.
            name: End of its name.
            holds: Its contents, for its description.
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
                reason="WAF is off in dev by configuration: dev serves no users, and the configuration requires "
                "WAF in every other environment.",
            )
        accept(
            self.distribution,
            "AwsSolutions-CFR3",
            reason="Access logs are delivered by CloudFront's version 2 logging, which this rule does not check; a "
            "template test asserts the delivery.",
        )
        if custom_domain is None:
            accept(
                self.distribution,
                "AwsSolutions-CFR4",
                reason="Without a custom domain the certificate is CloudFront's, whose minimum version cannot be set; "
                "with custom_domain configured TLS 1.2 is the minimum.",
            )


def allow_edge_logs(bucket: LogBucket) -> None:
    """Let CloudFront's logging version 2 write under `cloudfront/` of a log bucket.

    Args:
        bucket: The log bucket; the statement is added to its policy, in its own stack.
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
