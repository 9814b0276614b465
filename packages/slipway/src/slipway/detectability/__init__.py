"""Predict what the configured canaries detect: the probability of catching a failing version, and the harm until then.

Deployment groups, their alarms and traffic shifts are read from the synthesised templates, the traffic from the
configuration; CloudWatch's rules are those of `slipway.cloudwatch`.
"""

from slipway.detectability.faults import FailureMode
from slipway.detectability.rollouts import MetricScope, Rollout, Trigger, read
from slipway.detectability.simulation import SimulationOutcome, simulate
from slipway.detectability.survey import FAULTS, Case, DetectionVerdict, Survey, SurveyedFunction
from slipway.settings.shifts import PREDEFINED, Shift

__all__ = [
    "FAULTS",
    "PREDEFINED",
    "Case",
    "DetectionVerdict",
    "FailureMode",
    "MetricScope",
    "Rollout",
    "Shift",
    "SimulationOutcome",
    "Survey",
    "SurveyedFunction",
    "Trigger",
    "read",
    "simulate",
]
