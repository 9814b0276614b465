"""Check access from outside: public access, authorization, network, countries, firewall, TLS."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from slipway.review.assembly import Json
from slipway.review.checks.registry import (
    ANY,
    CheckContext,
    both,
    fields,
    listed,
    number,
    objects,
    on,
    shown,
    truth,
    words,
)
from slipway.review.findings import ChangeFinding, Severity, found
from slipway.review.patterns import covered
from slipway.review.resources import Pair, ReviewedResource, value_at
from slipway.review.values import readable

_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_PUBLIC_ACLS = frozenset({"PublicRead", "PublicReadWrite", "AuthenticatedRead"})


@on("AWS::S3::Bucket", judges="AccessControl OwnershipControls PublicAccessBlockConfiguration WebsiteConfiguration")
def bucket(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check blocks of public access, ACLs and websites."""
    before, after = pair.before, pair.after
    if after is None:
        return
    for name in _BLOCKS:
        if _blocks(before, name) and not _blocks(after, name, former=before):
            yield found("public-access", after, f"{name} is off", detail=name)
    acl = str(after.get("AccessControl"))
    if acl in _PUBLIC_ACLS and (before is None or str(before.get("AccessControl")) != acl):
        yield found("public-access", after, f"its ACL is {acl}", detail="AccessControl")
    if before is None:
        return
    if _owner(before) == "BucketOwnerEnforced" != _owner(after):
        what = "ACLs are effective again: its object ownership is no longer BucketOwnerEnforced"
        yield found("public-access", after, what, severity=Severity.HIGH, detail="OwnershipControls")
    if after.get("WebsiteConfiguration") and not before.get("WebsiteConfiguration"):
        what = "it serves a website, without TLS"
        yield found("public-access", after, what, severity=Severity.HIGH, detail="WebsiteConfiguration")


def _blocks(bucket: ReviewedResource | None, name: str, *, former: ReviewedResource | None = None) -> bool:
    """Return True if a bucket blocks one way to be public.

    S3 enables all four for a bucket created without the setting; in an existing setting a missing one is disabled, and
    so are all four if the setting is removed later.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
    """
    setting = "PublicAccessBlockConfiguration"
    blocks = bucket.get(setting) if bucket is not None else None
    if not isinstance(blocks, Mapping):
        return former is None or former.get(setting) is None
    return truth(blocks.get(name))


def _owner(resource: ReviewedResource) -> Json:
    return next((rule.get("ObjectOwnership") for rule in resource.entries("OwnershipControls.Rules")), None)


