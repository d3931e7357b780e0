"""Core: the product itself, at the domain. `www.` redirects there, and static files are served from `static.`."""

from settings.service_spec import Cdn, ServiceSpec, SharedLoadBalancerRule

SERVICE = ServiceSpec(
    name="core",
    host="",
    redirects=("www",),
    balancer=SharedLoadBalancerRule(priority=300),
    cdn=Cdn(host="static", server_access="read"),
)
