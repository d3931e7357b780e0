"""Members: accounts and sign-in, at `members.`. Files that members upload are served from `uploads.`."""

from settings.service_spec import Cdn, ServiceSpec, SharedLoadBalancerRule

SERVICE = ServiceSpec(
    name="members",
    host="members",
    balancer=SharedLoadBalancerRule(priority=200),
    cdn=Cdn(host="uploads", server_access="read and write"),
)
