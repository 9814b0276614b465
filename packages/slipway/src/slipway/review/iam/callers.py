"""Determine the callers that a resource policy's statement admits, considering its conditions.

A statement for everybody is only as open as its conditions. A condition only restricts it if it cannot hold without its
key: a negated operator, `…IfExists` and `ForAllValues:` hold for a request without the key
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html), unless a `Null`
condition beside them requires the key.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from typing import Final

from slipway.review.iam.conditions import Condition
from slipway.review.patterns import OPEN, REFERENCE
from slipway.review.values import references


class Caller(StrEnum):
    """Group of callers."""

    EVERYBODY = "everybody"
    STRANGER = "an account that the assembly does not deliver to"
    ANY_TENANT = "every tenant of a shared identity provider"
    LIMITED = "an organization, a network, or an identity whose account is not known"
    FEDERATED = "identities of an identity provider"
    SERVICE = "a service of AWS"
    OWN = "the accounts that the assembly delivers to"


_WIDEST_FIRST = (Caller.EVERYBODY, Caller.STRANGER, Caller.LIMITED, Caller.SERVICE, Caller.OWN)
"""Order of groups within a condition: any value is enough, so the widest counts."""

_DECIDING_FIRST = (Caller.OWN, Caller.STRANGER, Caller.SERVICE, Caller.LIMITED, Caller.EVERYBODY)
"""Order of groups across conditions: all must hold, so the most specific counts, such as an account before a
network."""

_POSITIVE = frozenset(
    {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress", "bool"}
)
_ACCOUNT = re.compile(r"(\d{12})\*?")
_ACCOUNT_OF_ARN = re.compile(r"arn:[^:]*:(?:iam|sts)::([^:]*):")
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_OWN_ACCOUNT = "${aws:resourceaccount}"
# CloudFront's identities have its name in place of an account:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
_CLOUDFRONT = "cloudfront"
# Placeholder for text that only the deployment knows.
_UNKNOWN = OPEN
_ARN_FIELDS = 5

_WEB_IDENTITY = "sts:assumerolewithwebidentity"
_AUDIENCES: Final[Mapping[str, tuple[str, ...]]] = {
    "accounts.google.com": ("aud", "oaud", "sub"),
    "api.pulumi.com": ("aud",),
    "cognito-identity.amazonaws.com": ("aud",),
    "graph.facebook.com": ("app_id",),
    "oidc.vercel.com": ("aud", "sub"),
    "sandboxes.cloud": ("aud",),
    "www.amazon.com": ("app_id",),
}
"""Providers that identify tenants by a claim other than the subject, with that claim
(https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html)."""

_CLUSTER = re.compile(r"oidc\.eks\.[^/:]+")
"""A cluster's own identity provider, in which only that cluster has identities."""

_NAMING: Final = tuple(
    (re.compile(begins), re.compile(names))
    for begins, names in (
        # GitHub: `repo:owner/repository:ref:refs/heads/main`. A pattern that ends within the repository's name also
        # matches others.
        (r"repo:", r"repo:[^/:]+/[^/:]+:"),
        # GitLab: `project_path:group/project:ref_type:branch:ref:main`, with subgroups in between.
        (r"project_path:", r"project_path:[^/:]+/[^:]+:"),
        (r"system:serviceaccount:", r"system:serviceaccount:[^:]+:."),
        # HCP Terraform, Buildkite, Bitbucket, …: the first label with its value.
        (r"", r"[^:/]+[:/][^:/]+[:/]|\{?[0-9a-f-]{36}\}?:"),
    )
)
"""Text that a subject must contain before its first wildcard to name a single tenant, by its prefix."""