@on("AWS::Lambda::Url", judges="AuthType")
def function_url(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for functions that anybody may call."""
    after = pair.after
    if after is None or after.get("AuthType") != "NONE":
        return
    if pair.before is None or pair.before.get("AuthType") != "NONE":
        yield found("open-route", after, "the function's URL accepts unsigned requests")


@on(
    "AWS::ApiGateway::Method",
    "AWS::ApiGatewayV2::Route",
    judges="ApiKeyRequired AuthorizationScopes AuthorizationType AuthorizerId",
)
def route(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check a route's authorization and API key."""
    before, after = pair.before, pair.after
    if after is None or _is_preflight(after):
        return
    name = _route_name(after)
    if before is None:
        if _is_open(after) and not truth(after.get("ApiKeyRequired")):
            yield found("open-route", after, f"{name} is new and has no authorization", severity=Severity.HIGH)
        return
    if _is_open(after) and not _is_open(before):
        what = f"{name} goes from {before.get('AuthorizationType')} to no authorization"
        yield found("open-route", after, what)
    elif before.get("AuthorizationType") != after.get("AuthorizationType"):
        what = f"{name} goes from {shown(before.get('AuthorizationType'))} to {after.get('AuthorizationType')}"
        other = Severity.INFO if _is_open(before) else Severity.MEDIUM
        yield found("authorizer-loosened", after, what, severity=other, detail="AuthorizationType")
    elif before.get("AuthorizerId") != after.get("AuthorizerId"):
        what = f"{name} uses a different authorizer"
        yield found("authorizer-loosened", after, what, severity=Severity.MEDIUM, detail="AuthorizerId")
    # A token needs any one of the scopes: one more lets in more, and none lets in every token.
    ones, others = (words(side.get("AuthorizationScopes")) for side in (before, after))
    if ones and not others:
        yield found("authorizer-loosened", after, f"{name} no longer requires a scope", detail="AuthorizationScopes")
    elif ones and (more := others - ones):
        what = f"{name} also accepts the scope {', '.join(sorted(more))}"
        yield found("authorizer-loosened", after, what, detail="AuthorizationScopes")
    if truth(before.get("ApiKeyRequired")) and not truth(after.get("ApiKeyRequired")):
        severity = Severity.CRITICAL if _is_open(after) else None
        yield found("key-not-required", after, f"{name} no longer requires an API key", severity=severity)


def _is_open(resource: ReviewedResource) -> bool:
    return bool(resource.get("AuthorizationType", "NONE") == "NONE")


def _is_preflight(resource: ReviewedResource) -> bool:
    # Browsers send the preflight of CORS without credentials.
    return resource.get("HttpMethod") == "OPTIONS" or str(resource.get("RouteKey", "")).startswith("OPTIONS ")


def _route_name(resource: ReviewedResource) -> str:
    if resource.type == "AWS::ApiGatewayV2::Route":
        return f"the route {resource.get('RouteKey')}"
    return f"the method {resource.get('HttpMethod')} at {resource.path.rpartition('/')[0].rpartition('/')[2] or '/'}"


@on(
    "AWS::ApiGateway::Authorizer",
    "AWS::ApiGatewayV2::Authorizer",
    judges="AuthorizerType AuthorizerUri IdentityValidationExpression JwtConfiguration ProviderARNs Type",
)
def authorizer(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check the callers that an authorizer accepts."""
    if not (sides := both(pair)):
        return
    before, after = sides
    for path in ("JwtConfiguration.Audience", "ProviderARNs"):
        if more := words(after.get(path)) - words(before.get(path)):
            what = f"it also accepts {', '.join(map(readable, sorted(more)))}"
            yield found("authorizer-loosened", after, what, detail=path)
        elif words(before.get(path)) and not words(after.get(path)):
            yield found("authorizer-loosened", after, f"it no longer checks {path}", detail=path)
    for path in ("JwtConfiguration.Issuer", "Type", "AuthorizerType", "AuthorizerUri", "IdentityValidationExpression"):
        old, new = before.get(path), after.get(path)
        if old is not None and old != new:
            what = f"{path} goes from {shown(old)} to {shown(new)}"
            yield found("authorizer-loosened", after, what, detail=path)


@on(
    "AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api", judges="DisableExecuteApiEndpoint EndpointConfiguration/Types"
)
def endpoint(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for access paths to an API that were closed before."""
    if not (sides := both(pair)):
        return
    before, after = sides
    if truth(before.get("DisableExecuteApiEndpoint")) and not truth(after.get("DisableExecuteApiEndpoint")):
        what = "it also answers at AWS's own address, which bypasses the domain's checks"
        yield found("network-opened", after, what, severity=Severity.MEDIUM, detail="DisableExecuteApiEndpoint")
    kinds = words(before.get("EndpointConfiguration.Types")), words(after.get("EndpointConfiguration.Types"))
    if "PRIVATE" in kinds[0] and "PRIVATE" not in kinds[1]:
        yield found("public-access", after, "the API leaves the private network", detail="EndpointConfiguration")


_ORIGINS = re.compile(r"allow(ed)?[-_]?origins?|cors[-_]?origins?", re.IGNORECASE)
_METHODS = re.compile(r"access-control-allow-methods|^allow(ed)?methods$", re.IGNORECASE)
_CORS_HOLDERS = re.compile(r"cors|access-control|CORS", re.IGNORECASE)


def _names_cors(path: tuple[str, ...]) -> bool:
    return bool(
        _CORS_HOLDERS.search(".".join(path)) and any(_ORIGINS.search(part) or _METHODS.search(part) for part in path)
    )


@on(ANY, judges=_names_cors)
def cors(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check the origins and methods that browsers may use, wherever they are configured."""
    if not (sides := both(pair)):
        return
    before, after = sides
    if not pair.differences:
        return
    for name, pattern in (("origin", _ORIGINS), ("method", _METHODS)):
        ones, others = (frozenset(_named(side.properties, pattern, "")) for side in (before, after))
        more = sorted(value for value in others - ones if not covered(value.lower(), frozenset(map(str.lower, ones))))
        # A resource without a list of origins allowed none.
        if more:
            kind = Severity.HIGH if "*" in more else None
            what = f"CORS allows the {name} {', '.join(map(readable, more))}"
            yield found("cors-widened", after, what, severity=kind, detail=name)
    if truth(after.get("CorsConfiguration.AllowCredentials")) and not truth(
        before.get("CorsConfiguration.AllowCredentials")
    ):
        yield found("cors-widened", after, "CORS allows credentials", detail="credentials")


def _named(value: Json, pattern: re.Pattern[str], path: str) -> Iterator[str]:
    """Yield the values of a name on paths about CORS."""
    match value:
        case Mapping():
            for key, inner in value.items():
                way = f"{path}.{key}"
                if pattern.search(str(key)) and _CORS_HOLDERS.search(way) and not isinstance(inner, Mapping | bool):
                    for text in map(str, listed(inner)):
                        yield from (part.strip(" '\"") for part in text.split(",") if part.strip(" '\""))
                else:
                    yield from _named(inner, pattern, way)
        case list():
            for inner in value:
                yield from _named(inner, pattern, path)


_SWITCHES: Final[Mapping[str, str]] = {
    "PubliclyAccessible": "it gets a public address",
    "MapPublicIpOnLaunch": "instances in it get a public address",
    "AssociatePublicIpAddress": "it gets a public address",
    "EndpointPublicAccess": "its endpoint is public",
}


@on(ANY, judges=lambda path: path[-1] in {*_SWITCHES, "Scheme"})
def public_switches(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check single settings that expose something to the internet."""
    after = pair.after
    if after is None or (pair.before is not None and not pair.differences):
        return
    before = pair.before.properties if pair.before is not None else {}
    for name, what in _SWITCHES.items():
        if any(map(truth, _under(after.properties, name))) and not any(map(truth, _under(before, name))):
            yield found("public-access", after, what, detail=name)
    if after.get("Scheme") == "internet-facing" and before.get("Scheme") != "internet-facing":
        severity = None if pair.before is not None else Severity.HIGH
        yield found("public-access", after, "it faces the internet", severity=severity, detail="Scheme")


def _under(value: Json, name: str) -> Iterator[Json]:
    match value:
        case Mapping():
            for key, inner in value.items():
                if key == name:
                    yield inner
                else:
                    yield from _under(inner, name)
        case list():
            for inner in value:
                yield from _under(inner, name)


@on(
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::SecurityGroupEgress",
    judges="SecurityGroupIngress SecurityGroupEgress IpProtocol FromPort ToPort CidrIp CidrIpv6 SourceSecurityGroupId "
    "SourcePrefixListId SourceSecurityGroupName DestinationSecurityGroupId DestinationPrefixListId",
)
def security_group(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check the peers and ports that a security group allows."""
    after = pair.after
    if after is None:
        return
    for way, name, own in (
        ("in", "SecurityGroupIngress", "AWS::EC2::SecurityGroupIngress"),
        ("out", "SecurityGroupEgress", "AWS::EC2::SecurityGroupEgress"),
    ):
        ones = _rules(pair.before, name, own) if pair.before is not None else []
        for rule in _rules(after, name, own):
            if not any(_lets_through(other, rule) for other in ones):
                peer = _peer(rule)
                anywhere = peer in {"0.0.0.0/0", "::/0"}
                severity = Severity.CRITICAL if anywhere and way == "in" else None
                if way == "out":
                    severity = Severity.MEDIUM
                ports = f"{shown(rule.get('FromPort'))} to {shown(rule.get('ToPort'))}"
                peers = f"{readable(peer)} may connect to it" if way == "in" else f"it may connect to {readable(peer)}"
                what = f"{peers} by {_protocol(rule)}"
                yield found("network-opened", after, what, severity=severity, detail=f"{way}-{readable(peer)}-{ports}")


def _protocol(rule: Mapping[str, Any]) -> str:
    """Return a rule's protocol and ports, for people."""
    protocol, first, last = str(rule.get("IpProtocol")), rule.get("FromPort"), rule.get("ToPort")
    if protocol == "-1":
        return "any protocol"
    if first is None or (str(first), str(last)) == ("-1", "-1"):
        return f"{protocol} on any port"
    return (
        f"{protocol} on port {shown(first)}"
        if first == last
        else f"{protocol} on ports {shown(first)} to {shown(last)}"
    )


def _rules(resource: ReviewedResource, name: str, own: str) -> list[Mapping[str, Any]]:
    rules = [resource.properties] if resource.type == own else resource.entries(name)
    return [rule for rule in rules if rule.get("CidrIp") != _NOBODY]


_NOBODY = "255.255.255.255/32"
"""The broadcast address, which never answers. CDK writes a rule with it for a group that must allow no egress: without
any rule, EC2 allows everything (`NO_TRAFFIC_RULE` in aws-cdk-lib's aws-ec2/lib/security-group.ts).
"""


def _peer(rule: Mapping[str, Any]) -> str:
    names = (
        "CidrIp",
        "CidrIpv6",
        "SourceSecurityGroupId",
        "SourcePrefixListId",
        "SourceSecurityGroupName",
        "DestinationSecurityGroupId",
        "DestinationPrefixListId",
    )
    return next((str(rule[name]) for name in names if rule.get(name)), "nobody")


def _lets_through(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    outer, inner = str(wide.get("IpProtocol")), str(narrow.get("IpProtocol"))
    if outer not in {inner, "-1"}:
        return False
    if outer != "-1":
        low, high, first, last = (
            number(rule.get(name))
            for rule, name in ((wide, "FromPort"), (wide, "ToPort"), (narrow, "FromPort"), (narrow, "ToPort"))
        )
        if None not in {low, high, first, last} and not (low <= first and last <= high):  # type: ignore[operator]
            return False
        if None in {low, high, first, last} and (low, high) != (first, last):
            return False
    one, other = _peer(wide), _peer(narrow)
    try:
        net, part = ipaddress.ip_network(one, strict=False), ipaddress.ip_network(other, strict=False)
    except ValueError:
        return one == other
    return net.version == part.version and net.supernet_of(part)  # type: ignore[arg-type]


@on(
    "AWS::CloudFront::Distribution",
    judges="DistributionConfig/Restrictions/GeoRestriction DistributionConfig/WebACLId "
    "DistributionConfig/DefaultCacheBehavior/TrustedKeyGroups DistributionConfig/CacheBehaviors/*/TrustedKeyGroups "
    "DistributionConfig/DefaultCacheBehavior/ViewerProtocolPolicy "
    "DistributionConfig/CacheBehaviors/*/ViewerProtocolPolicy "
    "DistributionConfig/Origins/*/CustomOriginConfig/OriginProtocolPolicy",
)
def edge(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check countries, firewall and viewers of a distribution."""
    if not (sides := both(pair)):
        return
    before, after = sides
    restriction = "DistributionConfig.Restrictions.GeoRestriction"
    kinds = [side.get(f"{restriction}.RestrictionType", "none") for side in sides]
    places = [words(side.get(f"{restriction}.Locations")) for side in sides]
    match kinds:
        case ["whitelist", "whitelist"]:
            more = places[1] - places[0]
        case ["blacklist", "blacklist"]:
            more = places[0] - places[1]
        case ["none", _]:
            more = frozenset()
        case _:
            more = frozenset({"every country" if kinds[1] == "none" else "other countries"})
    if more:
        yield found("geo-widened", after, f"it answers requests from {', '.join(sorted(more))}")
    firewall = "DistributionConfig.WebACLId"
    if before.get(firewall) and not after.get(firewall):
        yield found("waf-loosened", after, "no firewall protects it any more", detail="WebACLId")
    ones, others = (_behaviours(side) for side in sides)
    for name, behaviour in others.items():
        if "TrustedKeyGroups" in ones.get(name, {}) and "TrustedKeyGroups" not in behaviour:
            yield found("open-route", after, f"{name} accepts unsigned requests", detail=f"signed-{name}")
        was = ones.get(name, {}).get("ViewerProtocolPolicy", "https-only")
        if behaviour.get("ViewerProtocolPolicy") == "allow-all" != was:
            yield found("tls-lowered", after, f"{name} answers without TLS", detail=f"viewers-{name}")
    for old, new in _by_id(before, after):
        protocol = "CustomOriginConfig"
        was, is_now = (fields(entry.get(protocol)).get("OriginProtocolPolicy") for entry in (old, new))
        if was == "https-only" != is_now:
            yield found("tls-lowered", after, f"the origin is called by {is_now}", detail=f"origin-{new.get('Id')}")


def _behaviours(resource: ReviewedResource) -> dict[str, Mapping[str, Any]]:
    default = resource.get("DistributionConfig.DefaultCacheBehavior")
    further = {str(one.get("PathPattern")): one for one in resource.entries("DistributionConfig.CacheBehaviors")}
    return {"the default behaviour": default if isinstance(default, Mapping) else {}, **further}


def _by_id(before: ReviewedResource, after: ReviewedResource) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    known = {str(entry.get("Id")): entry for entry in before.entries("DistributionConfig.Origins")}
    for entry in after.entries("DistributionConfig.Origins"):
        if (old := known.get(str(entry.get("Id")))) is not None:
            yield old, entry


_VERSIONED = re.compile(r"TLS_?v?(?P<major>[0-9])(?:[._](?P<minor>[0-9])(?![0-9]))?", re.IGNORECASE)
_TLS = re.compile(
    r"(MinimumProtocolVersion|SecurityPolicy|TLSSecurityPolicy|SslPolicy|MinimumTlsVersion|OriginSSLProtocols)"
)
_OLDEST = (0, 0)


@on(ANY, judges=lambda path: any(map(_TLS.fullmatch, path)))
def tls(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check the oldest accepted version of TLS."""
    if pair.after is None:
        return
    for difference in pair.settings:
        name = next((part for part in difference.path if _TLS.fullmatch(part)), None)
        if name is None:
            continue
        whole = difference.path[: difference.path.index(name) + 1]
        if difference.after is None and value_at(pair.after.properties, whole) is not None:
            # Removing a protocol from a list only makes it stricter.
            continue
        old, new = _oldest(difference.before), _oldest(difference.after)
        if old is not None and (new is None or new < old):
            what = f"{name} goes from {shown(difference.before)} to {shown(difference.after)}"
            yield found("tls-lowered", pair.after, what, detail=difference.name)
        elif name == "OriginSSLProtocols" and new is not None and new < (1, 2):
            yield found("tls-lowered", pair.after, f"the origin may speak {difference.after}", detail=difference.name)


def _oldest(value: Json) -> tuple[int, int] | None:
    versions = []
    for text in map(str, listed(value)):
        if text.upper().startswith("SSL"):
            versions.append(_OLDEST)
        for version in _VERSIONED.finditer(text):
            major, minor = version["major"], version["minor"]
            versions.append((int(major), int(minor or 0)))
    return min(versions, default=None)


@on(
    "AWS::WAFv2::WebACLAssociation",
    "AWS::WAFv2::WebACL",
    "AWS::WAFv2::LoggingConfiguration",
    judges="DefaultAction Rules/*/Action Rules/*/OverrideAction Rules/*/Statement Rules/*/Name ResourceArn",
)
def firewall(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Check the rules and the protected resource of a firewall."""
    before, after = pair.before, pair.after
    if before is not None and after is None:
        if before.type == "AWS::WAFv2::LoggingConfiguration":
            yield found("logging-dropped", before, "the firewall's log is removed")
            return
        # The protected resource may be deleted too.
        target = before.get("ResourceArn")
        subject = shown(target) if target else "it"
        yield found("waf-loosened", before, f"no firewall protects {subject} any more")
        return
    if before is None or after is None:
        return
    if before.type == "AWS::WAFv2::WebACLAssociation":
        if before.get("ResourceArn") != context.rename(str(after.get("ResourceArn"))):
            what = f"the firewall protects {shown(after.get('ResourceArn'))} instead"
            yield found("waf-loosened", after, what, detail="ResourceArn")
        return
    if "Block" in fields(before.get("DefaultAction")) and "Block" not in fields(after.get("DefaultAction")):
        what = "requests that match no rule are allowed"
        yield found("waf-loosened", after, what, severity=Severity.CRITICAL, detail="DefaultAction")
    ones = {str(rule.get("Name")): rule for rule in before.entries("Rules")}
    others = {str(rule.get("Name")): rule for rule in after.entries("Rules")}
    for name, rule in ones.items():
        if name not in others:
            yield found("waf-loosened", after, f"the rule {name} is removed", detail=name)
        elif (why := _weaker(rule, others[name])) is not None:
            yield found("waf-loosened", after, f"the rule {name} {why}", detail=name)
    for name in others.keys() - ones.keys():
        if "Allow" in fields(others[name].get("Action")):
            yield found("waf-loosened", after, f"the new rule {name} allows the requests that it matches", detail=name)


def _weaker(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Return how a firewall rule becomes more permissive; None if it does not."""
    if before == after:
        return None
    for name, strict in (("Action", "Block"), ("OverrideAction", "None")):
        old, new = (next(iter(fields(rule.get(name))), None) for rule in (before, after))
        if old == strict and new != strict:
            return f"goes from {old} to {new or 'nothing'}"
    old_limit, new_limit = (number(next(_under(rule, "Limit"), None)) for rule in (before, after))
    if old_limit is not None and (new_limit is None or new_limit > old_limit):
        return f"allows {shown(new_limit)} requests instead of {shown(old_limit)}"
    for name in ("RuleActionOverrides", "ExcludedRules"):
        old_names, new_names = (
            {str(one.get("Name")) for found_list in _under(rule, name) for one in objects(found_list)}
            for rule in (before, after)
        )
        if more := new_names - old_names:
            return f"no longer blocks by {', '.join(sorted(more))}"
    if _bare(before.get("Statement")) != _bare(after.get("Statement")):
        return "inspects different requests"
    return None


_COMPARED = frozenset({"Limit", "RuleActionOverrides", "ExcludedRules"})


def _bare(value: Json) -> Json:
    """Return a firewall's statement without the parts that are compared separately."""
    match value:
        case Mapping():
            return {key: _bare(inner) for key, inner in value.items() if key not in _COMPARED}
        case list():
            return [_bare(inner) for inner in value]
    return value


@on(
    "AWS::Cognito::UserPool",
    judges="AdminCreateUserConfig/AllowAdminCreateUserOnly AutoVerifiedAttributes MfaConfiguration "
    "Policies/PasswordPolicy UserPoolAddOns/AdvancedSecurityMode Schema",
)
def user_pool(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check rules for new accounts and passwords."""
    if not (sides := both(pair)):
        return
    before, after = sides
    path = "AdminCreateUserConfig.AllowAdminCreateUserOnly"
    if truth(before.get(path)) and not truth(after.get(path)):
        yield found("sign-in-loosened", after, "anybody may sign up", detail="self-sign-up")
    policy = "Policies.PasswordPolicy"
    for name in ("RequireLowercase", "RequireNumbers", "RequireSymbols", "RequireUppercase"):
        if truth(before.get(f"{policy}.{name}")) and not truth(after.get(f"{policy}.{name}")):
            yield found("sign-in-loosened", after, f"{name} of passwords is removed", detail=name)
    for name, default, looser in (
        ("MinimumLength", 6.0, -1),
        ("TemporaryPasswordValidityDays", 7.0, 1),
        ("PasswordHistorySize", 0.0, -1),
    ):
        old, new = (number(side.get(f"{policy}.{name}", default)) for side in sides)
        if old is not None and new is not None and (new - old) * looser > 0:
            yield found("sign-in-loosened", after, f"{name} goes from {shown(old)} to {shown(new)}", detail=name)
    for path, order in (
        ("MfaConfiguration", ("OFF", "OPTIONAL", "ON")),
        ("UserPoolAddOns.AdvancedSecurityMode", ("OFF", "AUDIT", "ENFORCED")),
    ):
        was, is_now = (str(side.get(path, "OFF")) for side in sides)
        if was in order and order.index(was) > (order.index(is_now) if is_now in order else 0):
            yield found("sign-in-loosened", after, f"{path} goes from {was} to {is_now}", detail=path)
    if dropped := words(before.get("AutoVerifiedAttributes")) - words(after.get("AutoVerifiedAttributes")):
        yield found("sign-in-loosened", after, f"{', '.join(sorted(dropped))} is not verified", detail="verified")


@on("AWS::Cognito::IdentityPool", judges="AllowUnauthenticatedIdentities")
def identity_pool(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for guests, who get AWS credentials without signing in."""
    after = pair.after
    if after is None or not truth(after.get("AllowUnauthenticatedIdentities")):
        return
    if pair.before is None or not truth(pair.before.get("AllowUnauthenticatedIdentities")):
        what = "guests get credentials without signing in"
        severity = Severity.CRITICAL if pair.before is not None else Severity.HIGH
        yield found("sign-in-loosened", after, what, severity=severity, detail="guests")


_WEAK_FLOWS = re.compile(r"PASSWORD_AUTH|CUSTOM_AUTH|USER_PASSWORD|implicit")
_TOKENS = ("AccessTokenValidity", "IdTokenValidity", "RefreshTokenValidity")


@on(
    "AWS::Cognito::UserPoolClient",
    judges="AllowedOAuthFlows AccessTokenValidity CallbackURLs EnableTokenRevocation ExplicitAuthFlows IdTokenValidity "
    "PreventUserExistenceErrors RefreshTokenValidity TokenValidityUnits",
)
def user_pool_client(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check ways to sign in, and token lifetimes."""
    if not (sides := both(pair)):
        return
    before, after = sides
    for path in ("ExplicitAuthFlows", "AllowedOAuthFlows"):
        more = sorted(flow for flow in words(after.get(path)) - words(before.get(path)) if _WEAK_FLOWS.search(flow))
        if more:
            yield found("sign-in-loosened", after, f"{', '.join(more)} is allowed", detail=path)
    if more := sorted(words(after.get("CallbackURLs")) - words(before.get("CallbackURLs"))):
        yield found("sign-in-loosened", after, f"tokens also go to {', '.join(more)}", detail="CallbackURLs")
    for name in _TOKENS:
        old, new = (number(side.get(name)) for side in sides)
        units = [side.get(f"TokenValidityUnits.{name.removesuffix('Validity')}") for side in sides]
        if old is not None and new is not None and (new > old or units[0] != units[1]):
            what = f"{name} goes from {shown(old)} to {shown(new)} {shown(units[1])}"
            yield found("sign-in-loosened", after, what, severity=Severity.MEDIUM, detail=name)
    if before.get("PreventUserExistenceErrors") == "ENABLED" != after.get("PreventUserExistenceErrors"):
        yield found("sign-in-loosened", after, "answers reveal which users exist", detail="existence")
    if truth(before.get("EnableTokenRevocation", True)) and not truth(after.get("EnableTokenRevocation", True)):
        yield found("sign-in-loosened", after, "tokens cannot be revoked", detail="revocation")


_THROTTLES = re.compile(r"(Throttling)?(RateLimit|BurstLimit)|Quota\.Limit|Limit")


@on(
    "AWS::ApiGateway::Stage",
    "AWS::ApiGateway::UsagePlan",
    "AWS::ApiGatewayV2::Stage",
    judges=lambda path: bool(_THROTTLES.fullmatch(path[-1])) or path[0] in {"Quota", "Throttle"},
)
def throttle(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check the rate limits of a caller."""
    if pair.after is None:
        return
    gone = {difference.path for difference in pair.differences if difference.after is None}
    for difference in pair.settings:
        # Removing a whole block of limits is reported as one finding.
        if not _THROTTLES.fullmatch(difference.path[-1]) or (difference.after is None and difference.path[:1] in gone):
            continue
        old, new = number(difference.before), number(difference.after)
        if old is not None and (new is None or new > old):
            what = f"{difference.name} goes from {shown(old)} to {shown(new)}"
            yield found("throttle-raised", pair.after, what, detail=difference.name)
    for name in ("Throttle", "Quota"):
        sides = both(pair)
        if sides and sides[0].get(name) and not sides[1].get(name):
            yield found("throttle-raised", sides[1], f"{name} goes", severity=Severity.MEDIUM, detail=name)


_LOGS: Final[Mapping[str, tuple[str, ...]]] = {
    "AWS::ApiGateway::Stage": ("AccessLogSetting",),
    "AWS::ApiGatewayV2::Stage": ("AccessLogSettings",),
    "AWS::CloudFront::Distribution": ("DistributionConfig.Logging",),
    "AWS::CloudTrail::Trail": ("CloudWatchLogsLogGroupArn", "S3BucketName"),
    "AWS::CodeBuild::Project": ("LogsConfig",),
    "AWS::S3::Bucket": ("LoggingConfiguration",),
}
_LOGGING_TYPES = ("AWS::CloudTrail::Trail", "AWS::EC2::FlowLog", "AWS::Logs::Delivery", "AWS::Logs::SubscriptionFilter")


@on(
    *_LOGS,
    judges=lambda path: (
        any(".".join(path) == log for logs in _LOGS.values() for log in logs)
        or path[-1] == "LoggingLevel"
        or path[0] == "IsLogging"
    ),
)
def logging(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for removed logs."""
    if not (sides := both(pair)):
        return
    before, after = sides
    for path in _LOGS[pair.type]:
        if before.get(path) and not after.get(path):
            yield found("logging-dropped", after, f"{path} goes", detail=path)
    old, new = (
        {str(one.get("ResourcePath")): str(one.get("LoggingLevel")) for one in side.entries("MethodSettings")}
        for side in sides
    )
    for place, level in old.items():
        if level not in {"None", "OFF"} and new.get(place, "OFF") in {"None", "OFF"}:
            yield found("logging-dropped", after, f"the execution log of {place} is removed", detail=place)
    if truth(before.get("IsLogging")) and not truth(after.get("IsLogging")):
        yield found("logging-dropped", after, "the trail stops", severity=Severity.HIGH, detail="IsLogging")


@on(*_LOGGING_TYPES, judges="")
def log_resources(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check resources whose only purpose is logging."""
    if pair.before is not None and pair.after is None:
        yield found("logging-dropped", pair.before, f"{pair.type} is removed")
