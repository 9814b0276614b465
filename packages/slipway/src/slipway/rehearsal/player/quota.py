"""Limit the number of concurrent builds, and refuse more as CodeBuild does."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from slipway.errors import RehearsalError
from slipway.settings.quotas import CONCURRENT_BUILDS, ComputeType


class BuildQuotas:
    """The quotas of concurrently running builds of an account.

    Args:
        limits: Compute type → maximum number of concurrent builds. Default: the quotas of a new account. A compute type
            without an entry is unlimited.
    """

    def __init__(self, limits: Mapping[ComputeType, int] | None = None) -> None:
        self._limits = {each: quota.default for each, quota in CONCURRENT_BUILDS.items()} if limits is None else limits
        self._running: Counter[ComputeType] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, project: str, compute_type: ComputeType) -> Iterator[None]:
        """Count a build while it runs.

        According to one of its pages CodeBuild queues builds beyond the quota; according to users it refuses them. A
        pipeline that never exceeds the quota works either way, so the player refuses
        (https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html, AccountLimitExceededException).

        Args:
            project: Name of the build project.
            compute_type: Compute type of the project.

        Raises:
            RehearsalError: The quota is used up.
        """
        limit = self._limits.get(compute_type)
        with self._lock:
            if limit is not None and self._running[compute_type] >= limit:
                raise RehearsalError(
                    f"CodeBuild refused to start {project} ({compute_type.size}): AccountLimitExceededException: "
                    f"Cannot have more than {limit} builds in queue for the account"
                )
            self._running[compute_type] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[compute_type] -= 1
