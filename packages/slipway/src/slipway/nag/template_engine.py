"""Engine of CDK's template checks, for the separate process that runs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import slipway.kernel  # noqa: F401 - has to come before CDK

# isort: split
import jsii
from aws_cdk import (
    CloudFormationValidatePlugin,
    IPolicyValidationContext,
    PolicyValidationStack,
    PolicyViolatingResource,
    PolicyViolation,
)

from slipway.nag.template_checks import CheckedTemplate

if TYPE_CHECKING:
    from constructs import IConstruct

_ENGINE = CloudFormationValidatePlugin()
"""Created at import: that takes a second, during which the other process builds the app."""


@jsii.implements(IPolicyValidationContext)
class _Templates:
    """Templates without their app, which CDK's checks don't need."""

    def __init__(self, templates: Sequence[CheckedTemplate]) -> None:
        self._templates = templates

    @property
    def template_paths(self) -> list[str]:
        return [each.template for each in self._templates]

    @property
    def stack_templates(self) -> list[PolicyValidationStack]:
        return [
            PolicyValidationStack(
                stack_construct_path=each.stack,
                template_path=each.template,
                account_id=each.account,
                region=each.region,
            )
            for each in self._templates
        ]

    @property
    def account_id(self) -> str | None:
        return None

    @property
    def region(self) -> str | None:
        return None

    @property
    def app_construct(self) -> IConstruct:
        raise NotImplementedError("these checks only read templates, not the app")


def check(templates: Sequence[CheckedTemplate]) -> dict[str, Any]:
    """Check templates.

    Args:
        templates: The templates to check.

    Returns:
        The engine's `version`, `success`, and `violations` as keyword arguments of CDK's classes.
    """
    report = _ENGINE.validate(_Templates(templates))
    return {
        "version": _ENGINE.version,
        "success": report.success,
        "violations": [_plain(violation) for violation in report.violations],
    }


def _plain(violation: PolicyViolation) -> dict[str, Any]:
    return {
        "rule_name": violation.rule_name,
        "description": violation.description,
        "severity": violation.severity,
        "fix": violation.fix,
        "rule_metadata": dict(violation.rule_metadata) if violation.rule_metadata else None,
        "violating_resources": [_plain_place(place) for place in violation.violating_resources],
    }


def _plain_place(place: PolicyViolatingResource) -> dict[str, Any]:
    return {
        "locations": list(place.locations),
        "construct_path": place.construct_path,
        "resource_logical_id": place.resource_logical_id,
        "template_path": place.template_path,
    }


def main() -> None:
    """Answer each line of templates with a line of violations, until the input ends."""
    # CDK's own output must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = check([CheckedTemplate(**template) for template in asked["templates"]])
        except Exception as error:  # noqa: BLE001 - the calling process must receive every error
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps({"question": asked["question"], **answer}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
