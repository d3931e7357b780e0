"""Payments: at `members.` below /payments, but on its own servers, with its own database, role and key."""

from components.spec import FrontDoorRoute, ServiceSpec

SERVICE = ServiceSpec(
    name="payments",
    host="members",
    owns_host=False,  # members makes the record
    balancer=FrontDoorRoute(priority=100, path="/payments"),  # before members, which takes every path
)
