"""Telemetry and the people who look at it: a topology beside an ordinary ``HttpUser``.

The endpoint is named in the class or by ``OTEL_EXPORTER_OTLP_ENDPOINT``, not by ``--host``, which
would replace the ``host`` of every class.

``locust -f locustfiles/mixed.py --topology topologies/shop.yaml``
"""

from locust import HttpUser, between, task

from motel_locust import TopologyUser


class Telemetry(TopologyUser):
    """Sends to a Collector."""

    endpoint = "http://localhost:4318"


class OnCall(HttpUser):
    """Looks at traces in the backend behind it."""

    host = "http://localhost:16686"
    fixed_count = 2
    wait_time = between(1, 5)

    @task
    def look_at_traces(self) -> None:
        """Ask for the latest traces of the shop."""
        self.client.get("/api/traces?service=storefront&limit=20", name="/api/traces")
