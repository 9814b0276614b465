"""Names shared by the pipeline and its bake build.

They have their own module because the pipeline imports CDK, and the build imports the SDK.
"""

from __future__ import annotations

ALARM = "BAKE_ALARM"
"""Environment variable of the build that contains the alarm's name, or several names separated by spaces."""

PIPELINE = "BAKE_PIPELINE"
"""Environment variable of the build that contains the pipeline's name."""

ACTION = "Bake"
"""Name of the action that runs the build."""
