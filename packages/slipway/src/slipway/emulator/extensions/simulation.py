"""Let IAM's policy simulation read `ContextEntries`, which the emulator ignores.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from itertools import count
from typing import Any
from xml.sax.saxutils import escape

from ministack.core import iam_evaluator
from ministack.core.responses import get_region
from ministack.services import iam

from slipway.emulator.extensions.patches import wrap

_context: ContextVar[Mapping[str, str] | None] = ContextVar("simulated_context", default=None)
_DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny"}


def _entries(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the first value of each context key of a request, with the key in lower case as the evaluator expects."""
    found: dict[str, str] = {}
    for number in count(1):
        entry = f"ContextEntries.member.{number}"
        key = iam._p(parameters, f"{entry}.ContextKeyName")
        if not key:
            return found
        found[key.lower()] = iam._p(parameters, f"{entry}.ContextKeyValues.member.1")
    raise AssertionError


def _simulated(original: Callable[..., Any], p: Mapping[str, Any]) -> Any:
    token = _context.set(_entries(p))
    try:
        return original(p)
    finally:
        _context.reset(token)


def _results(  # noqa: PLR0917  # as the emulator calls it
    original: Callable[..., str],
    actions: list[str],
    resource_arn: str,
    principal_arn: str,
    account_id: str,
    policies: list[Any],
) -> str:
    context = _context.get()
    if not context:
        return original(actions, resource_arn, principal_arn, account_id, policies)
    return "".join(
        _result(action, resource_arn, _decide(action, resource_arn, principal_arn, account_id, policies, context))
        for action in actions
    )


def _decide(  # noqa: PLR0917  # as above
    action: str, resource: str, principal: str, account: str, policies: list[Any], context: Mapping[str, str]
) -> str:
    request = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="User",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=get_region(),
        secure_transport=True,
        service_context=dict(context),
    )
    return _DECISIONS.get(iam_evaluator.evaluate(request, policies).decision, "implicitDeny")


def _result(action: str, resource: str, decision: str) -> str:
    return (
        f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>{escape(resource)}"
        f"</EvalResourceName><EvalDecision>{decision}</EvalDecision><MatchedStatements></MatchedStatements>"
        "<MissingContextValues></MissingContextValues></member>"
    )


def install() -> None:
    """Install the replacements.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(iam._IAM_HANDLERS, "SimulatePrincipalPolicy", _simulated, "p")
    wrap(
        iam,
        "_build_simulate_results_real",
        _results,
        *("actions", "resource_arn", "principal_arn", "account_id", "policies"),
    )
