"""Map the configuration's removal policy to CDK's."""

from __future__ import annotations

import aws_cdk

from slipway.settings.model import Place, RemovalPolicy

RETAIN = aws_cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
"""Retained whatever happens to its template, unless the operation that created it rolls back: a bucket or version left
behind by such a rollback would block the next attempt.
"""


UNDELETABLE = aws_cdk.RemovalPolicy.RETAIN
"""Retained even if the operation that created it rolls back, for resources that CloudFormation cannot delete: otherwise
the rollback would end in ROLLBACK_FAILED. docs/runbooks/first-deployment.md says how to remove what remains.
"""


def removal_policy(environment: Place, *, deletable: bool = True) -> aws_cdk.RemovalPolicy:
    """Return what happens to a stateful resource that is removed from its template.

    Args:
        environment: Settings; `stateful.removal_policy` applies.
        deletable: False for a resource that CloudFormation cannot delete by itself: one with deletion protection, or a
            bucket that AWS writes logs to from its first minute
            (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html).
    """
    if not deletable:
        return UNDELETABLE
    if environment.stateful.removal_policy is RemovalPolicy.DESTROY:
        return aws_cdk.RemovalPolicy.DESTROY
    return RETAIN
