"""The accounts and regions to bootstrap, and the names of their stacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from botocore.session import Session

from slipway.settings import Settings
from slipway.settings.model import APP

SUPPORT_ALIASES = "support-*"
"""Aliases of the keys in the support stacks of other regions. With the flag
`@aws-cdk/aws-codepipeline:crossAccountKeyAliasStackSafeResourceName`, CDK keeps only the end of the stack's name."""

EDGE_REGION = "us-east-1"
"""Region in which CloudFront stores resources of a distribution, such as its log delivery, wherever the service is.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging.html
"""


@dataclass(frozen=True)
class BootstrapPlace:
    """One bootstrap stack: an account and region."""

    account: str
    region: str


@dataclass(frozen=True)
class Account:
    """One account: its policies are shared by its regions.

    Attributes:
        account: The twelve digits.
        partition: `aws`, or that of China or GovCloud.
        regions: Regions to bootstrap; the first one gets the policies' stack.
        environments: The environments in it, in the pipeline's order.
        tools: True if it contains the pipeline.
        app: The app that is delivered; the account may contain other apps too.
        bucket_prefix: Prefix of its services' bucket names.
    """

    account: str
    partition: str
    regions: tuple[str, ...]
    environments: tuple[str, ...]
    tools: bool
    app: str = APP
    bucket_prefix: str = APP

    @property
    def label(self) -> str:
        """Return its display name: its environments, `tools`, or both."""
        return "+".join((*(("tools",) if self.tools else ()), *self.environments))

    @property
    def kinds(self) -> frozenset[str]:
        """`tools`, `environment`, or both: which of the policies' statements apply."""
        return frozenset({*(("tools",) if self.tools else ()), *(("environment",) if self.environments else ())})

    def policy_arn(self, name: str) -> str:
        """Return the ARN of a managed policy of this account."""
        return f"arn:{self.partition}:iam::{self.account}:policy/{name}"


def accounts(settings: Settings) -> tuple[Account, ...]:
    """Return every account of the configuration, the tools account first.

    An environment needs us-east-1 besides its own region: services behind CloudFront have a stack there. The tools
    account is bootstrapped in every region that an environment uses: a pipeline that deploys to another region has a
    bucket there.
    """
    pipeline = settings.pipeline
    deployed = [
        BootstrapPlace(environment.account, region)
        for environment in settings.environments
        for region in regions_of(environment.region)
    ]
    places = [BootstrapPlace(pipeline.account, pipeline.region)]
    places += [BootstrapPlace(pipeline.account, place.region) for place in deployed]
    places += deployed
    found = []
    for account in _unique(place.account for place in places):
        regions = _unique(place.region for place in places if place.account == account)
        found.append(
            Account(
                account=account,
                partition=_partition(regions[0]),
                regions=regions,
                environments=tuple(each.name for each in settings.environments if each.account == account),
                tools=account == pipeline.account,
                app=pipeline.app,
                bucket_prefix=pipeline.bucket_prefix,
            )
        )
    return tuple(found)


def regions_of(region: str) -> tuple[str, ...]:
    """Return the regions that an environment is deployed to: its own and, in the partition `aws`, its edge's."""
    return (region,) if _partition(region) != "aws" else _unique((region, EDGE_REGION))


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


@cache
def _partition(region: str) -> str:
    return str(Session().get_partition_for_region(region))
