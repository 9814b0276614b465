"""Keep the state of a single execution environment out of the snapshot that others start from.

Under SnapStart, Lambda imports a function once for each version, and every execution environment resumes from that
memory (https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html). So before the snapshot, the temporary
credentials that AWS's clients fetch when they are created are deleted; and after a restore, the random number generator
is reseeded, because otherwise all environments would draw the same pauses between retries. Nothing else of ours is
created at import: connections, secrets and ids come with the first request that needs them, and a test checks what each
handler leaves in memory.

The hooks are registered wherever Lambda's runtime supports them, and run only under SnapStart
(https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html).
"""

import random

from slipway_runtime import aws


def register() -> None:
    """Register both hooks with Lambda if its library is installed."""
    try:
        from snapshot_restore_py import (  # type: ignore[import-not-found] # noqa: PLC0415 - only in Lambda's runtime
            register_after_restore,
            register_before_snapshot,
        )
    except ImportError:
        return
    register_before_snapshot(before_snapshot)
    register_after_restore(after_restore)


def before_snapshot() -> None:
    """Delete temporary credentials before the snapshot."""
    aws.forget_credentials()


def after_restore() -> None:
    """Reseed the random number generator after a restore."""
    random.seed()
