"""The policies of `policies/*.json`, written out for one account.

A file is one managed policy. `accounts` lists the kinds of account that get it, and `For` the kinds that a statement is
for. A string with placeholders becomes one string per value: an account with two environments has the names of both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from slipway.accounts.bootstrap.plan import SUPPORT_ALIASES, Account, accounts
from slipway.delivery.names import (
    STEPS,
    delivery_bus,
    pipeline_name,
    pipeline_stack,
    pipeline_stacks,
    policy_prefix,
    step_roles,
)
from slipway.delivery.names import (
    execution_boundary as execution_boundary_name,
)
from slipway.errors import SlipwayError
from slipway.settings import Settings
from slipway.settings.model import CodeConnectionsSource, EnvironmentKind

TEMPLATES = Path(__file__).with_name("policies")

FAMILIES = ("security", "data", "functions", "messaging", "edge", "observability", "iam", "pipeline")
"""The execution policies, one file each. Each file says which accounts get it."""

MAX_CHARACTERS = 6_144
"""Maximum size of a managed policy, characters without white space.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

MAX_TEMPLATE_BYTES = 51_200
"""Maximum size of a template that is passed as a file, as in the printed commands.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

MAX_ATTACHED = 10
"""Maximum number of managed policies per role, from the IAM page; the quota can be raised, but needn't be."""

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")

Document = dict[str, Any]


@dataclass(frozen=True)
class BoundedPolicy:
    """One managed policy of one account."""

    family: str
    """Name of its file."""
    name: str
    """Its name in IAM."""
    description: str
    document: Document

    @property
    def text(self) -> str:
        """Return the document as it is written to a file."""
        return json.dumps(self.document, indent=2) + "\n"

    @property
    def characters(self) -> int:
        """Its size as IAM counts it."""
        return len(re.sub(r"\s", "", json.dumps(self.document)))


def execution_policies(account: Account, settings: Settings) -> tuple[BoundedPolicy, ...]:
    """Return the permissions of CloudFormation's execution role: one policy per family."""
    return tuple(
        _render(family, f"{policy_prefix(settings.pipeline.app)}{family}", account, settings)
        for family in FAMILIES
        if account.kinds & set(_template(family)["accounts"])
    )


def boundary(account: Account, settings: Settings) -> BoundedPolicy:
    """Return the maximum permissions of a stack's role."""
    return _render("permissions-boundary", settings.pipeline.permissions_boundary, account, settings)


def execution_boundary(account: Account, settings: Settings) -> BoundedPolicy:
    """Return the maximum permissions of CloudFormation's execution role."""
    return _render("execution-boundary", execution_boundary_name(settings.pipeline.app), account, settings)


def policies(account: Account, settings: Settings) -> tuple[BoundedPolicy, ...]:
    """Return all managed policies of an account, the boundaries first."""
    return (
        boundary(account, settings),
        execution_boundary(account, settings),
        *execution_policies(account, settings),
    )


def check_sizes(account: Account, settings: Settings) -> None:
    """Check that AWS accepts the policies of an account.

    Raises:
        SlipwayError: A policy is too large, or the template of all policies is.
    """
    found = [(f"the policy {each.name}", each.characters, MAX_CHARACTERS) for each in policies(account, settings)]
    found.append(("the template of the policies", len(template(account, settings).encode()), MAX_TEMPLATE_BYTES))
    for what, size, limit in found:
        if size > limit:
            raise SlipwayError(
                f"{account.label} {account.account}: {what} has {size:,} characters, and AWS accepts {limit:,}; give "
                "the environments separate accounts, or shorter names"
            )


def template(account: Account, settings: Settings) -> str:
    """Return the CloudFormation template of the stack of the policies."""
    resources = {
        "".join(part.capitalize() for part in policy.family.split("-")): {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "ManagedPolicyName": policy.name,
                "Description": policy.description,
                "PolicyDocument": policy.document,
            },
        }
        for policy in policies(account, settings)
    }
    body = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"What the delivery of {account.label} may do here",
        "Resources": resources,
    }
    # Without spaces, to stay below MAX_TEMPLATE_BYTES: each policy also has its own file, for people to read.
    return json.dumps(body, separators=(",", ":")) + "\n"


@cache
def _template(family: str) -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads((TEMPLATES / f"{family}.json").read_text(encoding="utf-8"))
    return content


def _render(family: str, name: str, account: Account, settings: Settings) -> BoundedPolicy:
    source = _template(family)
    values = _values(account, settings)
    statements = [
        written
        for statement in source["statements"]
        if statement.get("For") is None or statement["For"] in account.kinds
        if (written := _statement(statement, values)) is not None
    ]
    return BoundedPolicy(
        family=family,
        name=name,
        description=str(source["description"]),
        document={"Version": "2012-10-17", "Statement": statements},
    )


