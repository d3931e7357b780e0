"""Events: some day, at `events.`; an environment switches it on with `enabled: true`."""

from components.spec import FrontDoorRoute, ServiceSpec

SERVICE = ServiceSpec(
    name="events",
    host="events",
    balancer=FrontDoorRoute(priority=400),
)
