"""What is true of one execution environment alone, kept out of the snapshot that others start from.

Under SnapStart Lambda imports a function once for each version, and every execution environment resumes from what was
in memory then (https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html). So before the snapshot the
temporary credentials go, which AWS's clients fetch when they are made; and after a restore the generator of random
numbers gets a seed of its own, without which all would draw the same pauses between retries. Nothing else of ours is
made at import: connections, secrets and ids come with the first request that needs them, and a test looks at what each
handler leaves in memory.

The hooks are registered wherever Lambda's runtime has them, and run under SnapStart only
(https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html).
"""

import random

from slipway_runtime import aws


def register() -> None:
    """Have Lambda run both hooks, where it has the library for that."""
    try:
        from snapshot_restore_py import (  # type: ignore[import-not-found] # noqa: PLC0415 - of Lambda's runtime alone
            register_after_restore,
            register_before_snapshot,
        )
    except ImportError:
        return
    register_before_snapshot(before_snapshot)
    register_after_restore(after_restore)


def before_snapshot() -> None:
    """Forget what is secret or holds for a time only."""
    aws.forget_credentials()


def after_restore() -> None:
    """Make this environment different from the others."""
    random.seed()
