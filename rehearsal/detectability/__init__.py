"""What the configured canaries see: the chance that a failing version is caught, and whom it hurts until then.

Deployment groups, their alarms and how traffic moves are read from the synthesized templates, the traffic from the
configuration; CloudWatch's rules are those of `rehearsal.cloudwatch`.
"""

from rehearsal.detectability.faults import Fault
from rehearsal.detectability.rollouts import Rollout, Scope, Trigger, read
from rehearsal.detectability.shifts import PREDEFINED, Shift
from rehearsal.detectability.simulation import Outcome, simulate
from rehearsal.detectability.survey import FAULTS, Case, Finding, Survey, Verdict

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
