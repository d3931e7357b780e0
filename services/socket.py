"""Socket: long-lived WebSocket connections, at `socket.`, on a balancer of its own; keeps no data."""

from components.spec import OwnBalancer, ServiceSpec

SERVICE = ServiceSpec(
    name="socket",
    host="socket",
    balancer=OwnBalancer(slow_drain_seconds=600),
    has_database=False,
)
