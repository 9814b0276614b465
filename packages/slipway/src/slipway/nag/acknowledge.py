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
# cdk-nag's granular rules report each finding as `<rule>[<finding>]`, and the plain id covers nothing. Which rules are
# granular is known from their texts, which mention cdk-nag 2's `appliesTo`.
_GRANULAR = "granular rule"


class AcknowledgementError(ValueError):
    """An acknowledgement that would hide a finding without a trace, or that doesn't say why the finding is safe."""


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
            several if one reason covers the same check of several packs.
        reason: Why the finding is safe here; a sentence of at least five words that differs from the rule's own text.
        owner: The team that is responsible for it.
        expires: The last day on which it is valid.
        finding: For granular rules, one or several findings, such as `Action::kms:ReEncrypt*`.
        stacklevel: Number of calls up to the code that gives the reason, as in `warnings.warn`. Default: the caller.

    Raises:
        AcknowledgementError: The rule is unknown, the reason or owner is missing or meaningless, or a finding is
            missing or superfluous.
    """
    rules = [rule] if isinstance(rule, str) else list(rule)
    findings: Sequence[str | None] = [finding] if isinstance(finding, str) else finding or [None]
    try:
        identifiers = [_identifier(one, each) for one in rules for each in findings]
        for one in rules:
            _check(one, reason, owner)
    except AcknowledgementError as error:
        # Only now, because the path takes two calls into the jsii kernel.
        raise AcknowledgementError(f"{construct.node.path or 'app'}: {error}") from None
    signed = sign(reason, owner=owner, expires=expires, at=_place(stacklevel + 1))
    Validations.of(construct).acknowledge(*(Acknowledgment(id=each, reason=signed) for each in identifiers))


def resource_finding(construct: IConstruct, arn: str) -> str:
    """Return the finding that `AwsSolutions-IAM5` reports for a resource, with references in cdk-nag's format.

    Args:
        construct: The construct of the policy.
        arn: The resource of the statement; it may contain references to the construct's own stack. A reference to
            another stack is only known after synth: write such an ARN with its literal name.

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
        raise AcknowledgementError(f"{place}: owner = {owner!r}: name the responsible team")
    if "[owner:" in reason:
        raise AcknowledgementError(f"{place}: reason = {reason!r}: pass owner and expiry as arguments")
    if not is_sentence(reason, rule=rule):
        raise AcknowledgementError(f"{place}: reason = {reason!r}: explain in a sentence why it is safe here")
    if repeats(reason, rule_texts().get(rule, "")):
        raise AcknowledgementError(
            f"{place}: reason = {reason!r}: repeats the rule; say why it is safe here, which the rule cannot know"
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
