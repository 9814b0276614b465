"""Collect the policies of an assembly by subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from slipway.review.assembly import Json
from slipway.review.iam.conditions import Condition
from slipway.review.iam.statements import Patterns, Statement, read_principals, read_statements
from slipway.review.resources import ReviewedResource, Side
from slipway.review.values import Reference, references


class About(StrEnum):
    """Subject of a policy."""

    IDENTITY = "identity"
    """Permissions of an identity."""
    TRUST = "trust"
    """Who may assume a role."""
    KEY = "key"
    """Who may use a key."""
    RESOURCE = "resource"
    """Who may use any other resource."""


@dataclass(frozen=True, order=True)
class PolicySubject:
    """Subject of a policy.

    Args:
        about: Kind of the subject.
        name: The identity or resource: a reference, a name, or a place in the template.
    """

    about: About
    name: str


@dataclass
class Policy:
    """All policy statements about a subject.

    Args:
        resource: The resource to report: the role, or the resource with the policy.
        statements: The statements.
        attached: Managed policies that are attached only by their ARN, and groups.
        boundary: The permissions boundary of an identity.
    """

    resource: ReviewedResource
    statements: list[Statement] = field(default_factory=list)
    attached: set[str] = field(default_factory=set)
    boundary: str | None = None


_IDENTITIES = frozenset({"AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"})
_ATTACHING = ("Roles", "Users", "Groups")
_IDENTITY_POLICIES = frozenset(
    {
        "AWS::IAM::Policy",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::RolePolicy",
        "AWS::IAM::UserPolicy",
        "AWS::IAM::GroupPolicy",
    }
)
_OWNERS = ("RoleName", "UserName", "GroupName")

TARGETS: Final[Mapping[str, str]] = {
    "AWS::ECR::RegistryPolicy": "",
    "AWS::Events::EventBusPolicy": "EventBusName",
    "AWS::S3::BucketPolicy": "Bucket",
    "AWS::S3Express::BucketPolicy": "Bucket",
    "AWS::SNS::TopicInlinePolicy": "TopicArn",
    "AWS::SNS::TopicPolicy": "Topics",
    "AWS::SQS::QueueInlinePolicy": "Queue",
    "AWS::SQS::QueuePolicy": "Queues",
    "AWS::SecretsManager::ResourcePolicy": "SecretId",
}
"""Types that are only the policy of another resource, with the property that names that resource."""

SAYS_WHO: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_IDENTITY_POLICIES, ("Roles", "Users", "Groups", *_OWNERS)),
    **dict.fromkeys(_IDENTITIES, ("ManagedPolicyArns", "PermissionsBoundary", "Groups")),
    **{kind: (name,) for kind, name in TARGETS.items()},
    "AWS::Events::EventBusPolicy": ("Action", "Condition", "EventBusName", "Principal", "StatementId"),
    "AWS::IAM::UserToGroupAddition": ("GroupName", "Users"),
}
"""Properties, besides the documents, that attach a policy to an identity. They are checked with the permissions."""


def normal(value: Json, rename: Callable[[str], str]) -> Json:
    """Return a value with the former names in references to renamed resources."""
    match value:
        case str():
            return rename(value)
        case list():
            return [normal(inner, rename) for inner in value]
        case Mapping():
            return {key: normal(inner, rename) for key, inner in value.items()}
    return value


@lru_cache(maxsize=2)
def policies_of(side: Side) -> dict[PolicySubject, Policy]:
    """Return `policies`, cached for a base that is compared with several others."""
    return policies(side)


def policies(side: Side, rename: Callable[[str], str] | None = None) -> dict[PolicySubject, Policy]:
    """Return every policy of an assembly, by subject.

    Args:
        side: The assembly's resources.
        rename: Restores the former names in references to renamed resources. Default: nothing was renamed.
    """
    return _Gathering(side, rename).gather()


class _Gathering:
    def __init__(self, side: Side, rename: Callable[[str], str] | None) -> None:
        self._side = side
        self._rename = rename
        self._found: dict[PolicySubject, Policy] = {}
        self._names: dict[str, str] = {}

    def gather(self) -> dict[PolicySubject, Policy]:
        resources = self._side.resources.values()
        identities = [resource for resource in resources if resource.type in _IDENTITIES]
        for resource in identities:
            self._identity(resource)
        for resource in resources:
            if resource.type in _IDENTITY_POLICIES:
                self._attached_policy(resource)
            elif resource.type == "AWS::IAM::UserToGroupAddition":
                self._members(resource)
            elif resource.type not in _IDENTITIES:
                self._resource_policies(resource)
        for resource in identities:
            self._managed(resource)
        return self._found

    def _properties(self, resource: ReviewedResource) -> Mapping[str, Json]:
        if self._rename is None:
            return resource.properties
        found = normal(resource.properties, self._rename)
        return found if isinstance(found, dict) else {}

    def _name(self, text: str) -> str:
        return self._rename(text) if self._rename else text

    def _policy(self, about: About, name: str, resource: ReviewedResource) -> Policy:
        return self._found.setdefault(PolicySubject(about, name), Policy(resource))

    def _identity(self, resource: ReviewedResource) -> None:
        own = self._name(str(Reference(resource.stack.key, resource.logical_id, "Ref")))
        properties = self._properties(resource)
        policy = self._policy(About.IDENTITY, own, resource)
        boundary = properties.get("PermissionsBoundary")
        policy.boundary = None if boundary is None else str(boundary)
        for inline in _listed(properties.get("Policies")):
            if isinstance(inline, Mapping):
                policy.statements += read_statements(inline.get("PolicyDocument"), identity=True)
        policy.attached |= {f"group {group}" for group in _listed(properties.get("Groups"))}
        if "AssumeRolePolicyDocument" in properties:
            trust = self._policy(About.TRUST, own, resource)
            trust.statements += read_statements(properties["AssumeRolePolicyDocument"], identity=False)
        for name in _OWNERS:
            if isinstance(properties.get(name), str):
                self._names[properties[name]] = own

    def _attached_policy(self, resource: ReviewedResource) -> None:
        properties = self._properties(resource)
        statements = read_statements(properties.get("PolicyDocument"), identity=True)
        owners = [owner for name in _ATTACHING for owner in _listed(properties.get(name))]
        owners += [properties[name] for name in _OWNERS if name in properties]
        for owner in map(str, owners):
            self._policy(About.IDENTITY, self._names.get(owner, owner), resource).statements.extend(statements)
        # As its own subject too, because it may be attached elsewhere, or be a boundary.
        if resource.type == "AWS::IAM::ManagedPolicy" and not owners:
            own = self._name(str(Reference(resource.stack.key, resource.logical_id, "Ref")))
            self._policy(About.IDENTITY, own, resource).statements.extend(statements)

    def _members(self, resource: ReviewedResource) -> None:
        properties = self._properties(resource)
        for user in map(str, _listed(properties.get("Users"))):
            policy = self._policy(About.IDENTITY, self._names.get(user, user), resource)
            policy.attached.add(f"group {properties.get('GroupName')}")

    def _managed(self, resource: ReviewedResource) -> None:
        """Collect the policies that an identity names itself."""
        own = PolicySubject(About.IDENTITY, self._name(str(Reference(resource.stack.key, resource.logical_id, "Ref"))))
        for arn in map(str, _listed(self._properties(resource).get("ManagedPolicyArns"))):
            document = None
            for reference in references(arn):
                target = self._side.of(reference) or self._former(arn)
                if target is not None and target.type == "AWS::IAM::ManagedPolicy" and arn == str(reference):
                    document = self._properties(target).get("PolicyDocument")
            if document is None:
                self._found[own].attached.add(arn)
            else:
                self._found[own].statements += read_statements(document, identity=True)

    def _former(self, text: str) -> ReviewedResource | None:
        """Return the renamed resource behind a reference with its former name."""
        if self._rename is None:
            return None
        for resource in self._side.by_type.get("AWS::IAM::ManagedPolicy", ()):
            if self._rename(str(Reference(resource.stack.key, resource.logical_id, "Ref"))) == text:
                return resource
        return None

    def _resource_policies(self, resource: ReviewedResource) -> None:
        match resource.type:
            case "AWS::Lambda::Permission":
                self._permission(resource)
                return
            case "AWS::Lambda::LayerVersionPermission":
                self._layer_permission(resource)
                return
            case "AWS::Events::EventBusPolicy" if "Statement" not in resource.properties:
                self._bus_permission(resource)
                return
        documents = resource.documents
        if not documents:
            return
        properties = self._properties(resource)
        about = About.KEY if resource.type in {"AWS::KMS::Key", "AWS::KMS::ReplicaKey"} else About.RESOURCE
        own = self._name(str(Reference(resource.stack.key, resource.logical_id, "Ref")))
        target = TARGETS.get(resource.type)
        names = [str(name) for name in _listed(properties.get(target))] if target else []
        for path, document in documents.items():
            statements = read_statements(normal(document, self._name), identity=False)
            for name in names or [f"{own}{path}"]:
                self._policy(about, name, resource).statements.extend(statements)

    def _permission(self, resource: ReviewedResource) -> None:
        properties = self._properties(resource)
        conditions = {
            ("arnlike", "aws:sourcearn"): properties.get("SourceArn"),
            ("stringequals", "aws:sourceaccount"): properties.get("SourceAccount"),
            ("stringequals", "aws:principalorgid"): properties.get("PrincipalOrgID"),
            ("stringequals", "lambda:functionurlauthtype"): properties.get("FunctionUrlAuthType"),
            ("stringequals", "lambda:eventsourcetoken"): properties.get("EventSourceToken"),
            ("bool", "lambda:invokedviafunctionurl"): properties.get("InvokedViaFunctionUrl"),
        }
        function = str(properties.get("FunctionName"))
        policy = self._policy(About.RESOURCE, function, resource)
        policy.statements.append(_granted(properties, function, conditions))

    def _layer_permission(self, resource: ReviewedResource) -> None:
        properties = self._properties(resource)
        layer = str(properties.get("LayerVersionArn"))
        conditions = {("stringequals", "aws:principalorgid"): properties.get("OrganizationId")}
        self._policy(About.RESOURCE, layer, resource).statements.append(_granted(properties, layer, conditions))

    def _bus_permission(self, resource: ReviewedResource) -> None:
        properties = self._properties(resource)
        bus = str(properties.get("EventBusName", "default"))
        condition = properties.get("Condition")
        conditions: dict[tuple[str, str], Json] = {}
        if isinstance(condition, Mapping):
            place = (str(condition.get("Type", "")).lower(), str(condition.get("Key", "")).lower())
            conditions[place] = condition.get("Value")
        self._policy(About.RESOURCE, bus, resource).statements.append(_granted(properties, bus, conditions))


def _granted(properties: Mapping[str, Json], resource: str, conditions: Mapping[tuple[str, str], Json]) -> Statement:
    """Return the statement that a service creates for a permission without a document."""
    principal = str(properties.get("Principal", "*"))
    is_service = "." in principal and ":" not in principal
    return Statement(
        allow=True,
        principals=Patterns(frozenset(read_principals({"Service" if is_service else "AWS": principal}))),
        actions=Patterns(frozenset({str(properties.get("Action", "*")).lower()})),
        resources=Patterns(frozenset({resource})),
        conditions=frozenset(
            Condition(operator, key, frozenset({str(value).lower() if isinstance(value, bool) else str(value)}))
            for (operator, key), value in conditions.items()
            if value is not None
        ),
    )


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]
