"""From the configuration's removal policy to CDK's."""

from __future__ import annotations

import aws_cdk

from config.model import Place, RemovalPolicy

RETAIN = aws_cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
"""Kept whatever becomes of its template, but not when the very operation that made it rolls back: a bucket or a version
that such a rollback left behind would be in the way of the next try."""


def removal_policy(environment: Place) -> aws_cdk.RemovalPolicy:
    """What becomes of a stateful resource that leaves its template (P16)."""
    if environment.stateful.removal_policy is RemovalPolicy.DESTROY:
        return aws_cdk.RemovalPolicy.DESTROY
    return RETAIN
