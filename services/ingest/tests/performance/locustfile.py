"""Producers send records, and some read theirs back."""

from __future__ import annotations

from locust import task

from slipway.performance.user import ServiceUser


class Producer(ServiceUser):
    """A producer with an API key."""

    @task
    def send_and_read(self) -> None:
        """Send a record, and read it."""
        sent = self.call("POST", "/data", json={"payload": "performance test"})
        if sent.ok:
            self.call("GET", f"/data?id={sent.json()['id']}")
