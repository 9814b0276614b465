"""A test environment has no test user, so only what needs no token is measured."""

from __future__ import annotations

from locust import task

from slipway.performance.user import ServiceUser


class Stranger(ServiceUser):
    """A visitor without a token."""

    @task
    def ask_for_health(self) -> None:
        """Request the health check."""
        self.call("GET", "/health")
