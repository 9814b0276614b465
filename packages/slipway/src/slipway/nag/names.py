"""Names that CDK, the rule packs and this gate share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

PACKS = ("AwsSolutions", "Serverless", "NIST.800.53.R5", "HIPAA.Security", "PCI.DSS.321")
"""The available rule packs of cdk-nag."""

OWN_PACK = "Slipway"
"""Namespace of this project's own rules, alongside the packs'."""

AWS_PACK = "OnlyAws"
"""Namespace of the rules on AWS behaviour."""

OUR_PACKS = (AWS_PACK, OWN_PACK)
"""Packs that judge templates, besides those of cdk-nag."""

TEMPLATE_CHECKS = "CloudFormation Validate"
"""Name of CDK's own template checks in the report (`CloudFormationValidatePlugin.PLUGIN_NAME`)."""

TEMPLATE_NAMESPACE = "CloudFormation-Validate"
"""Namespace of their ids: CDK writes a plugin's name with dashes."""

ANNOTATIONS = "Annotation"
"""Namespace of constructs' warnings. An acknowledged warning is removed from the report, so nothing is known of it."""

ACKNOWLEDGED_RULES = "aws:cdk:acknowledged-rules"
"""Type of the metadata entry that `Validations.acknowledge` writes (`Validations.ACKNOWLEDGED_RULES_METADATA_KEY`)."""

# CDK's form of an id without a namespace (normalizeValidationIdForAnnotations in aws-cdk-lib 2.275.0).
_BARE = f"{ANNOTATIONS}::".lower()


def pack_of(rule: str) -> str | None:
    """Return the pack of a rule, by the prefix of its id; None for an unknown rule."""
    return next((pack for pack in (*PACKS, *OUR_PACKS) if rule.startswith(f"{pack}-")), None)


def plugin_of(namespace: str) -> str:
    """Return the plugin name in the report for the namespace of an acknowledgement."""
    return TEMPLATE_CHECKS if namespace == TEMPLATE_NAMESPACE else namespace


def bare_rule(acknowledged_id: str) -> str | None:
    """Return the rule that an unqualified id suppresses without a trace; None for a qualified id.

    Args:
        acknowledged_id: The id in the metadata; CDK stores an id without a namespace under `Annotation`.
    """
    if not acknowledged_id.lower().startswith(_BARE):
        return None
    rule = acknowledged_id[len(_BARE) :]
    return rule if pack_of(rule) else None


PacksOf = Callable[[str], Sequence[str]]
"""Function from a stack's construct path, such as `Pipeline/prod-<service>/Data`, to its packs. CDK's own template
checks judge every stack in any case.
"""


def everywhere(packs: Iterable[str]) -> PacksOf:
    """Return a function with the same packs for every stack."""
    names = tuple(packs)
    return lambda _: names
