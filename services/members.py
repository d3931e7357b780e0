"""Members: accounts and sign-in, at `members.`; what they upload is served from `uploads.`."""

from components.spec import Cdn, FrontDoorRoute, ServiceSpec

SERVICE = ServiceSpec(
    name="members",
    host="members",
    balancer=FrontDoorRoute(priority=200),
    cdn=Cdn(host="uploads", servers_may="read and write"),
)
