"""Socket: long-lived WebSocket connections, at `socket.`, on a dedicated load balancer. It stores no data."""

from settings.service_spec import DedicatedLoadBalancer, ServiceSpec

SERVICE = ServiceSpec(
    name="socket",
    host="socket",
    balancer=DedicatedLoadBalancer(deregistration_delay_seconds=600),
    has_database=False,
)
