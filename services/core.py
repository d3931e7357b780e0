"""Core: the product itself, at the domain; `www.` redirects there, static files are at `static.`."""

from components.spec import Cdn, FrontDoorRoute, ServiceSpec

SERVICE = ServiceSpec(
    name="core",
    host="",
    redirects=("www",),
    balancer=FrontDoorRoute(priority=300),
    cdn=Cdn(host="static", servers_may="read"),
)
