"""Two topologies side by side: three users of the one for each user of the other.

``locust -f locustfiles/two_topologies.py --host http://localhost:4318``
"""

from motel_locust import TopologyUser


class Shop(TopologyUser):
    """The shop, at its own rate."""

    topology = "topologies/shop.yaml"
    weight = 3


class Messaging(TopologyUser):
    """Services that talk through queues; few traces, at random times."""

    topology = "topologies/async-messaging.yaml"
    rate = "5/s"
    arrivals = "poisson"
    weight = 1
