"""Most visitors read; some write an item and delete it again."""

from __future__ import annotations

from locust import task

from slipway.performance.user import ServiceUser


class Visitor(ServiceUser):
    """Reads through the edge, and writes to the API itself."""

    @task(8)
    def list_and_read(self) -> None:
        """List the newest items, and read one of them."""
        page = self.call("GET", "/items?limit=5")
        for item in page.json()["items"][:1] if page.ok else ():
            self.call("GET", f"/items/{item['id']}")

    @task(2)
    def write(self) -> None:
        """Create an item, and delete it."""
        created = self.call("POST", "/items", json={"name": "performance test", "status": "performance"})
        if created.ok:
            headers = {"If-Match": created.headers["ETag"]}
            self.call("DELETE", f"/items/{created.json()['id']}", headers=headers)
