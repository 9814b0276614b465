"""Acknowledge a finding of a rule pack where it arises: the report keeps the reason, the owner and an end date."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct

from slipway.nag.names import ANNOTATIONS, OUR_PACKS, PACKS, TEMPLATE_NAMESPACE, pack_of
from slipway.nag.reason import is_sentence, repeats, sign
from slipway.nag.texts import rule_texts

# Ids of CDK's own template checks, such as W3697. Fatal ones (F) cannot be acknowledged.
_TEMPLATE_RULE = re.compile(r"[EW]\d{4}")
# cdk-nag's granular rules report one finding each for what they found: it compares `<rule>[<finding>]`, and the plain
# id covers nothing. Their texts tell, in the words of cdk-nag 2's `appliesTo`.
_GRANULAR = "granular rule"


class AcknowledgementError(ValueError):
    """An acknowledgement that would silence a finding without a trace, or say nothing about why it is safe."""


def acknowledge(
    construct: IConstruct,
    *,
    rule: str | Sequence[str],
    reason: str,
    owner: str,
    expires: date,
    finding: str | Sequence[str] | None = None,
    stacklevel: int = 1,
) -> None:
    """Accept what one rule finds on a construct and everything beneath it.

    The id is always written qualified (`AwsSolutions::AwsSolutions-S1`): an unqualified one suppresses the finding
    without a trace in the report. The gate checks the expiry date, because synth reads no clock. The gate also reports
    an acknowledgement that suppresses nothing.

    Args:
        construct: The narrowest construct that covers the resource.
        rule: Id of the rule as the report prints it, such as `AwsSolutions-S1`, `Serverless-LambdaDLQ` or `W3697`;
            several where one reason answers the same check of several packs.
        reason: What makes it safe here; a sentence of five words or more that is not the rule's own text.
        owner: The team that answers for it.
        expires: The last day on which it holds.
        finding: For rules that report findings, the one meant, such as `Action::kms:ReEncrypt*`, or several.
        stacklevel: How many calls up the place in the code is that gives the reason, as in `warnings.warn`. Default:
            the caller.

    Raises:
        AcknowledgementError: Unknown rule, reason or owner missing or empty of meaning, a finding missing or not due.
    """
    rules = [rule] if isinstance(rule, str) else list(rule)
    findings: Sequence[str | None] = [finding] if isinstance(finding, str) else finding or [None]
    try:
        identifiers = [_identifier(one, each) for one in rules for each in findings]
        for one in rules:
            _check(one, reason, owner)
    except AcknowledgementError as error:
        # Asked only now: it is two calls into the jsii kernel.
        raise AcknowledgementError(f"{construct.node.path or 'app'}: {error}") from None
    signed = sign(reason, owner=owner, expires=expires, at=_place(stacklevel + 1))
    Validations.of(construct).acknowledge(*(Acknowledgment(id=each, reason=signed) for each in identifiers))


def resource_finding(construct: IConstruct, arn: str) -> str:
    """Return the finding that `AwsSolutions-IAM5` reports for a resource, with references in cdk-nag's format.

    Args:
        construct: Where the policy stands.
        arn: The resource of the statement; it may hold references to the construct's own stack. One to another
            stack is known only after synth and cannot be named ahead: give such an ARN its literal name.

    Returns:
        For example `Resource::<Bucket83908E77.Arn>/*`.
    """
    return f"Resource::{_flatten(Stack.of(construct).resolve(arn))}"


def _identifier(rule: str, finding: str | None) -> str:
    qualified = _qualified(rule)
    if qualified is None:
        packs = ", ".join(f"{pack}-…" for pack in (*PACKS, *OUR_PACKS))
        raise AcknowledgementError(
            f"acknowledgement of {rule}: no known pack has such a rule ({packs}, or a template rule such as W3697)"
        )
    text = rule_texts().get(rule)
    if text is not None and (_GRANULAR in text) is not bool(finding):
        wanted = "names one finding, such as Action::s3:List*" if not finding else "reports no findings to name"
        raise AcknowledgementError(f"acknowledgement of {rule}: the rule {wanted}")
    return f"{qualified}[{finding}]" if finding else qualified


def _qualified(rule: str) -> str | None:
    if rule.startswith(f"{ANNOTATIONS}::"):
        return rule
    if _TEMPLATE_RULE.fullmatch(rule):
        return f"{TEMPLATE_NAMESPACE}::{rule}"
    pack = pack_of(rule)
    return f"{pack}::{rule}" if pack in OUR_PACKS or rule in rule_texts() else None


def _check(rule: str, reason: str, owner: str) -> None:
    place = f"acknowledgement of {rule}"
    if not owner.strip() or set(owner) & set("[];"):
        raise AcknowledgementError(f"{place}: owner = {owner!r}: name the team that answers for it")
    if "[owner:" in reason:
        raise AcknowledgementError(f"{place}: reason = {reason!r}: pass owner and expiry as arguments")
    if not is_sentence(reason, rule=rule):
        raise AcknowledgementError(f"{place}: reason = {reason!r}: explain in a sentence what makes it safe here")
    if repeats(reason, rule_texts().get(rule, "")):
        raise AcknowledgementError(
            f"{place}: reason = {reason!r}: repeats the rule; say what makes it safe here that the rule cannot know"
        )


def _place(stacklevel: int) -> str:
    """Return the file and line of a caller, independent of the repository's location."""
    frame = sys._getframe(stacklevel)
    name = str(frame.f_globals.get("__name__", "__main__"))
    file = name.replace(".", "/") + ".py"
    if name == "__main__":
        file = Path(frame.f_code.co_filename).name
    elif name == frame.f_globals.get("__package__"):
        file = f"{name.replace('.', '/')}/__init__.py"
    return f"{file}:{frame.f_lineno}"


def _flatten(node: Any) -> str:
    """Return a value as cdk-nag's `flattenCfnReference` writes it (utils/flatten-cfn-reference.ts of 3.0.2)."""
    match node:
        case str():
            flat = node.replace("${", "<").replace("}", ">")
        case {"Fn::Join": [str(delimiter), list(items)]}:
            flat = delimiter.join(_flatten(item) for item in items)
        case {"Fn::Sub": template}:
            flat = _flatten(template)
        case {"Fn::GetAtt": [resource, attribute]}:
            flat = f"<{_flatten(resource)}.{_flatten(attribute)}>"
        case {"Ref": reference}:
            flat = f"<{_flatten(reference)}>"
        case _:
            flat = json.dumps(node, separators=(",", ":"))
    return flat
