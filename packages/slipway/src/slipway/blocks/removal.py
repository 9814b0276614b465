"""From the configuration's removal policy to CDK's."""

from __future__ import annotations

import aws_cdk

from slipway.settings.model import Place, RemovalPolicy

RETAIN = aws_cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
"""Kept whatever becomes of its template, but not when the very operation that made it rolls back: a bucket or a version
that such a rollback left behind would be in the way of the next try."""


UNDELETABLE = aws_cdk.RemovalPolicy.RETAIN
"""Kept also when the operation that made it rolls back, for what CloudFormation cannot delete: the rollback would be
ROLLBACK_FAILED. docs/runbooks/first-deployment.md says how to clear away what is left."""


def removal_policy(environment: Place, *, deletable: bool = True) -> aws_cdk.RemovalPolicy:
    """Return what becomes of a stateful resource that leaves its template.

    Args:
        environment: settings; `stateful.removal_policy` applies.
        deletable: False for a resource that CloudFormation cannot delete by itself: one with deletion protection, or a
            bucket that AWS writes logs to from its first minute
            (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html).
    """
    if not deletable:
        return UNDELETABLE
    if environment.stateful.removal_policy is RemovalPolicy.DESTROY:
        return aws_cdk.RemovalPolicy.DESTROY
    return RETAIN
