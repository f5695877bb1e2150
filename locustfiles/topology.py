"""Production-like telemetry from a topology: ``locust -f locustfiles/topology.py``."""

from motel_locust import TopologyUser


class Topology(TopologyUser):
    """Runs the topology that ``--topology``, or the start form, names."""
