"""Who a statement of a resource's policy lets in, once its conditions are taken into account.

A principal that names everybody is only as open as the conditions beside it leave it. A condition narrows where it
cannot hold without its key: a negated operator, `…IfExists` and `ForAllValues:` hold for a request that lacks the key
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html), unless a
`Null` beside them demands the key.
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
    """Who may call."""

    EVERYBODY = "everybody"
    STRANGER = "an account that the assembly does not deliver to"
    ANY_TENANT = "every tenant of a shared identity provider"
    LIMITED = "an organization, a network, or an identity whose account is not known"
    FEDERATED = "identities of an identity provider"
    SERVICE = "a service of AWS"
    OWN = "the accounts that the assembly delivers to"


_WIDEST_FIRST = (Caller.EVERYBODY, Caller.STRANGER, Caller.LIMITED, Caller.SERVICE, Caller.OWN)
"""Of the values of one condition, any of which is enough, the widest counts."""

_DECIDING_FIRST = (Caller.OWN, Caller.STRANGER, Caller.SERVICE, Caller.LIMITED, Caller.EVERYBODY)
"""Of several conditions, all of which have to hold, the one that says most counts: an account before a network."""

_POSITIVE = frozenset(
    {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress", "bool"}
)
_ACCOUNT = re.compile(r"(\d{12})\*?")
_ACCOUNT_OF_ARN = re.compile(r"arn:[^:]*:(?:iam|sts)::([^:]*):")
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_OWN_ACCOUNT = "${aws:resourceaccount}"
# Identities of CloudFront stand under its name in the place of an account:
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html
_CLOUDFRONT = "cloudfront"
# Stands for a text that only the deployment knows.
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
"""Providers that tell tenants by another claim than the subject, and that claim
(https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html)."""

_CLUSTER = re.compile(r"oidc\.eks\.[^/:]+")
"""A cluster's own provider: nobody else has identities there."""

_NAMING: Final = tuple(
    (re.compile(begins), re.compile(names))
    for begins, names in (
        # GitHub: `repo:owner/repository:ref:refs/heads/main`. What ends within the repository's name names others too.
        (r"repo:", r"repo:[^/:]+/[^/:]+:"),
        # GitLab: `project_path:group/project:ref_type:branch:ref:main`, with subgroups in between.
        (r"project_path:", r"project_path:[^/:]+/[^:]+:"),
        (r"system:serviceaccount:", r"system:serviceaccount:[^:]+:."),
        # HCP Terraform, Buildkite, Bitbucket, …: the first label with its value.
        (r"", r"[^:/]+[:/][^:/]+[:/]|\{?[0-9a-f-]{36}\}?:"),
    )
)
"""What a subject has to hold before its first wildcard to name one tenant's own, by how it begins."""


def callers(principal: str, action: str, conditions: Collection[Condition], accounts: Collection[str]) -> Caller:
    """Return who a statement lets in through one of its principals.

    Args:
        principal: as `read_principals` writes it.
        action: what is allowed.
        conditions: the statement's.
        accounts: those that the assembly delivers to.
    """
    if principal.startswith("federated:"):
        return _federated(principal.removeprefix("federated:"), action, conditions)
    narrowed = _narrowed(conditions, accounts)
    if principal == "*" or principal.startswith("everybody but"):
        return narrowed
    if principal.startswith("service:"):
        # Without a source, or with one that is not known, any resource may have the service call.
        return Caller.STRANGER if narrowed == Caller.STRANGER else Caller.SERVICE
    if (named := _ACCOUNT_OF_ARN.match(principal)) is not None:
        if named[1] == _CLOUDFRONT:
            return Caller.SERVICE
        return Caller.OWN if named[1] in accounts else Caller.STRANGER
    return Caller.OWN if any(references(principal)) else Caller.STRANGER


def names_callers(conditions: Iterable[Condition]) -> bool:
    """Whether any of some conditions is about who calls, or from where."""
    return any(condition.key in _JUDGED for condition in conditions)


def _narrowed(conditions: Collection[Condition], accounts: Collection[str]) -> Caller:
    """Whom conditions leave of everybody."""
    found = {
        _widest(judge(value, accounts) for value in condition.values)
        for condition in _narrowing(conditions)
        if (judge := _JUDGED.get(condition.key)) is not None
    }
    return next((caller for caller in _DECIDING_FIRST if caller in found), Caller.EVERYBODY)


def _narrowing(conditions: Collection[Condition]) -> list[Condition]:
    """The conditions that say what the value of a key has to be, and do not hold without the key."""
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
    """Whether a text has wildcards, or variables that the request fills."""
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
        # A wildcard stands for all fields that are not written.
        return Caller.EVERYBODY if _is_open(text) else Caller.LIMITED
    account = fields[_ARN_FIELDS - 1].replace("${aws/", "${aws:")
    if account == _CLOUDFRONT:
        return Caller.SERVICE
    if not account:
        # A bucket's ARN has no account; its name is nobody else's.
        return Caller.EVERYBODY if fields[_ARN_FIELDS].startswith(("*", "?")) else Caller.LIMITED
    return _account(account, accounts)


def _organization(value: str, _: Collection[str]) -> Caller:
    return Caller.EVERYBODY if _is_open(value.partition("/")[0]) else Caller.LIMITED


def _network(value: str, _: Collection[str]) -> Caller:
    return Caller.EVERYBODY if _is_open(value) else Caller.LIMITED


def _identifier(value: str, accounts: Collection[str]) -> Caller:
    """`aws:userid`: an account for its root, else an id that nobody else has, with the session's name."""
    if _ACCOUNT.fullmatch(value):
        return _account(value, accounts)
    return Caller.EVERYBODY if _is_open(value.partition(":")[0]) else Caller.LIMITED


def _address(value: str, _: Collection[str]) -> Caller:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return Caller.EVERYBODY if _is_open(value) else Caller.LIMITED
    # Half of all addresses is nobody's network.
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
"""Keys that say who calls or from where
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html). A tag, a transport, a time or
the service in between says neither: every account has those."""


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
    """Whether only the deployment knows a value: not what a resource of ours gives, which is ours."""
    return REFERENCE.fullmatch(value) is not None and not any(references(value))


def _names_tenant(condition: Condition, value: str) -> bool:
    """Whether a subject names a repository, a project, an application, and not all of an owner or of a provider."""
    if _is_unknown(value):
        return False
    text = _VARIABLE.sub("*", REFERENCE.sub(_UNKNOWN, value))
    fixed = re.split(r"[*?]", text, maxsplit=1)[0]
    if not fixed:
        return False
    if fixed == text or not condition.key.endswith(":sub"):
        return True
    return next(names for begins, names in _NAMING if begins.match(fixed)).match(fixed) is not None
