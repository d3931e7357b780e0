"""Events: planned, at `events.`. It is disabled in every environment until it is built."""

from settings.service_spec import ServiceSpec, SharedLoadBalancerRule

SERVICE = ServiceSpec(
    name="events",
    host="events",
    balancer=SharedLoadBalancerRule(priority=400),
)
