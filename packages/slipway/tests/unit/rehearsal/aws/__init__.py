"""Accounts of AWS in memory, for tests of what stands before them.

Nothing is answered that AWS would not answer: requests and answers are held against botocore's own models, what a
session may not do is refused as IAM refuses it, and refusals are `ClientError`s with AWS's codes. Each service knows
what the rehearsal asks it, and no more.
"""

from unit.rehearsal.aws.account import Account, Session
from unit.rehearsal.aws.client import RefusedError, body, model
from unit.rehearsal.aws.formation import Stack
from unit.rehearsal.aws.functions import Function
from unit.rehearsal.aws.identity import DEV, PROD, REGION, STAGING, TOOLS, Role, Who
from unit.rehearsal.aws.partition import accounts_in, no_ports

__all__ = [
    "DEV",
    "PROD",
    "REGION",
    "STAGING",
    "TOOLS",
    "Account",
    "Function",
    "RefusedError",
    "Role",
    "Session",
    "Stack",
    "Who",
    "accounts_in",
    "body",
    "model",
    "no_ports",
]