def callers(principal: str, action: str, conditions: Collection[Condition], accounts: Collection[str]) -> Caller:
    """Return the callers that a statement admits through one of its principals.

    Args:
        principal: The principal in the format of `read_principals`.
        action: The allowed action.
        conditions: Conditions of the statement.
        accounts: Target accounts of the assembly.
    """
    if principal.startswith("federated:"):
        return _federated(principal.removeprefix("federated:"), action, conditions)
    narrowed = _narrowed(conditions, accounts)
    if principal == "*" or principal.startswith("everybody but"):
        return narrowed
    if principal.startswith("service:"):
        # Without a known source, the service may call on behalf of any resource.
        return Caller.STRANGER if narrowed == Caller.STRANGER else Caller.SERVICE
    if (named := _ACCOUNT_OF_ARN.match(principal)) is not None:
        if named[1] == _CLOUDFRONT:
            return Caller.SERVICE
        return Caller.OWN if named[1] in accounts else Caller.STRANGER
    return Caller.OWN if any(references(principal)) else Caller.STRANGER


def names_callers(conditions: Iterable[Condition]) -> bool:
    """Return True if any condition is about the caller, or the caller's network."""
    return any(condition.key in _JUDGED for condition in conditions)


def _narrowed(conditions: Collection[Condition], accounts: Collection[str]) -> Caller:
    """Return the callers that remain after conditions on everybody."""
    found = {
        _widest(judge(value, accounts) for value in condition.values)
        for condition in _narrowing(conditions)
        if (judge := _JUDGED.get(condition.key)) is not None
    }
    return next((caller for caller in _DECIDING_FIRST if caller in found), Caller.EVERYBODY)


def _narrowing(conditions: Collection[Condition]) -> list[Condition]:
    """Return the conditions that restrict the value of a key and require the key."""
    positive = [condition for condition in conditions if condition.comparison in _POSITIVE]
    demanded = {condition.key for condition in positive if condition.needs_key}
    demanded |= {
        condition.key for condition in conditions if condition.comparison == "null" and condition.values == {"false"}
    }
    return [condition for condition in positive if condition.key in demanded]


def _widest(found: Iterable[Caller]) -> Caller:
    some = set(found)
    return next((caller for caller in _WIDEST_FIRST if caller in some), Caller.EVERYBODY)


def _is_open(text: str) -> bool:
    """Return True if a text contains wildcards, or variables that the request fills."""
    return "*" in text or "?" in text or _VARIABLE.search(text) is not None


def _account(value: str, accounts: Collection[str]) -> Caller:
    if value.lower() == _OWN_ACCOUNT:
        return Caller.OWN
    if (named := _ACCOUNT.fullmatch(value)) is not None:
        return Caller.OWN if named[1] in accounts else Caller.STRANGER
    return Caller.EVERYBODY if _is_open(value) else Caller.LIMITED


def _arn(value: str, accounts: Collection[str]) -> Caller:
    if any(value == str(reference) for reference in references(value)):
        return Caller.OWN
    text = _VARIABLE.sub(lambda found: found[0].replace(":", "/"), REFERENCE.sub(_UNKNOWN, value))
    fields = text.split(":")
    if len(fields) <= _ARN_FIELDS:
        # A wildcard covers all missing fields.
        return Caller.EVERYBODY if _is_open(text) else Caller.LIMITED
    account = fields[_ARN_FIELDS - 1].replace("${aws/", "${aws:")
    if account == _CLOUDFRONT:
        return Caller.SERVICE
    if not account:
        # A bucket's ARN has no account, but its name is globally unique.
        return Caller.EVERYBODY if fields[_ARN_FIELDS].startswith(("*", "?")) else Caller.LIMITED
    return _account(account, accounts)


def _organization(value: str, _: Collection[str]) -> Caller:
    return Caller.EVERYBODY if _is_open(value.partition("/")[0]) else Caller.LIMITED


def _network(value: str, _: Collection[str]) -> Caller:
    return Caller.EVERYBODY if _is_open(value) else Caller.LIMITED


def _identifier(value: str, accounts: Collection[str]) -> Caller:
    """Return the caller of `aws:userid`: an account for its root, else a unique id with the session's name."""
    if _ACCOUNT.fullmatch(value):
        return _account(value, accounts)
    return Caller.EVERYBODY if _is_open(value.partition(":")[0]) else Caller.LIMITED


