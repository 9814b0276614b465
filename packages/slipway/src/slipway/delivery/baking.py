"""What the pipeline and its build that bakes agree on. Apart from both: one imports CDK, the other the SDK."""

from __future__ import annotations

ALARM = "BAKE_ALARM"
"""Variable of the build with the name of the alarm."""

PIPELINE = "BAKE_PIPELINE"
"""Variable of the build with the name of the pipeline."""

ACTION = "Bake"
"""Name of the action that runs this."""
