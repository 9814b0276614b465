"""What the configured canaries see: the chance that a failing version is caught, and whom it hurts until then.

Deployment groups, their alarms and how traffic moves are read from the synthesized templates, the traffic from the
configuration; CloudWatch's rules are those of `slipway.cloudwatch`.
"""

from slipway.detectability.faults import Fault
from slipway.detectability.rollouts import Rollout, Scope, Trigger, read
from slipway.detectability.simulation import Outcome, simulate
from slipway.detectability.survey import FAULTS, Case, Finding, Survey, Verdict
from slipway.settings.shifts import PREDEFINED, Shift

__all__ = [
    "FAULTS",
    "PREDEFINED",
    "Case",
    "Fault",
    "Finding",
    "Outcome",
    "Rollout",
    "Scope",
    "Shift",
    "Survey",
    "Trigger",
    "Verdict",
    "read",
    "simulate",
]