def _address(value: str, _: Collection[str]) -> Caller:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return Caller.EVERYBODY if _is_open(value) else Caller.LIMITED
    # A range of half of all addresses does not restrict anything.
    return Caller.EVERYBODY if network.prefixlen <= 1 else Caller.LIMITED


def _service(value: str, _: Collection[str]) -> Caller:
    return Caller.EVERYBODY if value in {"false", "*"} else Caller.SERVICE


_Judge = Callable[[str, Collection[str]], Caller]

_JUDGED: Final[Mapping[str, _Judge]] = {
    "aws:principalaccount": _account,
    "aws:sourceaccount": _account,
    "aws:sourceowner": _account,
    "aws:vpceaccount": _account,
    "kms:calleraccount": _account,
    "s3:dataaccesspointaccount": _account,
    "aws:principalarn": _arn,
    "aws:sourcearn": _arn,
    "aws:sourcevpcarn": _arn,
    "ec2:sourceinstancearn": _arn,
    "lambda:sourcefunctionarn": _arn,
    "s3:dataaccesspointarn": _arn,
    "aws:principalorgid": _organization,
    "aws:principalorgpaths": _organization,
    "aws:sourceorgid": _organization,
    "aws:sourceorgpaths": _organization,
    "aws:vpceorgid": _organization,
    "aws:vpceorgpaths": _organization,
    "aws:userid": _identifier,
    "aws:sourceip": _address,
    "aws:vpcsourceip": _address,
    "aws:sourcevpc": _network,
    "aws:sourcevpce": _network,
    "aws:principalisawsservice": _service,
    "aws:principalservicename": _service,
    "aws:principalservicenameslist": _service,
}
"""Keys about the caller or the caller's network
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html). A tag, a transport, a time or
the calling service does not restrict access: every account can satisfy those.
"""


def _federated(provider: str, action: str, conditions: Collection[Condition]) -> Caller:
    if provider == "*":
        return Caller.EVERYBODY
    # A role is assumed with SAML by another action, and its provider belongs to one organization.
    if "saml-provider/" in provider or not _is_web_identity(action):
        return Caller.FEDERATED
    issuer = provider.rpartition("oidc-provider/")[2]
    claims = _AUDIENCES.get(issuer.partition("/")[0], ("sub",))
    subjects = [
        condition
        for condition in _narrowing(conditions)
        if condition.key.rpartition(":")[2] in claims and condition.key.rpartition(":")[0]
    ]
    if any(all(_names_tenant(condition, value) for value in condition.values) for condition in subjects):
        return Caller.FEDERATED
    if any(all(map(_is_unknown, condition.values)) for condition in subjects):
        return Caller.LIMITED
    is_cluster = any(_CLUSTER.match(text) for text in (issuer, *(condition.key for condition in conditions)))
    return Caller.LIMITED if is_cluster else Caller.ANY_TENANT


def _is_web_identity(action: str) -> bool:
    pattern = re.escape(action.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, _WEB_IDENTITY) is not None or action.lower().startswith("everything but")


def _is_unknown(value: str) -> bool:
    """Return True if only the deployment knows a value; references to our own resources count as known."""
    return REFERENCE.fullmatch(value) is not None and not any(references(value))


def _names_tenant(condition: Condition, value: str) -> bool:
    """Return True if a subject names a repository, project or application, rather than a whole owner."""
    if _is_unknown(value):
        return False
    text = _VARIABLE.sub("*", REFERENCE.sub(_UNKNOWN, value))
    fixed = re.split(r"[*?]", text, maxsplit=1)[0]
    if not fixed:
        return False
    if fixed == text or not condition.key.endswith(":sub"):
        return True
    return next(names for begins, names in _NAMING if begins.match(fixed)).match(fixed) is not None