def _values(account: Account, settings: Settings) -> dict[str, Sequence[str]]:
    """Return the value of each placeholder."""
    tools = settings.pipeline
    app = tools.app
    pipeline_names = (pipeline_stack(app),) if account.tools else ()
    stacks = pipeline_stacks(app) if account.tools else ()
    everywhere = accounts(settings)
    return {
        "Partition": (account.partition,),
        "Account": (account.account,),
        "Region": account.regions,
        "Qualifier": (tools.qualifier,),
        # Names that CloudFormation generates begin with the stack's; those that CDK generates, with the same without
        # dashes.
        "Name": (*pipeline_names, *(f"{name}-" for name in account.environments)),
        "AnyName": (*stacks, *account.environments),
        # The pipeline's steps have named roles, in both kinds of account.
        "Role": (
            *(f"{name}*" for name in pipeline_names),
            *(f"{name}-*" for name in account.environments),
            # One per environment would not fit into a policy.
            *((f"{app}-*-{step}" for step in STEPS) if account.tools else ()),
            *(f"{step_roles(app, name)}*" for name in account.environments),
        ),
        "Bucket": (
            *(f"{name}*" for name in stacks),
            *((f"{tools.bucket_prefix}-*",) if account.environments else ()),
        ),
        "Alias": (*(f"{name}*" for name in stacks), *_aliases(account, settings)),
        # CodePipeline's documentation does not say if it checks PassRole for the role of an action. If the environment
        # has its own account, the role belongs to another account and cannot be passed.
        "RolesOfActions": (
            (f"arn:{account.partition}:iam::{account.account}:role/cdk-{tools.qualifier}-deploy-role-*",)
            if account.tools and account.environments
            else ()
        ),
        "Bus": (delivery_bus(app),) if account.tools else (),
        "Pipeline": (pipeline_name(app),) if account.tools else (),
        "DeliveryBus": (
            f"arn:{account.partition}:events:{tools.region}:{tools.account}:event-bus/{delivery_bus(app)}",
        ),
        "Connection": tuple(_connection(tools.source)) if account.tools else (),
        "PermissionsBoundary": (tools.permissions_boundary,),
        "Policies": (policy_prefix(app),),
        "Trusting": tuple(each.account for each in everywhere),
        "RolesOfStacks": tuple(
            f"arn:{each.partition}:iam::{each.account}:role/{name}*"
            for each in everywhere
            for name in (
                *(pipeline_stacks(app) if each.tools else ()),
                *(step_roles(app, environment) for environment in each.environments),
            )
        ),
        "HostedZone": tuple(_hosted_zones(account, settings)),
    }


def _aliases(account: Account, settings: Settings) -> Iterator[str]:
    """Yield the aliases of keys whose names do not begin with a stack's."""
    if account.tools:
        yield settings.pipeline.key_alias
        if len(account.regions) > 1:
            yield SUPPORT_ALIASES
    for name in account.environments:
        yield f"*-{name}"
        if settings.environment(name).kind is EnvironmentKind.DEVELOPMENT:
            # Keys of sandboxes. Their other resources have names that begin with the environment's.
            yield f"*-{name}-*"


def _hosted_zones(account: Account, settings: Settings) -> Iterator[str]:
    """Yield the zones in which the services of an account create a name."""
    for name in account.environments:
        for _, service in settings.environment(name).services:
            domain = getattr(service, "custom_domain", None)
            if domain is not None:
                yield f"arn:{account.partition}:route53:::hostedzone/{domain.hosted_zone_id}"


def _connection(source: object) -> Iterator[str]:
    """Yield the connection under both of its names: some actions are still checked against the older one."""
    if isinstance(source, CodeConnectionsSource):
        for service in ("codeconnections", "codestar-connections"):
            yield re.sub(r":(codeconnections|codestar-connections):", f":{service}:", source.connection_arn)


def _statement(statement: Mapping[str, Any], values: Mapping[str, Sequence[str]]) -> Document | None:
    """Return an IAM statement; None if it applies to no resource of this account."""
    resources = _expand(statement["Resource"], values)
    if not resources:
        return None
    written: Document = {
        "Sid": statement["Sid"],
        "Effect": statement.get("Effect", "Allow"),
        "Action": statement["Action"],
        "Resource": _one_or_all(resources),
    }
    if "Condition" in statement:
        written["Condition"] = {
            operator: {key: _one_or_all(_expand(value, values)) for key, value in condition.items()}
            for operator, condition in statement["Condition"].items()
        }
    return written


def _expand(value: str | Sequence[str], values: Mapping[str, Sequence[str]]) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    expanded: dict[str, None] = {}
    for text in texts:
        names = sorted(set(_PLACEHOLDER.findall(text)))
        for chosen in product(*(values[name] for name in names)):
            known = dict(zip(names, chosen, strict=True))
            expanded[_PLACEHOLDER.sub(lambda match, known=known: known[match[1]], text)] = None  # type: ignore[misc]
    return list(expanded)


def _one_or_all(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
